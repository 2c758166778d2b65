"""A process's name tells whether it lives, has ended, or cannot be known."""

from __future__ import annotations

import subprocess
import sys

from installer.adapters.host.process_identity import is_gone, own_identity

SAY = "from installer.adapters.host.process_identity import own_identity; print(own_identity())"


def test_a_living_process_is_not_gone() -> None:
    assert not is_gone(own_identity())


def test_an_ended_process_and_one_of_another_boot_are_gone() -> None:
    said = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True).stdout.strip()
    assert is_gone(said)
    host, _, pid, start = own_identity().rsplit("/", 3)
    assert is_gone(f"{host}/another-boot/{pid}/{start}")
    assert is_gone("/".join([*own_identity().split("/")[:3], "1"])), "its number was given to another one"


def test_of_other_hosts_and_of_words_nothing_is_known() -> None:
    rest = own_identity().rsplit("/", 3)[1:]
    assert not is_gone("/".join(["elsewhere", *rest]))
    assert not is_gone("")
    assert not is_gone("a/b/c/d")
