"""Quick fixes in text: one place changes, and nothing else."""

from __future__ import annotations

import difflib

import pytest

from installer.domain.errors import UsageError
from installer.domain.policy.documents import read_documents
from installer.domain.policy.findings import QuickFix
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.lint import linter
from installer.domain.policy.quickfix import apply_fix
from installer.domain.policy.validation import validate

TEXT = """\
# who may reach the web servers
apiVersion: cilium.io/v2   # the API
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: demo}
spec:
  # the servers
  endpointSelector:
    matchLabels:
      app: wbe   # typo
  ingress:
    - fromEndpoints:
        - matchLabels:
            k8s.app: 'front' # dotted

      toPorts:
        - ports:
            - port: 80
              protocol: TCP
              endPort: 3 # too low
---
# what they may reach
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: out
  namespace: demo
spec:
  endpointSelector: {}
  egress:
  - toCIDR:
    - 10.0.0.1   # bare
  egressDeny:
  - {}
"""
RULE = ("spec", "ingress", 0)
PORT = (*RULE, "toPorts", 0, "ports", 0)


def changed(fix: QuickFix, line: int = 1, text: str = TEXT) -> list[str]:
    after = apply_fix(text, fix, line)
    lines = difflib.unified_diff(text.splitlines(), after.splitlines(), lineterm="", n=0)
    return [one for one in lines if not one.startswith(("---", "+++", "@@"))]


def test_a_value_changes_and_its_comment_stays() -> None:
    fix = QuickFix("", ("spec", "endpointSelector", "matchLabels", "app"), "web")
    assert changed(fix) == ["-      app: wbe   # typo", "+      app: web   # typo"]


def test_a_key_gets_another_name_in_its_place() -> None:
    fix = QuickFix("", (*RULE, "fromEndpoints", 0, "matchLabels", "k8s.app"), rename="k8s:app")
    assert changed(fix) == ["-            k8s.app: 'front' # dotted", "+            k8s:app: 'front' # dotted"]


def test_numbers_that_should_be_text_get_quotes() -> None:
    assert changed(QuickFix("", (*PORT, "port"), "80")) == ["-            - port: 80", '+            - port: "80"']


def test_something_is_taken_out() -> None:
    assert changed(QuickFix("", (*PORT, "endPort"))) == ["-              endPort: 3 # too low"]


def test_comments_below_what_is_taken_out_stay() -> None:
    text = TEXT.replace("              endPort: 3 # too low\n", "").replace(
        "            - port: 80\n",
        "            - port: 80 # web\n              endPort: 3 # low\n              # over TCP\n",
    )
    assert changed(QuickFix("", (*PORT, "endPort")), 1, text) == ["-              endPort: 3 # low"]


def test_a_later_document_is_changed_with_its_own_indentation() -> None:
    fix = QuickFix("", ("spec", "egress", 0, "toCIDR", 0), "10.0.0.1/32")
    assert changed(fix, 20) == ["-    - 10.0.0.1   # bare", "+    - 10.0.0.1/32 # bare"]


def test_mappings_on_the_way_are_made() -> None:
    fix = QuickFix("", ("spec", "enableDefaultDeny", "egress"), value=False)
    assert changed(fix, 20) == ["+  enableDefaultDeny:", "+    egress: false"]


@pytest.mark.parametrize("value", ["*", "on", "1e3", "a: b", "yes", "null", ""])
def test_text_stays_text_whatever_it_looks_like(value: str) -> None:
    after = apply_fix(TEXT, QuickFix("", ("spec", "endpointSelector", "matchLabels", "app"), value), 1)
    assert read_documents(after, "f")[0].data["spec"]["endpointSelector"]["matchLabels"]["app"] == value


def test_windows_line_ends_stay() -> None:
    text = TEXT.replace("\n", "\r\n")
    after = apply_fix(text, QuickFix("", ("spec", "endpointSelector", "matchLabels", "app"), "web"), 1)
    assert after == text.replace("wbe", "web")


def test_a_place_that_is_gone_is_refused() -> None:
    with pytest.raises(UsageError) as raised:
        apply_fix(TEXT, QuickFix("mend it", ("spec", "egress", 7, "toCIDR", 0), "x"), 1)
    assert raised.value.code == "E-POL-011"
    assert "mend it" in raised.value.what


def test_a_document_that_is_gone_is_refused() -> None:
    with pytest.raises(UsageError):
        apply_fix(TEXT, QuickFix("", ("spec",), "x"), 5)


def test_a_rename_onto_a_key_that_is_there_is_refused() -> None:
    with pytest.raises(UsageError):
        apply_fix(TEXT, QuickFix("", ("spec", "ingress"), rename="endpointSelector"), 1)


def test_all_that_validation_offers_can_be_applied_and_helps() -> None:
    text, seen = TEXT, 0
    for _ in range(12):
        documents = read_documents(text, "f.yaml")
        found = validate(documents, KNOWN_CRDS, lint=linter()).findings
        fixes = [one for one in found if one.quick is not None]
        if not fixes:
            break
        quick, mark = fixes[0].quick, fixes[0].mark
        assert quick is not None
        assert mark is not None
        line = max(one.line for one in documents if one.line <= mark.line)
        text, seen = apply_fix(text, quick, line), seen + 1
    assert seen == 3
    assert not [one for one in found if one.level.value == "error"]
    assert "# who may reach the web servers" in text
