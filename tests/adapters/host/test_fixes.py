"""Safe fixes on hosts made in namespaces: applied, taken back, and killed in between."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

import pytest

from tests.adapters.host.namespaces import BARE, NETWORK, fresh, process, run, tool
from tests.adapters.host.test_firewall import UFW, needs_ufw

pytestmark = pytest.mark.root
FOLDERS = "/etc/sysctl.d /etc/systemd /etc/NetworkManager /etc/cni /etc/local.d /etc/runlevels"
TMPFS = fresh("/run", "/etc/sysctl.d", "/etc/systemd", "/etc/NetworkManager", "/etc/local.d", "/etc/runlevels")
# The kernel's limits belong to the whole machine, so files stand for them.
LIMITS = """
mount -t tmpfs tmpfs /proc/sys/fs/inotify
echo 128 >/proc/sys/fs/inotify/max_user_instances; echo 8192 >/proc/sys/fs/inotify/max_user_watches
"""
TROUBLE = (
    BARE
    + NETWORK
    + TMPFS
    + LIMITS
    + """
ip link add flannel.1 address 2e:7c:11:22:33:44 mtu 1450 \\
  type vxlan id 1 local 192.0.2.2 dev eth7 dstport 8472 nolearning
ip addr add 10.42.0.0/32 dev flannel.1; ip link set flannel.1 up
ip route add 10.42.1.0/24 via 10.42.1.0 dev flannel.1 onlink
ip link add cni0 address 2e:7c:11:22:33:55 type bridge; ip addr add 10.42.0.1/24 brd + dev cni0; ip link set cni0 up
echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 2 >/proc/sys/net/ipv4/conf/peer7/rp_filter
mkdir -p /etc/cni/net.d; echo '{"name": "cbr0", "plugins": [{"type": "flannel"}]}' >/etc/cni/net.d/10-flannel.conflist
chmod 600 /etc/cni/net.d/10-flannel.conflist; chown 7:8 /etc/cni/net.d/10-flannel.conflist
echo '{"name": "cilium", "plugins": [{"type": "cilium-cni"}]}' >/etc/cni/net.d/05-cilium.conflist
mount --make-slave /sys; mount --make-unbindable /etc/init.d
"""
    + process("systemd-network")
    + tool("systemctl", **{"try-restart systemd-networkd": ""})
    + "mount -t tmpfs tmpfs /mnt; cp /bin/sleep /mnt/NetworkManager; /mnt/NetworkManager 1000 & "
    + "until grep -q NetworkManager /proc/$!/comm; do sleep 0.05; done\n"
    + tool("nmcli", **{"general reload conf": "", "-t -f DEVICE,STATE device": "eth7:connected"})
    + """
