"""Looks at the host it runs on and prints facts and findings as JSON; run in namespaces by the tests.

Arguments: ``PROTOCOL:ADDRESS:PORT`` to listen on, then ``--``, then overrides of ``Wanted`` as ``field=value``.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from installer.adapters.host.facts import gather
from installer.adapters.host.processes import LocalProcesses
from installer.domain.preflight import Wanted, check, default_ports


def listen(where: str) -> socket.socket:
    """Open a listening socket."""
    protocol, _, rest = where.partition(":")
    address, _, port = rest.rpartition(":")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    made.bind((address, int(port)))
    if protocol == "tcp":
        made.listen()
    return made


def main() -> None:
    """Listen, gather, check, print."""
    split = sys.argv.index("--")
    sockets = [listen(where) for where in sys.argv[1:split]]
    changes: dict[str, Any] = dict(word.split("=", 1) for word in sys.argv[split + 1 :])
    wanted = Wanted(ports=default_ports(), **changes)
    home = Path(os.environ.get("HOME", "/root"))
    facts = asyncio.run(gather(LocalProcesses(), data_dir=Path(wanted.data_dir), kubeconfigs=[home / ".kube/config"]))
    findings = [finding.to_dict() for finding in check(facts, wanted)]
    print(json.dumps({"pid": os.getpid(), "facts": facts.to_dict(), "findings": findings}))
    for one in sockets:
        one.close()


main()
