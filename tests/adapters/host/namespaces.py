"""Hosts made in namespaces: scripts that make them, and what is found there."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
NAMESPACES = (
    *("unshare", "--net", "--uts", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc"),
    *("sh", "-c"),
)
GATHER = f"{shlex.quote(sys.executable)} -m tests.adapters.host.gathering"
NETWORK = """
ip link set lo up
ip link add eth7 type veth peer name peer7; ip link set peer7 up; ip link set eth7 up
ip addr add 192.0.2.2/24 dev eth7; ip route add default via 192.0.2.1
"""
# What a mount namespace needs so that the host's own files stay out of the way.
BARE = """
for folder in /etc/cni /etc/rancher /var/lib/rancher /var/lib/beeyard /usr/local/bin; do
  mkdir -p $folder; mount -t tmpfs tmpfs $folder
done
mount -t tmpfs tmpfs /etc/init.d
"""


def run(script: str, **environment: str) -> str:
    """Run a script as root of fresh namespaces and return what it prints."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [*NAMESPACES, f"set -e\n{script}"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def look(script: str, *listen: str, wanted: str = "", **environment: str) -> dict[str, Any]:
    """Run a script as root of fresh namespaces, then gather there."""
    told: dict[str, Any] = json.loads(run(f"{script}\nexec {GATHER} {' '.join(listen)} -- {wanted}", **environment))
    return told


def codes(told: dict[str, Any]) -> set[str]:
    """Return the codes of all findings."""
    return {finding["code"] for finding in told["findings"]}


def finding(told: dict[str, Any], code: str) -> dict[str, Any]:
    """Return the first finding with a code."""
    found: dict[str, Any] = next(one for one in told["findings"] if one["code"] == code)
    return found


def tool(name: str, **answers: str) -> str:
    """Return the script that puts a program in place which prints recorded answers.

    Args:
        name: program.
        answers: output by arguments, ``_`` standing for a space, in the keys of a mapping given as ``**{...}``.
    """
    cases = "".join(f"  {shlex.quote(words)}) cat <<'EOT'\n{text}\nEOT\n  ;;\n" for words, text in answers.items())
    body = f'#!/bin/sh\ncase "$*" in\n{cases}  *) exit 1 ;;\nesac\n'
    return f"cat >/usr/local/bin/{name} <<'EOP'\n{body}EOP\nchmod +x /usr/local/bin/{name}\n"


def process(name: str) -> str:
    """Return the script that starts a process of a name, as ``/proc`` shows it."""
    return (
        f"cp /bin/sleep /usr/local/bin/{name}; /usr/local/bin/{name} 1000 & "
        f"until grep -q {name[:15]} /proc/$!/comm; do sleep 0.05; done\n"
    )


def files(**contents: str) -> str:
    """Return the script that writes files, each below a fresh tmpfs where its folder is one of the host's."""
    lines = []
    for path, text in contents.items():
        lines.append(f"mkdir -p $(dirname {path}); printf %s {shlex.quote(text)} >{path}")
    return "\n".join(lines) + "\n"


def fresh(*folders: str) -> str:
    """Return the script that hides what the host has in folders."""
    return "".join(f"mkdir -p {folder}; mount -t tmpfs tmpfs {folder}\n" for folder in folders)
