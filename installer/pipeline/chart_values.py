"""From the specification to Helm values: our layers, what the cluster decides, the user's own, and what lint says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from installer.domain import values_sense
from installer.domain.chart_keys import KeyNode, keys_of, parse_keys, union
from installer.domain.cilium_values import CiliumInputs, Composed, api_endpoint, compose, merge_named
from installer.domain.errors import UsageError
from installer.domain.releases import ChartRelease, Releases, parse_releases
from installer.domain.spec import ClusterSpec
from installer.domain.spec_checks import contradicting_values
from installer.domain.values_lint import Level, ValueFinding, lint
from installer.domain.yaml_document import parse

Assets = Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class Existing:
    """What already runs and cannot change.

    Attributes:
        ipam: IPAM mode, None where nothing runs.
        pools: cluster pools of that mode.
        nodes: nodes in the cluster.
    """

    ipam: str | None = None
    pools: tuple[str, ...] = ()
    nodes: int = 0


def load_releases(assets: Assets) -> Releases:
    """Read the support table."""
    return parse_releases(yaml.safe_load(assets("charts/cilium/releases.yaml").read_text()))


def chart_release(table: Releases, version: str, *, allow_unsupported: bool) -> ChartRelease:
    """Resolve a version, also outside the table where that is allowed."""
    return table.find(version, allow_unsupported=allow_unsupported)


def load_layers(assets: Assets) -> dict[str, Mapping[str, Any]]:
    """Read our value layers by name."""
    folder = assets("charts/cilium/values")
    return {path.stem: yaml.safe_load(path.read_text()) or {} for path in sorted(folder.glob("*.yaml"))}


def known_keys(assets: Assets, table: Releases, minor: str, chart: Mapping[str, Any] | None = None) -> KeyNode:
    """Return the keys that a minor's chart knows; with the chart's own values, those too."""
    recorded = table.nearest(minor)
    keys = parse_keys(assets(f"charts/cilium/keys/{recorded}.txt").read_text())
    return union(keys, keys_of(chart)) if chart is not None else keys


def user_values(spec: ClusterSpec, bundled: tuple[Path, ...] = ()) -> list[tuple[str, dict[str, Any]]]:
    """Read the user's values: those of a bundle, then files, then the specification's own.

    Raises:
        UsageError: ``E-CILIUM-013`` a file cannot be read or is no mapping.
    """
    sources = [(str(path), read_values(path)) for path in (*bundled, *map(Path, spec.cilium.values_files))]
    return [*sources, ("spec.cilium.values", dict(spec.cilium.values))]


def merged_user_values(spec: ClusterSpec) -> dict[str, Any]:
    """Return the user's values of files and specification, merged.

    Raises:
        UsageError: ``E-CILIUM-013`` a file cannot be read or is no mapping.
    """
    return merge_named(user_values(spec)).values


def inputs(
    spec: ClusterSpec, chart: ChartRelease, existing: Existing, *, use_digests: bool, upgrade_compatibility: str = ""
) -> CiliumInputs:
    """Return what the values depend on."""
    host, port = api_endpoint(spec.k3s.https_listen_port, ipv4=":" not in spec.k3s.cluster_cidr)
    return CiliumInputs(
        minor=chart.minor,
        api_host=host,
        api_port=port,
        kube_proxy_replacement=spec.cilium.kube_proxy_replacement,
        cluster_cidr=spec.k3s.cluster_cidr,
        cluster_domain=spec.k3s.cluster_domain,
        nodes=max(existing.nodes, spec.nodes.expected),
        l7=spec.cilium.l7_proxy,
        envoy=spec.cilium.envoy,
        wireguard=spec.cilium.encryption == "wireguard",
        gateway_api=spec.cilium.gateway_api,
        ingress_controller=spec.cilium.ingress_controller,
        hubble=spec.hubble.enabled,
        relay=spec.hubble.relay,
        ui=spec.hubble.ui,
        metrics=tuple(spec.hubble.metrics),
        use_digests=use_digests,
        servicelb="servicelb" not in spec.k3s.disable,
        existing_ipam=existing.ipam,
        existing_pools=existing.pools,
        upgrade_compatibility=upgrade_compatibility,
    )


def compose_values(
    spec: ClusterSpec,
    assets: Assets,
    wanted: CiliumInputs,
    bundled: tuple[Path, ...] = (),
) -> Composed:
    """Return the Helm values of a specification with the origin of each."""
    return compose(wanted, load_layers(assets), user_values(spec, bundled))


def examine(
    composed: Composed, wanted: CiliumInputs, user: list[tuple[str, dict[str, Any]]], known: KeyNode, table: Releases
) -> list[ValueFinding]:
    """Return everything wrong or doubtful in the values; lint looks at the user's, contradictions at the whole.

    Raises:
        UsageError: ``E-CILIUM-010`` with every error, its place, and the nearest known key.
    """
    found = [finding for _, values in user for finding in lint(values, known, table, wanted.minor)]
    found += values_sense.contradictions(composed.values, wanted)
    errors = [f"{item.path}: {item.what} {item.fix}".strip() for item in found if item.level is Level.ERROR]
    errors += [str(problem) for _, values in user for problem in contradicting_values(values)]
    if errors:
        raise UsageError(
            "the Helm values for Cilium are not valid" if len(errors) > 1 else f"Helm value {errors[0]}",
            why="\n".join(errors) if len(errors) > 1 else "",
            fix="Mend spec.cilium.values or the values file; `beeyard config values` prints what would be used.",
            code="E-CILIUM-010",
            details={"problems": errors},
        )
    return [item for item in found if item.level is not Level.ERROR]


def read_values(path: Path) -> dict[str, Any]:
    """Read a file of Helm values.

    Raises:
        UsageError: ``E-CILIUM-013`` it cannot be read or is no mapping.
    """
    try:
        data = parse(path.read_text(), str(path)).data
    except OSError as error:
        raise UsageError(
            f"values file {path} cannot be read", why=str(error), fix="Give another path.", code="E-CILIUM-013"
        ) from error
    if data is not None and not isinstance(data, dict):
        raise UsageError(
            f"values file {path} is no mapping",
            why=f"It holds a {type(data).__name__}.",
            fix="Mend the file.",
            code="E-CILIUM-013",
        )
    return data or {}
