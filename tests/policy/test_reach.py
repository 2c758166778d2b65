"""Who may talk to whom, as a graph."""

from __future__ import annotations

import json

from installer.domain.policy.impact import group
from installer.domain.policy.reach import Edge, as_json, as_mermaid, as_text, isolation, reach
from tests.policy.clusters import Raw, policy, world

WEB = policy(
    {
        "endpointSelector": {"matchLabels": {"app": "web"}},
        "ingress": [
            {
                "fromEndpoints": [{"matchLabels": {"app": "front"}}],
                "toPorts": [{"ports": [{"port": "8080", "protocol": "TCP"}], "rules": {"http": [{}]}}],
            },
            {"fromEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "ops"}}]},
        ],
    }
)


def edges(*policies: Raw) -> list[Edge]:
    cluster = world(*policies)
    return reach(cluster.engine(), {group(peer): peer for peer in cluster.peers})


def test_edges_name_ports_and_l7() -> None:
    found = {(edge.source, edge.dest): edge for edge in edges(WEB)}
    front = found["shop/front", "shop/web"]
    assert (front.ports, front.l7, front.ruled) == (("8080/TCP",), ("8080/TCP",), True)
    assert found["ops/prom", "shop/web"].ports == ("all",)
    assert ("kube-system/kube-dns", "shop/web") not in found
    assert not found["shop/web", "shop/front"].ruled
    assert ("world", "shop/web") not in found


def test_the_own_node_gets_in() -> None:
    assert {edge.source for edge in edges(WEB) if edge.dest == "shop/web"} == {"shop/front", "ops/prom", "host"}


def test_text_condenses_what_no_policy_says() -> None:
    text = as_text(edges(WEB))
    assert text.count("(no policy)") == len({edge.dest for edge in edges(WEB)})
    block = text.split("shop/web\n")[-1]
    assert "  <- shop/front  8080/TCP (L7)" in block
    assert "anyone (8)" in text


def test_text_names_a_few_where_rules_stand_beside() -> None:
    found = [Edge(f"s{number}", "d", ("all",), ruled=False) for number in range(6)]
    text = as_text([*found, Edge("x", "d", ("80/TCP",))])
    assert text.splitlines() == ["d", "  <- x  80/TCP", "  <- s0, s1, s2, s3 and 2 more  all  (no policy)"]


def test_unknown_ports_are_shown_each() -> None:
    assert as_text([Edge("a", "b", ("80/TCP",), unknown=("443/TCP",))]) == "b\n  <- a  80/TCP, 443/TCP unknown"


def test_isolation() -> None:
    cluster = world(WEB)
    found = isolation(cluster.engine(), {group(peer): peer for peer in cluster.peers})
    assert found["shop/web"] == {"ingress": True, "egress": False}


def test_mermaid_and_json() -> None:
    found = edges(WEB)
    chart = as_mermaid(found)
    assert chart.startswith("flowchart LR\n")
    assert '["shop/web"]' in chart
    assert len(json.loads(as_json(found))["edges"]) == len(found)


def test_names_cannot_break_out_of_a_chart() -> None:
    assert '"]' not in as_mermaid([Edge('a"]<b>', "c", ("all",))]).splitlines()[1].removesuffix('"]')
