# ruff: noqa: E501  # tables of cases, a line each
"""Objects against schemas: those recorded from clusters, and the one that beeyard knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.lint import linter
from installer.domain.policy.schema import check, crd_schema
from installer.domain.policy.validation import API_VERSIONS, validate

CRDS = Path(__file__).parents[1] / "fixtures" / "crds"
RECORDED: Mapping[str, Any] = {
    "CiliumNetworkPolicy": json.loads((CRDS / "ciliumnetworkpolicies.json").read_text()),
    "CiliumClusterwideNetworkPolicy": json.loads((CRDS / "ciliumclusterwidenetworkpolicies.json").read_text()),
}
KNOWN = crd_schema(KNOWN_CRDS["CiliumNetworkPolicy"])
SCHEMAS = [pytest.param(KNOWN, id="known"), pytest.param(crd_schema(RECORDED["CiliumNetworkPolicy"]), id="recorded")]
GONE = {"kafka", "l7proto", "l7", "fromRequires", "toRequires"}
"""Fields that some versions have and others do not."""
LATER = {"cidrGroupSelector", "log"}
"""Fields that came after the version recorded."""


def fields(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every property."""
    for name, inner in (schema.get("properties") or {}).items():
        if not path and name in ("apiVersion", "kind", "metadata", "status"):
            continue
        yield (*path, name)
        yield from fields(inner, (*path, name))
    if isinstance(schema.get("items"), Mapping):
        yield from fields(schema["items"], (*path, "[]"))


@pytest.mark.parametrize("kind", RECORDED)
def test_the_known_fields_are_those_of_a_cluster(kind: str) -> None:
    recorded = set(fields(crd_schema(RECORDED[kind])))
    known = set(fields(crd_schema(KNOWN_CRDS[kind])))
    assert {path for path in recorded - known if not GONE & set(path)} == set()
    assert {path for path in known - recorded if not (GONE | LATER) & set(path)} == set()


def spec(**more: Any) -> dict[str, Any]:
    return {"spec": {"endpointSelector": {}, "ingress": [{"fromEndpoints": [{}]}], **more}}


def rule(**more: Any) -> dict[str, Any]:
    return spec(ingress=[more])


def ports(*found: Any) -> dict[str, Any]:
    return rule(toPorts=[{"ports": list(found)}])


BAD = [
    ("P-SCHEMA-001", ports({"port": 80}), ("spec", "ingress", 0, "toPorts", 0, "ports", 0, "port")),
    ("P-SCHEMA-001", spec(ingress={}), ("spec", "ingress")),
    ("P-SCHEMA-001", spec(enableDefaultDeny={"ingress": "yes"}), ("spec", "enableDefaultDeny", "ingress")),
    ("P-SCHEMA-002", rule(fromEndpoint=[{}]), ("spec", "ingress", 0, "fromEndpoint")),
    ("P-SCHEMA-002", rule(toEndpoints=[{}]), ("spec", "ingress", 0, "toEndpoints")),
    ("P-SCHEMA-003", spec(endpointSelector={"matchExpressions": [{"key": "a"}]}), ("spec", "endpointSelector", "matchExpressions", 0)),
    ("P-SCHEMA-004", rule(fromEntities=["wrld"]), ("spec", "ingress", 0, "fromEntities", 0)),
    ("P-SCHEMA-005", ports({"port": "80", "endPort": 70000}), ("spec", "ingress", 0, "toPorts", 0, "ports", 0, "endPort")),
    ("P-SCHEMA-006", spec(endpointSelector={"matchLabels": {"a": "x" * 64}}), ("spec", "endpointSelector", "matchLabels", "a")),
    ("P-SCHEMA-007", ports(*[{"port": "80"}] * 41), ("spec", "ingress", 0, "toPorts", 0, "ports")),
    ("P-SCHEMA-008", rule(fromCIDR=["10.0.0.1"]), ("spec", "ingress", 0, "fromCIDR", 0)),
    ("P-SCHEMA-009", {"spec": {"ingress": [{}]}}, ("spec",)),
    ("P-SCHEMA-009", spec(nodeSelector={}), ("spec",)),
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(("code", "data", "path"), BAD)
def test_each_fault_is_found_at_its_place(schema: Any, code: str, data: dict[str, Any], path: tuple[Any, ...]) -> None:
    found = {(finding.code, finding.path) for finding in check(data, schema)}
    assert (code, path) in found


@pytest.mark.parametrize("schema", SCHEMAS)
def test_objects_of_the_reference_are_valid(schema: Any) -> None:
    cases = yaml.load((Path(__file__).parent / "cases" / "reference.yaml").read_text(), Loader=yaml.CSafeLoader)
    seen = [policy for case in cases for policy in case["policies"] if policy["kind"] == "CiliumNetworkPolicy"]
    wrong = {finding.code for policy in seen for finding in check(policy, schema)}
    assert not wrong


def test_a_number_for_a_port_is_mended_by_quotes() -> None:
    (finding,) = check(ports({"port": 80}), KNOWN)
    assert finding.quick is not None
    assert finding.quick.value == "80"


def test_a_misspelt_field_is_mended_by_its_name() -> None:
    (finding,) = check(rule(fromEndpoint=[{}]), KNOWN)
    assert finding.quick is not None
    assert finding.quick.rename == "fromEndpoints"


def test_an_address_is_mended_by_its_prefix() -> None:
    (finding,) = check(rule(fromCIDR=["2001:db8::1"]), KNOWN)
    assert finding.quick is not None
    assert finding.quick.value == "2001:db8::1/128"


def test_the_wrong_version_is_told() -> None:
    data = {"apiVersion": "cilium.io/v1", "kind": "CiliumNetworkPolicy", "metadata": {"name": "a"}, **spec()}
    (finding,) = validate([SourceDocument("f", 1, "", data)], KNOWN_CRDS).findings
    assert finding.code == "P-SCHEMA-011"


def test_every_code_is_provoked() -> None:
    assert {code for code, _, _ in BAD} | {"P-SCHEMA-010", "P-SCHEMA-011"} == {f"P-SCHEMA-{n:03}" for n in range(1, 12)}


WORDS = st.sampled_from(
    [
        "spec",
        "specs",
        "kind",
        "metadata",
        "name",
        "ingress",
        "egress",
        "ingressDeny",
        "endpointSelector",
        "matchLabels",
        "matchExpressions",
        "fromEndpoints",
        "toPorts",
        "ports",
        "port",
        "rules",
        "http",
        "dns",
        "path",
        "toFQDNs",
        "icmps",
        "fields",
        "toCIDRSet",
        "except",
        "cidr",
        "from",
        "ipBlock",
        "podSelector",
        "enableDefaultDeny",
        "toServices",
        "x",
    ]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 99999), st.floats(), st.text(max_size=6), st.just("10.0.0.0/8")
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=25,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from([*API_VERSIONS, "Other"]), spec=JSON, meta=JSON, crds=st.booleans())
def test_nothing_whatever_makes_it_fail(kind: str, spec: Any, meta: Any, crds: bool) -> None:
    data = {"apiVersion": "cilium.io/v2", "kind": kind, "metadata": meta, "spec": spec}
    validate([SourceDocument("f", 1, "", data)], KNOWN_CRDS if crds else {}, lint=linter())


@settings(max_examples=60, deadline=None)
@given(data=JSON)
def test_no_document_makes_it_fail(data: Any) -> None:
    validate([SourceDocument("f", 1, "", data)], KNOWN_CRDS, lint=linter())
