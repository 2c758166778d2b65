"""Files of policies in every shape that people hand in."""

from __future__ import annotations

import json

import pytest

from installer.domain.policy.documents import MAX_DOCUMENT, read_documents
from installer.domain.policy.findings import Level
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.validation import validate

GOOD = """\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: demo}
spec:
  endpointSelector: {}
  ingress:
  - fromEndpoints:
    - {}
"""


def codes(text: str) -> list[tuple[str, str]]:
    """Return the findings on a text as place and code."""
    report = validate(read_documents(text, "f.yaml"), KNOWN_CRDS)
    return [(finding.where, finding.code) for finding in report.findings]


def test_a_good_document_has_no_findings() -> None:
    assert codes(GOOD) == []


def test_every_key_and_item_has_its_place() -> None:
    (document,) = read_documents("# a comment\n" + GOOD, "f.yaml")
    assert document.marks["spec", "ingress"].line == 7
    assert (document.marks["spec", "ingress", 0].line, document.marks["spec", "ingress", 0].column) == (8, 5)


def test_tabs_are_told_with_line_and_cure() -> None:
    (document,) = read_documents(GOOD.replace("  ingress:", "\tingress:"), "f.yaml")
    (problem,) = document.problems
    assert problem.code == "P-YAML-001"
    assert problem.mark is not None
    assert problem.mark.line == 6
    assert "never with tabs" in problem.fix


def test_duplicate_keys_are_errors_at_the_second() -> None:
    assert codes(GOOD + "  ingress: []\n") == [("f.yaml:9:3", "P-YAML-002"), ("f.yaml:9:3", "P-RULE-003")]


def test_anchors_are_followed() -> None:
    text = GOOD.replace("endpointSelector: {}", "endpointSelector: &all {}").replace("    - {}", "    - *all")
    (document,) = read_documents(text, "f.yaml")
    assert document.data["spec"]["ingress"] == [{"fromEndpoints": [{}]}]
    assert codes(text) == []


def test_alias_bombs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert codes("\n".join(lines)) == [("f.yaml:1:1", "P-YAML-003")]


def test_deep_nesting_is_refused() -> None:
    assert codes("[" * 100_000) in ([("f.yaml:1:1", "P-YAML-003")], [("f.yaml:1:100001", "P-YAML-001")])


def test_one_bad_document_does_not_hide_the_others() -> None:
    bad = "kind: [CiliumNetworkPolicy\n"
    documents = read_documents(f"{GOOD}---\n{bad}---\n{GOOD.replace('web', 'other')}", "f.yaml")
    assert [document.data is None for document in documents] == [False, True, False]
    assert documents[2].marks["spec",].line == 15
    (finding,) = validate(documents, KNOWN_CRDS).findings
    assert (finding.code, finding.mark and finding.mark.line) == ("P-YAML-001", 11)


def test_places_in_later_documents_count_from_the_top() -> None:
    text = GOOD + "---\n" + GOOD.replace("web", "other").replace("ingress", "ingres")
    assert codes(text) == [
        ("f.yaml:13:1", "P-SCHEMA-009"),
        ("f.yaml:13:1", "P-RULE-003"),
        ("f.yaml:15:3", "P-SCHEMA-002"),
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "---\n---\n", "# only a comment\n", "---\n# here too\n---\n"])
def test_nothing_is_no_document(text: str) -> None:
    assert read_documents(text, "f.yaml") == []


def test_a_list_becomes_its_items() -> None:
    indented = "".join(f"  {line}\n" for line in GOOD.splitlines())
    text = f"apiVersion: v1\nkind: List\nitems:\n- {indented.strip()}\n"
    (document,) = read_documents(text, "f.yaml")
    assert document.data["kind"] == "CiliumNetworkPolicy"
    assert document.marks["spec",].line == 7
    assert codes(text) == []


def test_json_is_read() -> None:
    data = read_documents(GOOD, "f.yaml")[0].data
    (document,) = read_documents(json.dumps(data, indent=2), "f.json")
    assert document.data == data
    assert document.marks["spec", "ingress"].line > 1


def test_windows_line_ends_and_a_byte_order_mark() -> None:
    text = "\ufeff" + (GOOD + "---\n" + GOOD.replace("web", "other")).replace("\n", "\r\n")
    documents = read_documents(text, "f.yaml")
    assert [document.data["metadata"]["name"] for document in documents] == ["web", "other"]
    assert documents[1].marks["kind",].line == 11
    assert codes(text) == []


def test_a_huge_file_is_refused_at_once() -> None:
    text = GOOD + "# " + "x" * 10_000_000
    assert codes(text) == [("f.yaml:1:1", "P-YAML-004")]


def test_many_documents_may_make_a_large_file() -> None:
    text = "---\n".join(GOOD.replace("web", f"web{number}") for number in range(100))
    assert len(text) < MAX_DOCUMENT
    assert len(read_documents(text, "f.yaml")) == 100


def test_three_dashes_inside_text_do_not_split() -> None:
    text = GOOD + "  description: |\n    before\n    ---\n    after\n"
    (document,) = read_documents(text, "f.yaml")
    assert document.data["spec"]["description"] == "before\n---\nafter\n"


@pytest.mark.parametrize("text", ["just words", "- a\n- b\n", "42"])
def test_what_is_no_object_is_told(text: str) -> None:
    assert codes(text) == [("f.yaml:1:1", "P-SCHEMA-001")]


def test_the_same_object_twice_is_told_at_the_second() -> None:
    assert codes(f"{GOOD}---\n{GOOD}") == [("f.yaml:12:12", "P-LINT-001")]


def test_kinds_that_are_no_policy_are_left_alone() -> None:
    (finding,) = validate(read_documents("apiVersion: v1\nkind: ConfigMap\n", "f"), KNOWN_CRDS).findings
    assert (finding.level, finding.code) == (Level.INFO, "P-SCHEMA-010")


def test_a_kind_that_is_nearly_right_is_an_error_with_its_mending() -> None:
    report = validate(read_documents(GOOD.replace("kind: Cilium", "kind: Cillium"), "f"), KNOWN_CRDS)
    (finding,) = report.errors
    assert finding.code == "P-SCHEMA-010"
    assert finding.quick is not None
    assert finding.quick.value == "CiliumNetworkPolicy"
