"""Render the real Cilium charts with our values and compare what comes out with the recorded facts.

Facts are what our code relies on: workloads with their images and containers, the settings in cilium-config, and the
kinds of objects made. Templates and texts of the chart are not recorded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from installer.domain.chart_keys import format_keys, parse_keys
from installer.domain.cilium_values import compose
from installer.domain.releases import ChartRelease, parse_releases
from scripts.chart_keys import chart_facts, chart_keys, read_chart
from tests.support.cilium_combinations import CHART_DATA, COMBINATIONS, ROOT, layers, load_yaml

RECORDS = ROOT / "tests" / "unit" / "data" / "cilium"
KUBE_VERSION = "1.36.4"
WORKLOADS = ("DaemonSet", "Deployment", "Job", "CronJob")
Facts = dict[str, Any]


def render(helm: str, chart: Path, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the objects that a chart makes of values, by the real helm."""
    argv = [helm, "template", "cilium", str(chart), "--namespace", "kube-system", "--kube-version", KUBE_VERSION]
    done = subprocess.run(
        [*argv, "--values", "-"], input=json.dumps(values), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{chart.name}: {done.stderr.strip()}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def facts(objects: Iterable[Mapping[str, Any]]) -> Facts:
    """Return the facts of rendered objects."""
    found = list(objects)
    config: dict[str, str] = next((each["data"] for each in found if each["metadata"]["name"] == "cilium-config"), {})
    return {
        "objects": sorted(f"{each['kind']}/{each['metadata']['name']}" for each in found),
        "workloads": {name: fact for each in found for name, fact in _workload(each)},
        # Helm 4.3 drops the chart's null defaults, Helm 3 and 4.1 render them as "": both mean the same to the agent.
        "config": {key: value for key, value in sorted(config.items()) if value},
    }


def _workload(document: Mapping[str, Any]) -> Iterator[tuple[str, Facts]]:
    if document["kind"] not in WORKLOADS:
        return
    spec = document["spec"]
    template = spec["jobTemplate"]["spec"]["template"] if document["kind"] == "CronJob" else spec["template"]
    pod = template["spec"]
    yield (
        f"{document['kind']}/{document['metadata']['name']}",
        {
            "replicas": spec.get("replicas"),
            "strategy": spec.get("updateStrategy") or spec.get("strategy"),
            "labels": document["metadata"].get("labels", {}),
            "hostNetwork": pod.get("hostNetwork", False),
            "initContainers": {each["name"]: each["image"] for each in pod.get("initContainers", [])},
            "containers": {each["name"]: _container(each) for each in pod["containers"]},
            "podTemplate": _digest(template),
        },
    )


def _digest(template: Mapping[str, Any]) -> str:
    """Return a digest of a pod template without the checksums of ConfigMaps (their content is a fact by itself)."""
    metadata = template["metadata"]
    kept = {key: value for key, value in metadata.get("annotations", {}).items() if "checksum" not in key}
    text = json.dumps({**template, "metadata": {**metadata, "annotations": kept}}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _container(container: Mapping[str, Any]) -> Facts:
    env = {each["name"]: each.get("value") for each in container.get("env", [])}
    return {
        "image": container["image"],
        "api": [env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT")],
        "readinessPeriod": container.get("readinessProbe", {}).get("periodSeconds"),
        "hostPorts": sorted(port["hostPort"] for port in container.get("ports", []) if "hostPort" in port),
    }


def difference(base: Any, other: Any) -> Any:
    """Return what ``other`` has different from ``base``: maps by key, a missing key as None."""
    if not isinstance(base, dict) or not isinstance(other, dict):
        return other
    changed = {
        key: difference(base.get(key), other.get(key)) for key in {*base, *other} if base.get(key) != other.get(key)
    }
    return dict(sorted(changed.items()))


def record(helm: str, chart: Path, release: ChartRelease) -> Facts:
    """Return the record of one chart: the values and facts of every combination, as differences to the default one."""
    combined: Facts = {}
    for name, inputs in COMBINATIONS.items():
        values = compose(replace(inputs, minor=release.minor), layers()).values
        combined[name] = {"values": values, "facts": facts(render(helm, chart, values))}
    default = combined["default"]
    changes = {name: _restarts(difference(default["facts"], entry["facts"])) for name, entry in combined.items()}
    for workload in default["facts"]["workloads"].values():
        del workload["podTemplate"]
    return {
        "chart": release.version,
        "sha256": release.sha256,
        "kubeVersion": KUBE_VERSION,
        "default": default,
        "combinations": {
            name: {"values": entry["values"], "facts": changes[name]}
            for name, entry in combined.items()
            if name != "default"
        },
    }


def _restarts(found: Facts) -> Facts:
    """Turn digests of pod templates, which differ by helm version, into a mark that a template is not the default."""
    for workload in filter(None, found.get("workloads", {}).values()):
        if "podTemplate" in workload:
            del workload["podTemplate"]
            workload["podChanges"] = True
    return found


def table_problems(chart: Path, release: ChartRelease) -> Iterator[str]:
    """Yield where releases.yaml or the key tree does not say what the chart says."""
    found = chart_facts(chart)
    for name, ours, theirs in (
        ("version", release.version, found["version"]),
        ("sha256", release.sha256, found["sha256"]),
        ("images", dict(release.images), found["images"]),
    ):
        if ours != theirs:
            yield f"releases.yaml: {name} of {release.version} is {ours}, the chart says {theirs}"
    recorded = parse_keys((CHART_DATA / "keys" / f"{release.minor}.txt").read_text(encoding="utf-8"))
    if format_keys(recorded) != format_keys(chart_keys(read_chart(chart))):
        yield f"keys/{release.minor}.txt differs from {chart.name}: run scripts/gen_chart_keys"


def check(helm: str, chart: Path, release: ChartRelease, *, write: bool) -> list[str]:
    """Compare (or record) one chart; return the differences."""
    problems = list(table_problems(chart, release))
    text = json.dumps(record(helm, chart, release), indent=1, sort_keys=True) + "\n"
    path = RECORDS / f"{release.minor}.json"
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        was, now = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
        problems.append(f"{path.name}: {json.dumps(difference(was, now), indent=1)}")
    return problems


def main(argv: list[str] | None = None) -> int:
    """Check all supported minors; exit 1 when anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="folder with cilium-<version>.tgz")
    parser.add_argument("--record", action="store_true", help="write the facts instead of comparing them")
    parser.add_argument("--helm", default="helm", help="helm binary")
    options = parser.parse_args(argv)
    releases = parse_releases(load_yaml(CHART_DATA / "releases.yaml"))
    problems = []
    for minor in releases.supported:
        release = releases.resolve(minor)
        chart = options.directory / f"cilium-{release.version}.tgz"
        found = check(options.helm, chart, release, write=options.record)
        print(f"{chart.name}: {len(COMBINATIONS)} combinations, {len(found)} differences")
        problems += found
    print("\n".join(problems), file=sys.stderr, end="")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
