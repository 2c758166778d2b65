"""What the Kernel screen does."""

from __future__ import annotations

import asyncio

import pytest

from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.flows.feed import Flows, Notice
from installer.services.kernel_proof import KernelReport
from installer.services.kernel_watch import KernelWatch
from installer.tui.flows.screen import FlowsScreen
from installer.tui.kernel.drops import DropTarget, ReasonTarget
from installer.tui.kernel.proof import FeatureTarget
from tests.support.cockpit import cockpit_of
from tests.support.tap import HOSTILE, ScriptedTap, busy, denied, drop, hostile, losses, sample, tapping
from tests.tui.kernel.conftest import OpenNode, prove

SIZES = [(60, 20), (80, 24), (120, 36), (200, 60)]


async def test_the_proof_is_made_when_asked_for(open_node: OpenNode) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(spec: object) -> KernelReport:
        begun.set()
        await go_on.wait()
        return await prove(None)

    async with open_node(services={"kernel_proof": slow}) as node:
        await node.sees("r tries this kernel")
        assert not begun.is_set()
        await node.press("r")
        await node.sees("being tried")
        await node.press("t", "p")  # nothing stands still meanwhile
        go_on.set()
        await node.sees("6 missing", "needed and missing: 1", "WireGuard device", "missing")
        assert isinstance(node.screen.target, FeatureTarget)
        assert node.screen.details_text().startswith("WireGuard device")  # what is missing and needed comes first


async def test_details_of_a_feature_hold_both_witnesses_and_who_needs_it(open_node: OpenNode) -> None:
    async with open_node() as node:
        await node.press("r")
        await node.sees("WireGuard device")
        said = node.screen.details_text()
        for words in ("answer  missing", "speaks against it", "WireGuard between nodes (cilium.encryption)", "fix  "):
            assert words in said
        await node.press("enter")
        await node.sees("speaks against it")
        await node.press("escape")
        await node.until(lambda: "speaks against it" not in node.text)


async def test_a_proof_that_fails_is_told(open_node: OpenNode) -> None:
    async def no(spec: object) -> KernelReport:
        raise BeeyardError("the host cannot be looked at", why="/proc is away", fix="Mount it.", code="E-HOST-009")

    async with open_node(services={"kernel_proof": no}) as node:
        await node.press("r")
        await node.sees("the host cannot be looked at", "/proc is away", "Mount it.", "E-HOST-009")


async def test_the_tap_is_off_until_it_is_started(open_node: OpenNode) -> None:
    async with open_node() as node:
        await node.press("t")
        await node.sees("TAP OFF", "s starts it")
        assert not node.tap.wishes
        await node.start()
        await node.sees("TAP ON", "lost 17", "shop/frontend-0", "1.2 MB")
        await node.press("s")
        await node.sees("TAP OFF")
        assert node.tap.detached == 1
        assert "shop/frontend-0" in node.text  # what was told stays


async def test_without_root_it_says_so_before_it_is_tried(open_node: OpenNode) -> None:
    async with open_node(services={"root": False}) as node:
        await node.press("t")
        await node.sees("It needs root", "sudo beeyard")


async def test_a_host_that_cannot_tells_why_and_what_helps(open_node: OpenNode) -> None:
    async with open_node(tap=ScriptedTap()) as node:
        await node.press("v", "s")
        await node.until(lambda: node.tap.wishes)
        await node.sees("TAP STARTING", "compiled")
        node.tap.tell(
            RefusedError("bcc is not there", why="No module.", fix="apt-get install python3-bpfcc", code="E-BPF-003")
        )
        await node.sees("TAP FAILED", "bcc is not there", "No module.", "apt-get install python3-bpfcc", "E-BPF-003")
        await node.press("s")
        await node.until(lambda: len(node.tap.wishes) == 2)


async def test_the_taps_process_dies(open_node: OpenNode) -> None:
    async with open_node() as node:
        await node.start()
        node.tap.tell(BeeyardError("The tap's process ended", fix="Start it again.", code="E-BPF-010"))
        await node.sees("TAP FAILED", "The tap's process ended. Start it again.", "shop/frontend-0")
        await node.press("s")
        await node.sees("TAP ON")


async def test_drops_by_reason_and_their_meaning(open_node: OpenNode) -> None:
    async with open_node(size=(120, 36)) as node:
        await node.start("v")
        await node.sees("TC_INGRESS", "NETFILTER_DROP", "NO_SOCKET")
        assert isinstance(node.screen.target, ReasonTarget)
        await node.sees("entrance (tc) dropped it", "sch_handle_ingress")