cat >/usr/local/bin/NetworkManager <<'EOF'
#!/bin/sh
cat /etc/NetworkManager/conf.d/* 2>/dev/null
EOF
cat >/usr/local/bin/rc-update <<'EOF'
#!/bin/sh
case $1 in
  add) mkdir -p /etc/runlevels/default; ln -s /etc/init.d/$2 /etc/runlevels/default/$2; touch /etc/init.d/$2 ;;
  del) rm /etc/runlevels/default/$2; rmdir /etc/runlevels/default ;;
esac
EOF
chmod +x /usr/local/bin/*
"""
)
ALL = [
    "E-PRE-013",
    "E-PRE-014",
    "E-PRE-015",
    "E-PRE-027",
    "E-PRE-033",
    "E-PRE-034",
    "E-PRE-037",
    "E-PRE-046",
    "E-PRE-047",
]


def fix(script: str, *paths: str, manager: str = "none", **environment: str) -> dict[str, Any]:
    """Make a host, fix it, take that back."""
    words = shlex.join([sys.executable, "-m", "tests.adapters.host.fixing", manager, *paths])
    told: dict[str, Any] = json.loads(run(f"{script}\nexec {words}", **environment))
    return told


def changed(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {key: (one[key], other[key]) for key in one if one[key] != other[key]}


def test_all_fixes_and_their_way_back() -> None:  # failure modes 4, 5, 9, 13, 14, 15, 20, 25
    told = fix(TROUBLE, *FOLDERS.split(), manager="openrc")
    assert sorted({one["code"] for one in told["plan"]}) == ALL
    assert changed(told["before"], told["after"]) == {}
    assert (told["record_mode"], told["record_left"]) == (0o600, False)
    assert told["again"] == [], "what was fixed is not found again"
    during = told["during"]
    assert [link["ifname"] for link in during["links"] if link["ifname"] in ("flannel.1", "cni0")] == []
    assert set(during["mounts"].values()) == {"shared"}
    assert during["bpf"] is True
    values = {path.removeprefix("/proc/sys/"): text for path, text in during["sysctls"].items()}
    assert values["fs/inotify/max_user_instances"] == "8192"
    assert values["net/ipv4/conf/all/rp_filter"] == "0"
    assert values["net/ipv4/conf/eth7/rp_filter"] == "1", "the host's own links lose nothing"
    assert values["net/ipv4/conf/peer7/rp_filter"] == "2"
    held = during["files"]
    assert "ManageForeignRoutes=no" in held["/etc/systemd/networkd.conf.d/90-beeyard.conf"][0]
    assert "interface-name:lxc*" in held["/etc/NetworkManager/conf.d/90-beeyard.conf"][0]
    assert "net.ipv4.conf.all.rp_filter = 0" in held["/etc/sysctl.d/99-zz-beeyard-rp-filter.conf"][0]
    assert held["/etc/local.d/beeyard-shared.start"][1] & 0o777 == 0o755
    assert not any(path.endswith(".conflist") for path in held)


def test_killed_at_every_boundary_of_every_action() -> None:
    told = fix(TROUBLE, "kill", *FOLDERS.split())
    assert told["differences"] == []
    assert changed(told["before"], told["after"]) == {}


@needs_ufw
def test_ufw_gets_rules_and_loses_them() -> None:  # failure mode 17
    script = BARE + NETWORK + fresh("/etc/sysctl.d") + LIMITS + UFW + "ufw allow 22/tcp >/dev/null\n"
    told = fix(script, "/etc/ufw/user.rules", "/etc/ufw/user6.rules")
    (one,) = [one for one in told["plan"] if one["code"] == "E-PRE-061"]
    assert one["commands"][0] == "run ufw allow from 10.42.0.0/16"
    assert "10.42.0.0/16" in told["during"]["files"]["/etc/ufw/user.rules"][0]
    assert "E-PRE-061" not in {found["code"] for found in told["findings_after"]}
    assert changed(told["before"], told["after"]) == {}


def test_firewalld_trusts_pods_and_stops_to() -> None:  # failure mode 16
    firewalld = r"""
mkdir -p /var/lib/rancher/fw; mount -t tmpfs tmpfs /mnt
cat >/usr/local/bin/firewall-cmd <<'EOF'
#!/bin/sh
# A firewalld as its client shows it: what is set for good and what is set now are two things.
file=/var/lib/rancher/fw/now; zone=public
for word; do
  case $word in
    --permanent) file=/var/lib/rancher/fw/good ;;
    --zone=*) zone=${word#--zone=} ;;
    --state) echo running ;;
    --get-default-zone) echo public ;;
    --list-sources) grep -s "^$zone source" $file | cut -d' ' -f3 ;;
    --list-ports) grep -s "^$zone port" $file | cut -d' ' -f3 ;;
    --add-*=*) what=${word#--add-}; echo "$zone ${what%%=*} ${what#*=}" >>$file; echo success ;;
    --remove-*=*)
      what=${word#--remove-}; grep -v "^$zone ${what%%=*} ${what#*=}$" $file >/mnt/new; cat /mnt/new >$file ;;
  esac
done
exit 0
EOF
chmod +x /usr/local/bin/firewall-cmd
echo 'trusted source 10.43.0.0/16' >/var/lib/rancher/fw/now; cp /var/lib/rancher/fw/now /var/lib/rancher/fw/good
"""
    told = fix(BARE + NETWORK + fresh("/etc/sysctl.d") + LIMITS + firewalld, "/var/lib/rancher/fw")
    for name in ("now", "good"):
        held = told["during"]["files"][f"/var/lib/rancher/fw/{name}"][0].splitlines()
        assert held == ["trusted source 10.43.0.0/16", "trusted source 10.42.0.0/16", "public port 6443/tcp"]
    assert "E-PRE-060" not in {found["code"] for found in told["findings_after"]}
    assert changed(told["before"], told["after"]) == {}


def test_a_bridge_that_is_in_use_stays() -> None:
    script = BARE + NETWORK + "ip link add cni0 type bridge; ip link set peer7 master cni0\n"
    told = fix(script + LIMITS + fresh("/etc/sysctl.d"))
    assert "E-PRE-033" in {one["code"] for one in told["findings"]}
    assert "E-PRE-033" not in {one["code"] for one in told["plan"]}
    assert not next(one for one in told["findings"] if one["code"] == "E-PRE-033")["fixable"]


BEEYARD = f"{shlex.quote(sys.executable)} -m installer preflight --skip-sources"


def test_the_commands_show_apply_tell_and_take_back() -> None:
    script = BARE + NETWORK + TMPFS + LIMITS
    script += f"""
    {BEEYARD} --fix --dry-run; ls /etc/sysctl.d | wc -l; ls -A /var/lib/beeyard
    {BEEYARD} --fix --yes -o json >/mnt/fixed || true
    cat /proc/sys/fs/inotify/max_user_instances; cat /mnt/fixed
    """
    script = "mount -t tmpfs tmpfs /mnt\n" + script
    script += f"""
    echo; echo ---; {BEEYARD} --undo-fixes --dry-run -o json
    echo ---; {BEEYARD} --undo-fixes --yes -o json; cat /proc/sys/fs/inotify/max_user_instances; ls /etc/sysctl.d
    {BEEYARD} --undo-fixes --yes 2>&1
    """
    shown, applied, undone = run(script).split("---\n")
    plan, _, rest = shown.partition("{")
    lines = plan.splitlines()
    assert "E-PRE-015  Raise the inotify limits" in lines
    assert "    run sysctl -w fs.inotify.max_user_instances=8192" in lines
    assert lines[-2:] == ["0", "8192"], "a dry run changes nothing, and a real one does"
    told = json.loads("{" + rest)
    assert next(one for one in told["fixes"] if one["code"] == "E-PRE-015")["applied"] is True
    assert "E-PRE-015" not in {one["code"] for one in told["findings"]}
    assert any(one["code"] == "E-PRE-015" and one["done"] for one in json.loads(applied)["applied"])
    back, _, end = undone.rpartition("}\n")
    assert json.loads(back + "}")["left"] == 0
    assert end.splitlines() == ["128No fixes are recorded; nothing was changed."]


def test_what_others_changed_since_is_left_alone() -> None:
    script = "mount -t tmpfs tmpfs /mnt\n" + BARE + NETWORK + TMPFS + LIMITS
    script += f"""
    {BEEYARD} --fix --yes >/dev/null 2>&1 || true
    echo mine >/etc/sysctl.d/90-beeyard-inotify.conf; echo 9999 >/proc/sys/fs/inotify/max_user_instances
    {BEEYARD} --undo-fixes --yes 2>&1 || echo rc $?
    cat /etc/sysctl.d/90-beeyard-inotify.conf /proc/sys/fs/inotify/max_user_instances; ls /var/lib/beeyard
    rm /etc/sysctl.d/*; echo 128 >/proc/sys/fs/inotify/max_user_instances
    {BEEYARD} --undo-fixes --yes 2>&1; ls /var/lib/beeyard
    """
    out = run(script)
    assert "left alone: /etc/sysctl.d/90-beeyard-inotify.conf was changed since" in out
    assert "left alone: fs.inotify.max_user_instances was changed to 9999 since" in out
    assert "rc 1\nmine\n9999\nfixes.json\n" in out
    assert out.count("fixes.json") == 3, "it is kept as long as something is not as before"


def test_nobody_to_ask_and_nothing_to_do() -> None:
    script = BARE + NETWORK + TMPFS + LIMITS + f"{BEEYARD} --fix </dev/null 2>&1 || echo rc $?; ls -A /etc/sysctl.d\n"
    out = run(script)
    assert "E-CLI-002" in out
    assert out.endswith("rc 2\n")


def test_a_damaged_record_is_said() -> None:
    script = BARE + f"echo trash >/var/lib/beeyard/fixes.json; {BEEYARD} --undo-fixes --yes 2>&1 || echo rc $?\n"
    out = run(script)
    assert "E-FIX-002" in out
    assert out.endswith("rc 1\n")


def test_what_touches_the_network_is_guarded_and_the_guard_taken_off() -> None:  # failure mode 15
    script = BARE + NETWORK + TMPFS + LIMITS + "echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter\n"
    script += f"""
    {BEEYARD} --fix --yes >/dev/null 2>&1 || true
    cat /proc/sys/net/ipv4/conf/all/rp_filter /proc/sys/net/ipv4/conf/eth7/rp_filter
    {shlex.quote(sys.executable)} -m installer guard status 2>&1 | head -1
    {BEEYARD} --undo-fixes --yes >/dev/null 2>&1
    cat /proc/sys/net/ipv4/conf/all/rp_filter /proc/sys/net/ipv4/conf/eth7/rp_filter
    """
    on, off, *status, on_again, off_again = run(script).splitlines()
    assert (on, off, on_again, off_again) == ("0", "1", "1", "0")
    assert status, "the guard tells that none stands"


def test_each_fix_is_asked_for() -> None:
    command = shlex.quote(f"{BEEYARD} --fix")
    script = BARE + NETWORK + TMPFS + LIMITS
    script += f"printf 'y\\nn\\nn\\n' | script -qec {command} /dev/null || true\n"
    out = run(script + "echo; ls /etc/sysctl.d; grep -c /sys/fs/bpf /proc/mounts || true\n")
    assert out.count("Apply this? [y/N]") == 3
    assert "1 fix applied" in out
    assert out.split()[-2:] == ["90-beeyard-inotify.conf", "0"]
