"""Measures typing in the Policies screen; see ``scripts/bench/tui_policies``."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from installer.domain.policy.editing.completion import Completion
from installer.domain.policy.editing.place import place_at
from installer.tui.app import Cockpit
from installer.tui.areas import AREAS
from installer.tui.policies.screen import PoliciesScreen
from installer.tui.settings import Settings
from tests.support.policies import PolicyKube, policy, shop_services, workload

KEYS = 15
HEAD = """\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: big
  namespace: shop
spec:
  endpointSelector:
    matchLabels:
      app: app1
  ingress:
"""
RULE = """\
  - fromEndpoints:
    - matchLabels:
        app: app{app}
        k8s:io.kubernetes.pod.namespace: shop
    toPorts:
    - ports:
      - port: "{port}"
        protocol: TCP
"""


def text_of(lines: int) -> str:
    """Return a policy of about so many lines."""
    rules = (lines - HEAD.count("\n")) // RULE.count("\n")
    return HEAD + "".join(RULE.format(app=number % 40, port=1000 + number) for number in range(rules))


async def main(lines: int) -> None:
    """Type, and measure."""
    pods = [one for number in range(100) for one in workload("shop", f"app{number}", 2)]
    kube = PolicyKube(*(policy(f"p{number}", f"app{number}", "app1") for number in range(50)), pods=pods)
    with tempfile.TemporaryDirectory() as folder:
        areas = [area for area in AREAS if area.id == "policies"]
        app = Cockpit(shop_services(kube, Path(folder)), Settings(), area="policies", areas=areas)
        async with app.run_test(size=(120, 36)) as pilot:
            screen = app.screen
            assert isinstance(screen, PoliciesScreen)
            await screen.loaded.wait()
            await screen.show_draft(screen.desk.new(text_of(lines)))
            await settled(screen)
            await pilot.pause(0.5)
            quick, deep = await typed(screen)
            report(f"key to what the API would refuse, {lines} lines", quick)
            report(f"key to all findings, {lines} lines", deep)
            report("list of proposals", proposals(screen, lines))


async def settled(screen: PoliciesScreen) -> None:
    """Wait until the text was looked at."""
    while not (  # noqa: ASYNC110 - nothing tells of it
        screen.checked is not None
        and screen.checked.deep
        and screen.editor is not None
        and screen.checked.text == screen.editor.text
    ):
        await asyncio.sleep(0.001)


async def typed(screen: PoliciesScreen) -> tuple[list[float], list[float]]:
    """Type at the end of a value, and return the times until the first and until all findings."""
    quick, deep = [], []
    editor = screen.editor
    assert editor is not None
    editor.go_to_line(13, 99)
    for number in range(KEYS):
        start = time.perf_counter()
        editor.insert(str(number % 10))
        await asyncio.sleep(0)
        while screen.checked is None or screen.checked.text != editor.text:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        quick.append(time.perf_counter() - start)
        await settled(screen)
        deep.append(time.perf_counter() - start)
        await asyncio.sleep(0.3)
    return quick, deep


def proposals(screen: PoliciesScreen, lines: int) -> list[float]:
    """Return the times of lists of proposals at the end of the text."""
    text = text_of(lines).splitlines()
    found = []
    for _ in range(KEYS):
        start = time.perf_counter()
        assert Completion(screen.desk.world).at(
            place_at([*text, "  - fromEndpoints:", "    - matchLabels:", "        app: "], len(text) + 2, 13)
        )
        found.append(time.perf_counter() - start)
    return found


def report(what: str, seconds: list[float]) -> None:
    """Print median and 95th percentile."""
    ordered = sorted(seconds)
    middle, late = statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
    print(f"{what}: median {middle * 1000:.0f} ms, p95 {late * 1000:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
