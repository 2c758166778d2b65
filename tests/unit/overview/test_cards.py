"""What the overview's cards say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from installer.domain.errors import ConnectError
from installer.domain.overview import Overview
from installer.domain.readiness_rules import Facts
from installer.domain.status_rules.assemble import assemble
from installer.tui.overview.ages import age
from installer.tui.overview.cards import Card, Level, Row
from installer.tui.overview.compose import make_cards
from installer.tui.overview.layout import GAP, allot, fit_columns
from tests.support.overviews import NOW, calm, crowd, readings, status_of, troubled
from tests.support.recordings import changed, healthy, items


def cards(overview: Overview, error: ConnectError | None = None) -> dict[str, Card]:
    return {card.id: card for card in make_cards(overview, error, NOW)}


def row(card: Card, start: str) -> Row:
    return next(one for one in card.rows if one.cells[0].startswith(start))


def test_a_healthy_cluster_is_calm() -> None:
    found = cards(calm())
    assert {card.id: card.summary for card in found.values()} == {
        "problems": "none",
        "nodes": "1/1 ready",
        "components": "3/3 ready",
        "agents": "1 asked",
        "namespaces": "4/4 managed",
        "versions": "1 hint",
        "certificates": "362 days left",
        "events": "10",
    }
    assert max(card.level for card in found.values()) == Level.HINT
    assert [one.cells[0] for one in found["versions"].rows] == ["cilium", "Cilium", "Kubernetes"]


def test_every_red_thing_leads_to_its_explanation() -> None:
    for card in cards(troubled()).values():
        for one in card.rows:
            if one.level is Level.ERROR:
                labels = {label for label, _ in one.detail.parts}
                assert one.detail.code or card.id == "agents", one
                assert "Fix" in labels, one
                assert labels & {"Cause", "Evidence", "Failing", "State"}, one


def test_a_problem_has_its_evidence_apart_and_events_beside_it() -> None:
    first = cards(troubled())["problems"].rows[1]
    parts = dict(first.detail.parts)
    assert first.detail.code == "E-POD-003"
    assert 'Back-off pulling image "quay.io/cilium/hubble-relay:v1.16.1"' in parts["Evidence"]
    assert "registry" in parts["Fix"]


def test_the_cause_stands_first_with_its_evidence_and_fix() -> None:
    first = cards(troubled())["problems"].rows[0]
    parts = dict(first.detail.parts)
    assert first.detail.code == "E-DIA-029"
    assert 'Back-off pulling image "quay.io/cilium/hubble-relay:v1.16.1"' in parts["Evidence"]
    assert "registries.yaml" in parts["Fix"]
    assert "E-POD-003" in parts["Follows"]


def test_a_refusal_names_verb_and_resource_and_hides_nothing_else() -> None:
    found = cards(troubled())
    refused = row(found["problems"], "not read")
    assert dict(refused.detail.parts)["Missing"] == "verb 'list' on 'secrets' in namespace 'kube-system'"
    assert refused.level is Level.HINT
    assert found["nodes"].rows[0].level is Level.OK


def test_a_kind_that_may_not_be_read_stands_in_its_card() -> None:
    status = troubled().status
    assert status is not None
    unread = replace(status.unread_details[0], part="nodes", resource="nodes")
    found = cards(Overview(status_of(calm(), nodes=(), unread_details=(unread,))))
    assert found["nodes"].rows[0].cells[0] == "not read"
    assert "problems" in found


def test_without_cilium_the_problem_says_so() -> None:
    found = cards(Overview(assemble(readings(Facts(nodes=items("nodes")), pods=(), agents=(), relay=None))))
    assert row(found["components"], "cilium").level in (Level.ERROR, Level.WARNING)
    assert any(one.detail.code == "E-READY-002" for one in found["problems"].rows)
    assert found["agents"].rows[0].cells == ("No agent runs.",)


def test_a_disabled_relay_is_no_problem_but_says_what_it_means() -> None:
    facts = replace(
        healthy(), deployments=tuple(one for one in healthy().deployments if "relay" not in str(one["metadata"]))
    )
    found = cards(Overview(assemble(readings(facts, relay=None))))
    relay = row(found["components"], "hubble-relay")
    assert (relay.level, relay.cells[1]) == (Level.OFF, "disabled")
    assert "no flows" in relay.detail.as_text()


def test_before_anything_is_known() -> None:
    found = cards(Overview())
    assert found["problems"].rows[0].cells == ("Reading the cluster.",)
    assert {card.summary for card in found.values()} == {"", "reading"}
    error = ConnectError("the API is out of reach", why="refused", fix="Start it.", code="E-KUBE-001")
    first = cards(Overview(), error)["problems"].rows[0]
    assert (first.level, first.detail.code) == (Level.ERROR, "E-KUBE-001")
    assert first.detail.as_text() == "E-KUBE-001: the API is out of reach\nCause: refused\nFix: Start it."


def test_keys_are_unique_though_things_share_names() -> None:
    status = status_of(calm(), nodes=status_of(calm()).nodes * 2)
    found = cards(Overview(replace(status, errors=status_of(troubled()).errors * 2)))
    for name in ("problems", "components", "namespaces"):
        keys = [one.key for one in found[name].rows]
        assert len(keys) == len(set(keys))


def test_many_pods_are_counted_by_namespace() -> None:
    found = cards(Overview(assemble(crowd())))
    assert found["namespaces"].summary == "490/500 managed"
    assert len(found["namespaces"].rows) == 61
    assert sum(one.level is Level.WARNING for one in found["namespaces"].rows) == 6


def test_a_cordoned_node_under_pressure_is_told_in_words() -> None:
    def trouble(node: dict[str, object]) -> None:
        node["spec"] = {"unschedulable": True}
        for one in node["status"]["conditions"]:  # type: ignore[index]
            one["status"] = {"Ready": "True", "DiskPressure": "True"}.get(one["type"], "False")

    found = cards(Overview(assemble(readings(changed(healthy(), "nodes", "vm", trouble)))))
    node = found["nodes"].rows[0]
    assert (node.cells[1], node.level) == ("Ready, cordoned, DiskPressure", Level.WARNING)
    assert node.detail.code == "E-NODE-004"


@pytest.mark.parametrize(
    ("wanted", "room", "least", "given"),
    [
        ([3, 4], 10, 2, [3, 4]),
        ([9, 4], 10, 2, [6, 4]),
        ([9, 9, 1], 10, 2, [5, 4, 1]),
        ([9, 9], 3, 2, [2, 2]),
        ([], 5, 2, []),
    ],
)
def test_lines_are_shared_out(wanted: list[int], room: int, least: int, given: list[int]) -> None:
    assert allot(wanted, room, least) == given


@pytest.mark.parametrize("room", [0, 1, 5, 20, 36, 80, 200])
def test_columns_always_fit(room: int) -> None:
    for widths in ([], [4], [30, 8, 60], [120, 120, 120, 120], [0, 3]):
        given = fit_columns(widths, room, [1] if len(widths) > 2 else [])
        used = sum(width + GAP for width in given[:-1] if width)
        assert len(given) == len(widths)
        assert not given or used + given[-1] <= max(room, used)
        assert not given or room < 40 or given[-1] > 0


def test_optional_columns_give_way_first() -> None:
    assert fit_columns([20, 12, 60], 100, [1], 60) == [20, 12, 64]
    assert fit_columns([40, 12, 60], 70, [1], 60)[1] == 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0s"), (-5, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (90000, "1d")]
)
def test_ages(seconds: int, words: str) -> None:
    assert age("2026-11-23T08:40:00Z", NOW + seconds) == words


def test_a_time_that_is_none() -> None:
    assert age("", NOW) == "-"
