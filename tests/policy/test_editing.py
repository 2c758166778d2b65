"""What an editor asks: tokens of a line, the place of the cursor, what may stand there."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.policy.editing.completion import Completion
from installer.domain.policy.editing.place import Place, place_at
from installer.domain.policy.editing.tokens import tokens
from installer.domain.policy.model import Knowledge, KubeService, pod
from installer.domain.policy.world import Pod, World

TEXT = """\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: a
  namespace: demo
spec:
  endpointSelector:
    matchLabels:
      app: |
  ingress:
  - fromEndpoints:
    - matchLabels:
        tier: x
        |
    toPorts:
    - ports:
      - port: "|
        protocol: |
    - |
  - fromEntities:
    - |
  egress:
  - toEndpoints:
    - matchLabels:
        k8s:io.kubernetes.pod.namespace: |
  - toServices:
    - k8sService:
        serviceName: |
  enableDefaultDeny:
    ingress: |
  |"""


def world() -> World:
    labels = [("demo", {"app": "front", "tier": "x"}), ("demo", {"app": "back", "tier": "y"}), ("ops", {"app": "p8s"})]
    pods = [
        Pod(pod(namespace, own, ports=(("http", 8080, "TCP"),)), namespace, own["app"]) for namespace, own in labels
    ]
    services = (KubeService("demo", "backend"),)
    return World(
        pods=tuple(pods), knowledge=Knowledge(services=services), namespaces={"demo": {}, "ops": {}, "empty": {}}
    )


def places() -> list[Place]:
    """Return the place of every | of the text, each with the others taken out."""
    found = []
    for row, line in enumerate(TEXT.splitlines()):
        if "|" in line:
            lines = TEXT.replace("|", "").splitlines()
            found.append(place_at(lines, row, line.index("|")))
    return found


def test_places() -> None:
    found = [(place.path, place.key, place.prefix) for place in places()]
    first = ("spec", "ingress", 0)
    assert found == [
        (("spec", "endpointSelector", "matchLabels"), "app", ""),
        ((*first, "fromEndpoints", 0, "matchLabels"), "", ""),
        ((*first, "toPorts", 0, "ports", 0), "port", '"'),
        ((*first, "toPorts", 0, "ports", 0), "protocol", ""),
        ((*first, "toPorts", 1), "", ""),
        (("spec", "ingress", 1, "fromEntities", 0), "", ""),
        (("spec", "egress", 0, "toEndpoints", 0, "matchLabels"), "k8s:io.kubernetes.pod.namespace", ""),
        (("spec", "egress", 1, "toServices", 0, "k8sService"), "serviceName", ""),
        (("spec", "enableDefaultDeny"), "ingress", ""),
        (("spec",), "", ""),
    ]


def test_proposals() -> None:
    completion = Completion(world())
    found = [[(one.label, one.detail) for one in completion.at(place)] for place in places()]
    assert found[0] == [("front", "1 pod"), ("back", "1 pod")] or sorted(found[0]) == [
        ("back", "1 pod"),
        ("front", "1 pod"),
    ]
    assert ("app", "1 pod") in found[1]  # of the pods with tier=x
    assert ("tier", "2 pods") not in found[1]  # stands there already
    assert ("8080", "http/TCP, 3 pods") in found[2]
    assert [label for label, _ in found[3]][:3] == ["TCP", "UDP", "SCTP"]
    assert "ports" in [label for label, _ in found[4]]
    assert "world" in [label for label, _ in found[5]]
    assert ("ops", "1 pod") in found[6]
    assert found[7] == [("backend", "demo")]
    assert [label for label, _ in found[8]] == ["true", "false"]
    keys = [label for label, _ in found[9]]
    assert "ingressDeny" in keys
    assert "ingress" not in keys


def test_a_port_is_written_as_text_for_cilium_and_as_a_number_for_kubernetes() -> None:
    completion = Completion(world())
    lines = "kind: NetworkPolicy\nspec:\n  ingress:\n  - ports:\n    - port: ".splitlines()
    assert completion.at(place_at(lines, 4, len(lines[4])))[0].insert == "8080"
    assert completion.at(places()[2])[0].insert == '"8080"'


def test_words_that_only_hold_what_was_typed_come_last() -> None:
    lines = ["spec:", "  Deny"]
    assert [one.label for one in Completion(World()).at(place_at(lines, 1, 6))] == [
        "enableDefaultDeny",
        "ingressDeny",
        "egressDeny",
    ]


def test_proposals_that_are_no_plain_words_are_quoted() -> None:
    odd = World(pods=(Pod(pod("demo", {"app": "1.5", "on": "true"}), "demo", "x"),))
    completion = Completion(odd)
    lines = ["metadata:", "  namespace: demo", "spec:", "  endpointSelector:", "    matchLabels:", "      app: "]
    (value,) = completion.at(place_at(lines, 5, 11))
    assert value.insert == '"1.5"'
    lines[5] = "      "
    assert {one.insert for one in completion.at(place_at(lines, 5, 6))} >= {'"on": '}


def test_a_second_document_is_a_place_of_its_own() -> None:
    lines = ["kind: NetworkPolicy", "---", "kind: CiliumNetworkPolicy", "spec:", "  "]
    place = place_at(lines, 4, 2)
    assert place.kind == "CiliumNetworkPolicy"
    assert place.path == ("spec",)


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("kind: CiliumNetworkPolicy", ["key", "mark", "string"]),
        ('  - port: "80" # why', ["mark", "key", "mark", "string", "comment"]),
        ("- k8s:app: web", ["mark", "key", "mark", "string"]),
        ("a: true", ["key", "mark", "word"]),
        ("a: -1.5", ["key", "mark", "number"]),
        ("---", ["document"]),
        ("\tspec:", ["tab", "key", "mark"]),
        ("  # only a comment: here", ["comment"]),
        ("", []),
    ],
)
def test_tokens(line: str, kinds: list[str]) -> None:
    assert [token.kind for token in tokens(line)] == kinds


@given(st.text(max_size=60))
def test_tokens_of_any_line_lie_in_it_and_do_not_overlap(line: str) -> None:
    end = 0
    for token in tokens(line):
        assert end <= token.start < token.end <= len(line)
        end = token.end


@given(st.lists(st.text(alphabet=" -:ab#\"'|[]{}\t", max_size=12), min_size=1, max_size=12), st.data())
def test_every_place_of_any_text_can_be_asked_for(lines: list[str], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(lines) - 1))
    column = data.draw(st.integers(0, len(lines[row])))
    place = place_at(lines, row, column)
    assert lines[row][:column].endswith(place.prefix)
    Completion(World()).at(place)


KEYS = st.sampled_from(["a", "b", "spec", "ingress"])
DATA = st.recursive(
    st.sampled_from(["x", "y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, DATA, min_size=1, max_size=3))
def test_plain_values_of_valid_yaml_have_the_path_that_a_reader_gives_them(data: dict[str, object]) -> None:
    text = yaml.safe_dump(data, default_flow_style=False, sort_keys=False)
    fields = place_at([*text.splitlines(), ""], text.count("\n"), 0).fields
    for path, value in fields.items():
        if value and value not in ("[]", "{}"):
            found: object = data
            for part in path:
                found = found[part]  # type: ignore[index]
            assert found == value
