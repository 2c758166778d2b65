"""Looks at and clears the host that it runs on, for tests in namespaces: ``STATE keep | judge | clear | now``.

The specification of the cluster is STATE's ``inventory/scope.json``. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from installer.adapters.host.files import LocalFiles
from installer.adapters.host.processes import LocalProcesses
from installer.adapters.store.host_memory import FileMemory
from installer.adapters.store.kubeconfig_file import Invoker, KubeconfigFile
from installer.domain.residue.inventory import Inventory, Kind
from installer.domain.residue.judge import Changed, Judgement, judge
from installer.domain.residue.report import Report
from installer.domain.residue.scope import Choice, from_dict
from installer.pipeline.run import Tools
from installer.pipeline.steps.removal.context import Removal, take
from installer.wiring.uninstall import areas

ROUNDS = 8


def told(judgement: Judgement) -> dict[str, Any]:
    return Report(judgement).to_dict()


def facts(inventory: Inventory) -> list[Any]:
    return sorted([str(item.kind), item.name, item.facts] for item in inventory)


async def main(state: Path, verb: str) -> Any:
    files = LocalFiles()
    memory = FileMemory(state, files, logs=state / "logs")
    home = Path("/run/home")
    tools = SimpleNamespace(
        processes=LocalProcesses(), files=files, kubeconfigs=KubeconfigFile(files, {}, Invoker(home))
    )
    scope = from_dict(json.loads((state / "inventory/scope.json").read_text()))
    keep = verb == "keep"
    everything = areas(cast("Tools", tools), Choice(), memory, deep=keep)
    if keep:
        memory.keep(await take(everything, scope))
        return {}
    removal = Removal(scope, Choice(), everything, memory, before=memory.before())
    kinds = tuple(kind for kind in Kind if kind is not Kind.PROCESS)
    judgement = await removal.judge(kinds)
    if verb == "judge":
        return told(judgement)
    if verb == "clear":
        failures: list[str] = []
        for _ in range(ROUNDS):
            if judgement.clean:
                break
            await removal.clear(judgement)
            failures += removal.failures
            judgement = await removal.judge(kinds)
        return {**told(judgement), "failures": failures}
    now = await removal.look(kinds)
    lasting = [one for one in judge(removal.before, now, scope, kinds).drift if not one.passing]
    return {"items": facts(now), "drift": [_line(one) for one in lasting]}


def _line(change: Changed) -> str:
    return f"{change.item.kind} {change.item.name} {change.how}"


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))))
