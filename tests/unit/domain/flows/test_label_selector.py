"""Label selectors: Kubernetes' syntax, Cilium's sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.flows.label_selector import compile_selector, find_value

WEB = ("k8s:app=web", "k8s:app.kubernetes.io/name=shop", "any:tier=front", "plain=1", "k8s:replicas=3", "k8s:canary")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True),
        ("app", True),
        ("app=web", True),
        ("app==web", True),
        ("app!=web", False),
        ("none!=web", True),
        ("!app", False),
        ("!none", True),
        ("app in (api, web)", True),
        ("app in (api,)", False),
        ("canary in ()", True),
        ("app notin (api)", True),
        ("app,tier=front", True),
        ("app,tier=back", False),
        ("k8s:app=web", True),
        ("any:app=web", True),
        ("cni:app=web", False),
        ("k8s:tier=front", False),
        ("unspec:plain=1", True),
        ("app.kubernetes.io/name=shop", True),
        ("k8s:app.kubernetes.io/name = shop", True),
        ("canary=", True),
        ("replicas>2", True),
        ("replicas<3", False),
        ("app>2", False),
        ("  app  =  web  ,  !x ", True),
        ("app in (in, notin, web)", True),
    ],
)
def test_selects(selector: str, expected: bool) -> None:
    assert compile_selector(selector)(WEB) is expected


def test_reserved_and_cidr_labels() -> None:
    labels = ("reserved:world", "cidr:10.1.0.0/16", "$host", "cidr:fd00--/8")
    assert compile_selector("reserved:world")(labels)
    assert compile_selector("reserved:host")(labels)
    assert find_value(labels, "cidr", "10.0.0.0/8") == ""
    assert find_value(labels, "cidr", "10.1.2.0/24") is None
    assert find_value(labels, "cidr", "fd00--/7") == ""
    assert find_value(labels, "cidr", "nonsense") is None


def test_the_first_label_by_key_counts() -> None:
    assert find_value(("k8s:b=2", "k8s:a=1", "cni:a=3"), "any", "a") == "1"


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("app in", "unable to parse requirement: found '' expected: '('"),
        ("app in (a", "found '', expected: ',' or ')'"),
        ("app in (a b)", "found 'b', expected: ',' or ')'"),
        ("app web", "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt"),
        ("app=web web", "found 'web', expected: ',' or 'end of string'"),
        ("app,", "found '', expected: identifier after ','"),
        ("!app=web", "found '=', expected: ',' or 'end of string'"),
        ("app=(", "found '(', expected: identifier"),
        ("app>x", "for 'Gt', 'Lt' operators, the value must be an integer"),
        ("app-=x", "name part must consist of alphanumeric characters"),
        ("UP/app", "prefix part a lowercase RFC 1123 subdomain"),
        ("app=a b=c", "found 'b', expected: ',' or 'end of string'"),
        ("app=-a", "a valid label must be an empty string or consist of"),
        ("a" * 64, "name part must be no more than 63 bytes"),
        ("app=" + "a" * 64, "must be no more than 63 bytes"),
    ],
)
def test_refuses_in_kubernetes_words(selector: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_selector(selector)
    assert why in str(caught.value)


@given(st.text(alphabet="ab:.,!=()<> in-/", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selector = compile_selector(text)
    except ValueError:
        return
    assert selector(WEB) in (True, False)
