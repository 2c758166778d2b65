"""What an install takes for the host of before, where an earlier uninstall has kept a cluster's data."""

from __future__ import annotations

from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.services.host_look import without_kept

KEPT = ("/var/lib/rancher/k3s/server", "/etc/rancher/node")


def names(*files: str) -> list[str]:
    inventory = Inventory([Item(Kind.FILE, name) for name in files] + [Item(Kind.LINK, "/etc/rancher/node")])
    return [item.name for item in without_kept(inventory, KEPT) if item.kind is Kind.FILE]


def test_kept_data_and_folders_that_hold_only_it_are_nobody_elses() -> None:
    folders = ("/var/lib/rancher", "/var/lib/rancher/k3s", "/etc/rancher")
    assert names(*folders, "/var/lib/rancher/k3s/server/token", "/etc/rancher/node", "/etc/rancher/node/password") == []
    assert names(*folders, "/etc/rancher/k3s", "/etc/rancher/k3s/registries.yaml") == [
        "/etc/rancher", "/etc/rancher/k3s", "/etc/rancher/k3s/registries.yaml",
    ]  # fmt: skip
    assert names("/var/lib/rancher/k3s-of-mine", *folders[:2]) == ["/var/lib/rancher/k3s-of-mine", "/var/lib/rancher"]


def test_without_kept_data_all_counts() -> None:
    inventory = Inventory([Item(Kind.FILE, "/var/lib/rancher")])
    assert without_kept(inventory, ()) is inventory
