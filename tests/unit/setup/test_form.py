"""Answers over a specification, and back."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.config_layers import Layer, from_set, resolve
from installer.domain.preflight import Level
from installer.domain.setup.catalog import BY_ID, PAGES, QUESTIONS, questions_of
from installer.domain.setup.export import command_line, has_secrets, to_yaml
from installer.domain.setup.form import Form
from installer.domain.setup.question import Answer, Kind
from installer.domain.spec import ClusterSpec

MINORS = (("1.20", "1.20.0"), ("1.19", "1.19.6"))
DEFAULT = ClusterSpec()


def form(base: ClusterSpec = DEFAULT, **answers: Answer) -> Form:
    made = Form.over(base, MINORS)
    for key, answer in answers.items():
        made = made.with_answer(key.replace("__", "."), answer)
    return made


def spec(**sections: Any) -> ClusterSpec:
    return ClusterSpec.model_validate(sections)


def from_command(line: str) -> ClusterSpec:
    """Read a command line as ``beeyard install`` does."""
    words = shlex.split(line)
    assert words[:4] == ["sudo", "beeyard", "install", "--yes"]
    layers, rest = [], words[4:]
    while rest:
        flag = rest.pop(0)
        if flag == "--no-hubble":
            layers.append(Layer(flag, {"spec": {"hubble": {"enabled": False}}}))
        elif flag == "--bundle":
            layers.append(Layer(flag, {"spec": {"downloads": {"bundle": rest.pop(0)}}}))
        else:
            assert flag == "--set"
            layers.append(from_set(rest.pop(0)))
    return resolve(layers).document.spec


def test_every_question_has_a_page_an_answer_and_an_example() -> None:
    pages = {page.id for page in PAGES}
    answers = form().answers
    assert set(answers) == set(BY_ID)
    for question in QUESTIONS:
        assert question.page in pages
        assert question.help.endswith((".", "!"))
        assert question.kind is not Kind.TEXT or question.example


def test_few_questions_are_asked_and_the_rest_is_folded_away() -> None:
    made = form()
    assert [item.id for item in made.shown("cluster", more=False)] == ["k3s.release", "k3s.pods", "k3s.services"]
    assert len(made.shown("network", more=False)) == 7
    assert [item.id for item in made.shown("downloads", more=False)] == ["source"]
    assert len(questions_of("cluster")) > 8


def test_the_defaults_make_the_default_specification() -> None:
    reading = form().read()
    assert (reading.spec, dict(reading.wrong)) == (DEFAULT, {})


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ({"k3s__release": "latest"}, {"k3s": {"channel": "latest"}}),
        ({"k3s__release": "exact", "k3s__exact": "v1.35"}, {"k3s": {"channel": "v1.35"}}),
        ({"k3s__release": "exact", "k3s__exact": " v1.36.4+k3s1 "}, {"k3s": {"version": "v1.36.4+k3s1"}}),
        ({"k3s__exact": "v1.35"}, {}),  # not shown, so it counts for nothing
        ({"k3s__sans": "a.example, 203.0.113.7,"}, {"k3s": {"tlsSAN": ["a.example", "203.0.113.7"]}}),
        ({"k3s__port": "7443", "k3s__name": "bee"}, {"k3s": {"httpsListenPort": 7443, "nodeName": "bee"}}),
        ({"k3s__pods": ""}, {}),  # empty stands for the default
        ({"k3s__merge": False}, {"k3s": {"kubeconfig": {"merge": False}}}),
        ({"cilium__version": "1.19"}, {"cilium": {"version": "1.19"}}),
        ({"cilium__version": "exact", "cilium__exact": "1.19.5"}, {"cilium": {"version": "1.19.5"}}),
        ({"cilium__wireguard": True}, {"cilium": {"encryption": "wireguard"}}),
        ({"cilium__embedded": True}, {"cilium": {"envoy": "embedded"}}),
        ({"cilium__embedded": True, "cilium__l7": False}, {"cilium": {"l7Proxy": False}}),
        ({"hubble__metrics__on": True}, {"hubble": {"metrics": ["dns", "drop", "tcp", "flow"]}}),
        ({"hubble__metrics__on": True, "hubble__metrics": ("icmp",)}, {"hubble": {"metrics": ["icmp"]}}),
        ({"hubble__metrics__on": True, "hubble__enabled": False}, {"hubble": {"enabled": False}}),
        ({"source": "bundle", "bundle": "/b.tar", "k3s__release": "latest"}, {"downloads": {"bundle": "/b.tar"}}),
        ({"bundle": "/b.tar"}, {}),
        ({"source": "mirror", "mirror__helm": "https://m/helm"}, {"downloads": {"helm": {"url": "https://m/helm"}}}),
        ({"mirror__helm": "https://m/helm"}, {}),
        (
            {"source": "mirror", "registry": "https://r"},
            {"k3s": {"registries": {"mirrors": {"*": {"endpoint": ["https://r"]}}}}},
        ),
    ],
)
def test_answers_make_the_specification_and_come_back_from_it(answers: dict[str, Any], wanted: dict[str, Any]) -> None:
    reading = form(**answers).read()
    assert not reading.wrong
    assert reading.spec == spec(**wanted)
    assert form(reading.spec).read().spec == reading.spec


def test_settings_that_nobody_is_asked_about_stay() -> None:
    base = spec(
        k3s={"config": {"kubelet-arg": ["v=2"]}, "registries": {"configs": {"r": {"tls": {}}}}, "nodeIP": "192.0.2.2"},
        cilium={"values": {"debug": {"enabled": True}}},
        hubble={"metrics": ["dns:query"]},
        nodes={"expected": 3},
        downloads={"images": "registry", "noProxy": ["x"]},
    )
    changed = form(base, k3s__pods="10.52.0.0/16").read().spec
    assert changed == base.model_copy(update={"k3s": base.k3s.model_copy(update={"cluster_cidr": "10.52.0.0/16"})})
    assert "dns:query" in [choice.value for choice in form(base).choices(BY_ID["hubble.metrics"])]


def test_mirrors_of_an_earlier_setup_are_dropped_for_the_internet() -> None:
    base = spec(downloads={"k3s": "https://m/k3s"}, k3s={"registries": {"mirrors": {"*": {"endpoint": ["https://r"]}}}})
    made = form(base)
    assert (made.answers["source"], made.answers["registry"]) == ("mirror", "https://r")
    assert made.with_answer("source", "internet").read().spec == DEFAULT


@pytest.mark.parametrize(
    ("key", "answer", "what"),
    [
        ("k3s.pods", "10.42.0.0/99", "'10.42.0.0/99' is not a network"),
        ("k3s.pods", "10.42.0.9/16", "10.42.0.9/16 is an address inside a network"),
        ("k3s.services", "nonsense", "'nonsense' is not a network"),
        ("k3s.port", "abc", "'abc' is not of the right form"),
        ("k3s.port", "0", "0 is out of range"),
        ("k3s.data", "relative", "'relative' is not of the right form"),
        ("k3s.context", "a b", "'a b' is not of the right form"),
        ("k3s.name", "[/]\x1b[31m", "it holds characters that cannot be shown"),
        ("k3s.name", "a\nb", "it holds characters that cannot be shown"),
        ("k3s.name", "‮gnp.exe", "it holds characters that cannot be shown"),
        ("proxy", "nowhere", "'nowhere' is not of the right form"),
    ],
)
def test_a_wrong_answer_is_told_at_once_and_the_rest_still_counts(key: str, answer: str, what: str) -> None:
    made = form(cilium__wireguard=True).with_answer(key, answer)
    reading = made.read()
    assert {name: note.what for name, note in reading.wrong.items()} == {key: what}
    assert reading.wrong[key].level is Level.ERROR
    assert reading.wrong[key].fix
    assert reading.spec.cilium.encryption == "wireguard"


def test_a_network_with_host_bits_is_offered_mended() -> None:
    assert form(k3s__pods="10.42.0.9/16").read().wrong["k3s.pods"].value == "10.42.0.0/16"


@pytest.mark.parametrize(
    ("answers", "key"),
    [
        ({"source": "bundle"}, "bundle"),
        ({"k3s.release": "exact"}, "k3s.exact"),
        ({"cilium.version": "exact"}, "cilium.exact"),
    ],
)
def test_some_texts_cannot_stay_empty(answers: dict[str, Answer], key: str) -> None:
    made = form()
    for name, answer in answers.items():
        made = made.with_answer(name, answer)
    assert set(made.read().wrong) == {key}


def test_what_is_hidden_stops_nothing() -> None:
    made = form(k3s__context="a b").with_answer("k3s.merge", False)
    reading = made.read()
    assert not reading.wrong
    assert reading.spec.k3s.kubeconfig.context == "beeyard"


def test_the_file_holds_what_differs_and_reads_back() -> None:
    made = form(k3s__pods="10.52.0.0/16", cilium__version="1.19").read().spec
    text = to_yaml(made)
    data = yaml.safe_load(text)
    assert data["spec"] == {"k3s": {"clusterCIDR": "10.52.0.0/16"}, "cilium": {"version": "1.19"}}
    assert resolve([Layer("x", data)]).document.spec == made
    assert yaml.safe_load(to_yaml(DEFAULT))["spec"] == {}


def test_the_command_line_of_the_defaults_is_short() -> None:
    assert command_line(DEFAULT, DEFAULT) == "sudo beeyard install --yes"
    assert command_line(DEFAULT, DEFAULT, file="my file.yaml") == "sudo beeyard install --yes -f 'my file.yaml'"


def test_the_command_line_uses_the_flags_that_exist() -> None:
    made = spec(hubble={"enabled": False}, downloads={"bundle": "/root/b.tar"})
    assert command_line(made, DEFAULT) == "sudo beeyard install --yes --no-hubble --bundle /root/b.tar"


def test_a_variable_that_says_otherwise_is_overruled() -> None:
    usual = spec(k3s={"channel": "latest"})
    assert command_line(DEFAULT, usual) == "sudo beeyard install --yes --set k3s.channel=stable"
    assert command_line(usual, usual) == "sudo beeyard install --yes --set k3s.channel=latest"


@pytest.mark.parametrize(
    "base",
    [
        spec(k3s={"config": {"token": "t0p"}}),
        spec(k3s={"registries": {"configs": {"r": {"auth": {"password": "t0p"}}}}}),
        spec(k3s={"env": {"HTTP_PROXY": "http://u:t0p@p"}}),
        spec(downloads={"proxy": "http://u:t0p@p"}),
    ],
)
def test_secrets_never_reach_the_command_line(base: ClusterSpec) -> None:
    assert has_secrets(base)
    assert command_line(base, DEFAULT) == "sudo beeyard install --yes -f beeyard.yaml"


def test_ordinary_settings_are_no_secrets() -> None:
    registries = {"mirrors": {"*": {"endpoint": ["https://r"]}}}
    assert not has_secrets(spec(k3s={"registries": registries, "config": {"kubelet-arg": ["v=2"]}}))


TEXTS = st.sampled_from(
    ["a", "1.20", "yes", "null", "a: b", "#x", "'", "[1", "~", "01", "é", "a,b", " lead", "x=y", "", "*a", "&b", "- c"]
)
SPECS = st.builds(
    spec,
    k3s=st.fixed_dictionaries(
        {},
        optional={
            "clusterCIDR": st.sampled_from(["10.42.0.0/16", "10.52.0.0/16", "fd00::/48"]),
            "channel": st.sampled_from(["latest", "v1.35"]),
            "tlsSAN": st.lists(TEXTS, max_size=2),
            "nodeName": TEXTS,
            "env": st.dictionaries(TEXTS, TEXTS, max_size=2),
            "httpsListenPort": st.integers(1, 65534),
        },
    ),
    cilium=st.fixed_dictionaries(
        {}, optional={"version": st.sampled_from(["1.19", "1.20", "1.19.5"]), "values": st.dictionaries(TEXTS, TEXTS)}
    ),
    hubble=st.fixed_dictionaries({}, optional={"enabled": st.booleans(), "metrics": st.lists(TEXTS, max_size=2)}),
    downloads=st.fixed_dictionaries({}, optional={"bundle": TEXTS.filter(bool), "noProxy": st.lists(TEXTS)}),
)


@given(SPECS)
def test_the_command_line_says_the_same_as_the_specification(made: ClusterSpec) -> None:
    assert from_command(command_line(made, DEFAULT)) == made


@given(SPECS)
def test_the_file_says_the_same_as_the_specification(made: ClusterSpec) -> None:
    assert resolve([Layer("x", yaml.safe_load(to_yaml(made)))]).document.spec == made


@given(st.sampled_from([item.id for item in QUESTIONS if item.kind is Kind.TEXT]), st.text(max_size=12))
def test_no_text_breaks_the_form(key: str, text: str) -> None:
    made = form(source="mirror", k3s__release="exact", cilium__version="exact").with_answer(key, text)
    reading = made.read()
    made.with_answer("source", "bundle").read()
    if not reading.wrong:
        assert form(reading.spec).read().spec == reading.spec