async def test_the_doctor_joins_kernel_hubble_and_policies(open_node: OpenNode) -> None:
    async with open_node(areas=("kernel", "policies"), size=(120, 36)) as node:
        await node.start("d")
        await node.until(lambda: node.watch.doctor.heard(denied()))
        wanted = next(one for one in node.watch.board.drops.distinct() if one.reason == "TC_INGRESS")
        node.screen.rows.mark(DropTarget(wanted.key))
        await node.sees("DROPPED TC_INGRESS", "hubble  why: Policy denied", "policies  ", "fix  ", "P drafts")


async def test_connections_and_questions(open_node: OpenNode) -> None:
    async with open_node(size=(120, 36)) as node:
        await node.start("c")
        await node.sees("retransmits 6", "resets 1", "p50 1", "198.51.100.7:443")
        await node.press("n")
        await node.sees("NXDOMAIN 1", "nope.shop.svc.cluster.local.", "asked 2", "failed 1")


async def test_the_filter_holds_for_every_view(open_node: OpenNode) -> None:
    async with open_node() as node:
        await node.start()
        await node.press("slash", *"reason=netfilter_drop", "enter")
        await node.sees("Nothing passes the filter")
        await node.press("d")
        await node.sees("198.51.100.9:25")
        assert "TC_INGRESS" not in node.text
        await node.press("escape")
        await node.sees("TC_INGRESS")


async def test_a_picture_that_stands_still(open_node: OpenNode) -> None:
    async with open_node() as node:
        await node.start()
        await node.press("space")
        await node.sees("PAUSED")
        node.tap.tell(Flows([sample("api", "cart", 9_999_999)]))
        await node.until(lambda: len(node.watch.board.traffic) == 5)
        assert "10.0 MB" not in node.text
        await node.press("space")
        await node.sees("10.0 MB")


async def test_losses_are_always_told(open_node: OpenNode) -> None:
    async with open_node([sample("cart", "api", 100)], size=(60, 20)) as node:
        await node.start("n")
        await node.sees("lost 0")
        node.tap.tell(Flows(losses(shed=12345)))
        await node.sees("lost 12,345", "new flows too fast: 12,345")


async def test_leaving_detaches_the_tap_and_coming_back_starts_it(open_node: OpenNode) -> None:
    async with open_node(areas=("kernel", "overview")) as node:
        await node.start()
        await node.press("question_mark")  # a dialog over it is no leaving
        await node.press("escape")
        assert node.tap.detached == 0
        await node.press("2")
        await node.until(lambda: node.tap.detached == 1 and node.watch.word == "off")
        await node.press("5")
        await node.sees("TAP ON")
        assert len(node.tap.wishes) == 2
        await node.press("s")
        await node.until(lambda: node.tap.detached == 2)
        await node.press("2", "5")
        assert len(node.tap.wishes) == 2  # it was off


async def test_quitting_detaches_the_tap(open_node: OpenNode) -> None:
    async with open_node() as node:
        await node.start()
        tap = node.tap
        await node.pilot.press("q")
    assert tap.detached == 1


async def test_what_is_watched_can_be_changed(open_node: OpenNode) -> None:
    async with open_node() as node:
        await node.press("t", "a")
        assert not node.tap.wishes
        await node.start()
        assert node.tap.wishes[-1].routine
        await node.press("w")
        await node.until(lambda: len(node.tap.wishes) == 2 and node.watch.word == "on")
        assert node.tap.wishes[-1].interval == 5.0
        assert node.watch.board.traffic.interval == 5.0
        assert node.tap.detached == 1


async def test_a_row_is_shown_in_flows_from_the_tap(open_node: OpenNode) -> None:
    async with open_node(areas=("kernel", "flows"), size=(120, 36)) as node:
        await node.start("c")
        await node.press("o")
        await node.until(lambda: isinstance(node.pilot.app.screen, FlowsScreen))
        flows = node.pilot.app.screen
        assert isinstance(flows, FlowsScreen)
        await node.until(lambda: flows.feed.choice.kind == "tap" and node.hubble.requests[-1].choice.kind == "tap")
        assert flows.filter_bar.expression == "ip=10.42.0.11 and ip=198.51.100.7 and port=443"
        assert flows.where is not None
        assert flows.where.text
        await node.until(lambda: node.tap.detached == 1)


@pytest.mark.parametrize(
    ("view", "expression"),
    [
        ("v", "reason=TC_INGRESS"),
        ("t", "ip=10.42.0.11 and ip=10.42.0.13"),
        ("n", "dns.query=nope.shop.svc.cluster.local."),
    ],
)
async def test_the_filter_that_a_row_stands_for(open_node: OpenNode, view: str, expression: str) -> None:
    async with open_node() as node:
        await node.start(view)
        assert node.screen.clause() == expression


async def test_a_policy_is_drafted_only_where_one_denies(open_node: OpenNode) -> None:
    async with open_node(areas=("kernel", "policies"), size=(120, 36)) as node:
        await node.start("d")
        await node.until(lambda: node.watch.doctor.heard(denied()))
        drops = {one.reason: DropTarget(one.key) for one in node.watch.board.drops.distinct()}
        node.screen.rows.mark(drops["NETFILTER_DROP"])
        await node.press("P")
        await node.sees("No policy denies it")
        node.screen.rows.mark(drops["TC_INGRESS"])
        await node.press("P")
        await node.sees("Let it through")
        assert cockpit_of(node.pilot).current_mode == "policies"


async def test_what_only_the_kernel_saw(open_node: OpenNode) -> None:
    async with open_node([sample("198.51.100.1", "198.51.100.2", 9)], size=(120, 36)) as node:
        await node.press("m")
        await node.sees("The comparison needs the tap")
        await node.start("m")
        await node.until(lambda: node.watch.hubble.word == "there")
        node.clock.now += 10
        node.tap.tell(Flows([sample("frontend", "api", 500, ports=(50009, 8080))]))
        node.watch._heard -= 60
        await node.sees("only the kernel 1")
        await node.press("down", "up")
        await node.sees("the kernel, not by Hubble", "shop/frontend-0:50009")


async def test_without_a_cluster_the_tap_works_and_the_comparison_says_why_not(open_node: OpenNode) -> None:
    async with open_node(cluster=False) as node:
        await node.start("m")
        await node.sees("no cluster is connected")
        await node.press("t")
        await node.sees("shop/frontend-0")


async def test_notes_of_the_tap_are_told(open_node: OpenNode) -> None:
    async with open_node([sample("cart", "api", 100)]) as node:
        await node.start()
        node.tap.tell(Notice("E-BPF-021", "compiled with the headers of 6.1"))
        await node.sees("compiled with the headers of 6.1")


@pytest.mark.parametrize("view", ["t", "v", "d", "c", "n"])
async def test_names_are_shown_literally(open_node: OpenNode, view: str) -> None:
    async with open_node(hostile(), size=(200, 60)) as node:
        await node.start(view)
        if view in "tdn":
            await node.sees("evil[bold red]\\x1b[31m\\u202e")
        assert HOSTILE not in node.text
        assert "\x1b" not in node.screen.details_text()


async def test_details_can_be_copied(open_node: OpenNode) -> None:
    async with open_node() as node:
        await node.start()
        await node.press("y")
        assert "shop/frontend-0:40000 -> shop/api-0:8080 TCP" in node.pilot.app.clipboard


async def test_forgetting_begins_from_zero(open_node: OpenNode) -> None:
    async with open_node() as node:
        await node.start("v")
        await node.press("x")
        await node.sees("dropped nothing yet", "lost 0")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_every_view_with_and_without_details_in_every_size(open_node: OpenNode, size: tuple[int, int]) -> None:
    async with open_node(size=size) as node:
        await node.start()
        for _ in range(7):
            await node.press("f6")
            await node.press("enter", "down", "pagedown", "escape", "down", "end", "home")
        await node.press("shift+f6")


async def test_it_works_with_the_keyboard_alone_and_without_colours(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_node(size=(80, 24)) as node:
        await node.press("r")
        await node.sees("missing", "works")
        await node.start("d")
        await node.press("enter")
        await node.sees("DROPPED ")


async def test_no_tap_is_built_in(open_node: OpenNode) -> None:
    async with open_node(services={"taps": None, "kernel_proof": None}) as node:
        await node.press("r", "t", "s")
        await node.sees("No tap is built into this cockpit")


async def test_a_flood_is_taken_in_portions(open_node: OpenNode) -> None:
    tap = tapping()
    async with open_node(tap=tap) as node:
        await node.press("t", "s")
        await node.until(lambda: node.watch.word == "on")
        for number in range(40):
            tap.tell(Flows([drop("cart", f"10.9.{number}.{last}", "NO_SOCKET") for last in range(100)]))
        await node.until(lambda: node.watch.board.told.total == 4000)
        await node.press("d", "end")
        await node.sees("1,700 more")


async def test_the_watch_knows_this_host(open_node: OpenNode) -> None:
    async with open_node(busy()) as node:
        await node.start()
        assert isinstance(node.watch, KernelWatch)
        assert not node.watch.foreign
