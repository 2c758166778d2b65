"""What else has a say in a host's network, provoked in namespaces, or told by recorded output of the real programs."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.adapters.host.namespaces import BARE, GATHER, NETWORK, codes, files, finding, fresh, look, process, run, tool

pytestmark = pytest.mark.root
HOST = BARE + NETWORK


# Programs that change the network behind our back


NETWORKD = fresh("/etc/systemd", "/run/systemd", "/usr/lib/systemd") + process("systemd-network")


def test_networkd_that_deletes_what_it_does_not_know() -> None:  # failure mode 13
    found = finding(look(HOST + NETWORKD), "E-PRE-046")
    assert (found["level"], found["fixable"]) == ("warning", True)
    half = files(**{"/etc/systemd/networkd.conf.d/10.conf": "[Network]\nManageForeignRoutes=no\n"})
    assert "E-PRE-046" in codes(look(HOST + NETWORKD + half))


def test_networkd_that_was_told() -> None:
    told = {
        "/etc/systemd/networkd.conf": "[Network]\nManageForeignRoutes=yes\nManageForeignRoutingPolicyRules = no\n",
        "/run/systemd/networkd.conf.d/50-late.conf": "[Network]\nManageForeignRoutes=no\n",
    }
    assert "E-PRE-046" not in codes(look(HOST + NETWORKD + files(**told)))
    undone = {"/etc/systemd/networkd.conf.d/50-late.conf": "[Network]\n"}
    assert "E-PRE-046" in codes(look(HOST + NETWORKD + files(**told, **undone))), "a file in /etc hides one in /run"


MANAGER = process("NetworkManager").replace("cp /bin/sleep", "mkdir -p /mnt; mount -t tmpfs tmpfs /mnt; cp /bin/sleep")
MANAGER = MANAGER.replace("/usr/local/bin/NetworkManager", "/mnt/NetworkManager")
NMCLI = tool(
    "nmcli", **{"-t -f DEVICE,STATE device": "eth7:connected\ncilium_host:connected (externally)\nlo:unmanaged"}
)


def test_network_manager_that_takes_every_link() -> None:  # failure mode 14
    config = tool("NetworkManager", **{"--print-config": "# NetworkManager configuration\n\n[main]\ndns=default\n"})
    found = finding(look(HOST + MANAGER + NMCLI + config), "E-PRE-047")
    assert found["evidence"] == "it has taken cilium_host; its unmanaged-devices are empty"


def test_network_manager_that_was_told() -> None:
    config = tool(
        "NetworkManager",
        **{
            "--print-config": "[keyfile]\nunmanaged-devices=mac:52:54:00:12:34:56;interface-name:cilium_*\n"
            "[keyfile]\nunmanaged-devices+=interface-name:lxc*\n"
        },
    )
    assert "E-PRE-047" not in codes(look(HOST + MANAGER + NMCLI + config))


def test_network_manager_whose_program_is_off_our_path() -> None:
    folder = fresh("/etc/NetworkManager", "/run/NetworkManager")
    config = {
        "/etc/NetworkManager/conf.d/cilium.conf": "[keyfile]\n"
        "unmanaged-devices=interface-name:cilium_*;interface-name:lxc*\n"
    }
    assert "E-PRE-047" in codes(look(HOST + folder + MANAGER))
    assert "E-PRE-047" not in codes(look(HOST + folder + files(**config) + MANAGER))


def test_cloud_setup() -> None:  # failure mode 14
    units = {"is-enabled nm-cloud-setup.service": "disabled", "is-enabled nm-cloud-setup.timer": "enabled"}
    assert "E-PRE-048" in codes(look(HOST + tool("systemctl", **units)))
    assert "E-PRE-048" not in codes(look(HOST + tool("systemctl", **{"is-enabled nm-cloud-setup.timer": "disabled"})))


def test_strict_reverse_path_filter() -> None:  # failure mode 15
    found = finding(look(HOST + "echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter"), "E-PRE-027")
    assert found["evidence"] == "net.ipv4.conf.all.rp_filter = 1"
    assert "E-PRE-027" not in codes(look(HOST + "echo 2 >/proc/sys/net/ipv4/conf/all/rp_filter"))


def test_sysctl_files_that_are_read_after_ciliums() -> None:  # failure mode 15
    late = {
        "/etc/sysctl.d/10-early.conf": "net.ipv4.conf.all.rp_filter=1\n",
        "/etc/sysctl.d/99-zzzz-cis.conf": "# CIS\nnet/ipv4/conf/all/rp_filter = 1\nnet.ipv4.conf.eth0.rp_filter=1\n",
    }
    folders = fresh("/etc/sysctl.d", "/run/sysctl.d")
    found = finding(look(HOST + folders + files(**late)), "E-PRE-028")
    assert found["evidence"] == "/etc/sysctl.d/99-zzzz-cis.conf: net.ipv4.conf.all.rp_filter = 1"
    late["/etc/sysctl.d/99-zzzz-cis.conf"] = "#net.ipv4.conf.all.rp_filter = 1\n"
    assert "E-PRE-028" not in codes(look(HOST + folders + files(**late)))


# The host among others


def machine_id(text: str) -> str:
    return f"printf %s {shlex.quote(text)} >/var/lib/beeyard/id; mount --bind /var/lib/beeyard/id /etc/machine-id\n"


@pytest.mark.parametrize(
    ("text", "state"),
    [("", "empty"), ("uninitialized\n", "uninitialized"), ("0" * 32, "malformed"), ("not an id", "malformed")],
)
def test_a_machine_id_that_is_none(text: str, state: str) -> None:  # failure mode 18
    assert finding(look(HOST + machine_id(text)), "E-PRE-023")["evidence"] == f"/etc/machine-id is {state}"


def test_a_disk_that_is_a_copy() -> None:  # failure mode 18
    cloud = fresh("/var/lib/cloud") + files(
        **{"/var/lib/cloud/data/instance-id": "i-2\n", "/var/lib/cloud/data/previous-instance-id": "i-1\n"}
    )
    old = machine_id("0123456789abcdef" * 2) + "touch -d 2020-01-01 /var/lib/beeyard/id\n"
    assert "knew this disk as i-1, now it is i-2" in finding(look(HOST + cloud + old), "E-PRE-023")["evidence"]
    new = machine_id("0123456789abcdef" * 2) + "touch -d 2020-01-01 /var/lib/cloud/data/instance-id\n"
    assert "E-PRE-023" not in codes(look(HOST + cloud + new))


@pytest.mark.parametrize(("name", "code"), [("raspberrypi", "E-PRE-024"), ("localhost", "E-PRE-021")])
def test_a_name_that_others_have_too(name: str, code: str) -> None:  # failure mode 18
    found = finding(look(HOST + f"echo {name} >/proc/sys/kernel/hostname"), code)
    assert found["evidence"] == f"hostname is {name!r}"


def test_the_password_of_an_earlier_node() -> None:  # failure mode 18
    told = look(HOST + files(**{"/etc/rancher/node/password": "pa55w0rd"}))
    assert finding(told, "E-PRE-039")["subject"] == "/etc/rancher/node/password"
    assert "pa55w0rd" not in str(told)


def test_name_servers_that_pods_cannot_reach() -> None:
    loop = "printf 'nameserver 127.0.0.53\\n' >/var/lib/beeyard/r; mount --bind /var/lib/beeyard/r /etc/resolv.conf\n"
    folder = fresh("/run/systemd")
    found = finding(look(HOST + folder + loop), "E-PRE-029")
    assert found["evidence"] == "/etc/resolv.conf: 127.0.0.53"
    resolved = files(**{"/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.53\n"})
    assert "E-PRE-029" not in codes(look(HOST + folder + loop + resolved)), "k3s finds systemd-resolved's own file"


def test_networks_that_cover_what_the_host_needs() -> None:  # failure mode 3
    names = "printf 'nameserver 10.43.0.53\\n' >/var/lib/beeyard/r; mount --bind /var/lib/beeyard/r /etc/resolv.conf\n"
    told = look(HOST + names, SSH_CONNECTION="10.42.9.9 51234 192.0.2.2 22", HTTPS_PROXY="http://10.42.1.1:3128")
    found = {one["subject"]: one for one in told["findings"] if one["code"] == "E-PRE-043"}
    assert found["pod network 10.42.0.0/16"]["evidence"] == (
        "this SSH session comes from 10.42.9.9; the proxy is 10.42.1.1"
    )
    assert found["service network 10.43.0.0/16"]["evidence"] == "name server 10.43.0.53 in /etc/resolv.conf"
    assert found["pod network 10.42.0.0/16"]["value"]


def test_the_session_behind_sudo() -> None:
    told = json.loads(
        run(HOST + f"SSH_CONNECTION='203.0.113.9 1 192.0.2.2 22' sh -c 'env -u SSH_CONNECTION {GATHER} --; true'")
    )
    assert told["facts"]["ssh_client"] == "203.0.113.9"


def test_several_default_routes() -> None:  # failure mode 24
    second = "ip link add wg0 type bridge; ip link set wg0 up; ip route add default dev wg0 metric 50\n"
    found = finding(look(HOST + second), "E-PRE-045")
    assert "default via nothing dev wg0 metric 50" in found["evidence"]
    assert "E-PRE-045" not in codes(look(HOST))


def test_a_default_route_through_a_vpn() -> None:  # failure mode 24
    script = "ip route del default; ip link add tailscale0 type bridge; ip link set tailscale0 up\n"
    told = look(HOST + script + "ip route add default dev tailscale0\n")
    assert finding(told, "E-PRE-045")["what"] == "the default route goes through a VPN"


def test_an_own_address_that_would_go_through_the_proxy() -> None:
    told = look(HOST, HTTPS_PROXY="http://me:s3cret@192.0.2.9:3128", NO_PROXY=".example.org,198.51.100.0/24")
    found = finding(told, "E-PRE-049")
    assert (found["value"], "s3cret" in str(told)) == ("192.0.2.2", False)
    assert "E-PRE-049" not in codes(look(HOST, HTTPS_PROXY="http://192.0.2.9:3128", NO_PROXY="192.0.2.0/24"))
    assert "E-PRE-049" not in codes(look(HOST, NO_PROXY="x"))


def test_a_proxy_that_is_no_url() -> None:
    assert finding(look(HOST, HTTP_PROXY="proxy:3128"), "E-PRE-076")["evidence"] == "HTTP_PROXY=proxy:3128"


def test_a_kubeconfig_that_is_not_there() -> None:  # failure mode 28
    told = look(HOST, KUBECONFIG="/etc/rancher/none.yaml:/root/none-either")
    assert finding(told, "E-PRE-038")["evidence"] == "/etc/rancher/none.yaml, /root/none-either"
    assert "E-PRE-038" not in codes(look(HOST, KUBECONFIG="/dev/null"))


# Leftovers


def test_traces_of_a_cilium() -> None:  # failure mode 25
    script = """
    ip link add cilium_host type veth peer name cilium_net; ip link add lxc_health type bridge
    mkdir -p /etc/cni/net.d
    echo '{"name": "cilium", "plugins": [{"type": "cilium-cni"}]}' >/etc/cni/net.d/05-cilium.conflist
    """
    found = finding(look(HOST + script), "E-PRE-037")
    for trace in ("cilium_host", "cilium_net", "lxc_health", "05-cilium.conflist"):
        assert trace in found["evidence"]
    assert found["fixable"] is True
    assert "E-PRE-037" not in codes(look(HOST + script, wanted="ours=yes"))


def test_links_of_other_pod_networks() -> None:  # failure mode 5
    script = "ip link add vxlan.calico type vxlan id 4096 dstport 4789; ip link add cali0123456789a type bridge\n"
    found = finding(look(HOST + script), "E-PRE-068")
    assert found["subject"] == "vxlan.calico, cali0123456789a"
    assert "E-PRE-068" not in codes(look(HOST))


def test_a_host_where_k3s_own_script_would_cut_the_network() -> None:  # failure modes 1 and 2
    script = "ip link add cilium_host type bridge; mkdir -p /var/lib/rancher/k3s/server; touch /etc/init.d/k3s\n"
    told = look(HOST + script)
    assert "never run k3s' own install or uninstall script" in finding(told, "E-PRE-067")["what"]
    assert "E-PRE-037" not in codes(told)


def test_flannels_configuration_in_k3s_own_folder() -> None:  # failure mode 5
    path = "/var/lib/rancher/k3s/agent/etc/cni/net.d/10-flannel.conflist"
    script = files(**{path: '{"name": "cbr0", "plugins": [{"type": "flannel"}]}'})
    assert f"{path} (flannel)" in finding(look(HOST + script), "E-PRE-034")["evidence"]


def test_a_geneve_device_on_the_port_of_ciliums_geneve() -> None:  # failure mode 4
    if not has_device("geneve"):
        pytest.skip("this kernel has no Geneve")
    told = look(HOST + "ip link add gn0 type geneve external dstport 8472")
    assert "gn0" in finding(told, "E-PRE-042")["evidence"]


def has_device(kind: str) -> bool:
    script = f"ip link add probe type {kind} id 1 remote 192.0.2.9 2>/dev/null && echo yes || echo no"
    return run(script).strip() == "yes"


# The machine


def test_selinux_without_the_policy() -> None:  # failure mode 21
    enforcing = "mount -t tmpfs tmpfs /sys/fs; mkdir /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce\n"
    assert finding(look(HOST + enforcing), "E-PRE-018")["level"] == "warning"
    policy = "mkdir -p /var/lib/selinux; mount -t tmpfs tmpfs /var/lib/selinux\n"
    policy += "mkdir -p /var/lib/selinux/targeted/active/modules/200/k3s\n"
    assert "E-PRE-018" not in codes(look(HOST + enforcing + policy))
    assert "E-PRE-018" not in codes(look(HOST + enforcing.replace("echo 1", "echo 0")))


def test_memory_cgroup_that_is_off() -> None:  # failure mode 30
    script = """
    umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
    echo 'cpuset cpu io pids' >/var/lib/beeyard/controllers
    mount --bind /var/lib/beeyard/controllers /sys/fs/cgroup/cgroup.controllers
    """
    found = finding(look(HOST + script), "E-PRE-007")
    assert found["evidence"] == "cgroup v2, controllers: cpu cpuset io pids"
    assert "cmdline.txt" in found["fix"]


def test_wsl() -> None:  # failure mode 12
    version = "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@941d701f84f1) (gcc (GCC) 11.2.0) #1 SMP"
    script = f"echo '{version}' >/var/lib/beeyard/version; mount --bind /var/lib/beeyard/version /proc/version\n"
    assert "E-PRE-019" in codes(look(HOST + script))


def test_an_old_kernel() -> None:  # failure mode 11
    told = json.loads(run(HOST + f"setarch --uname-2.6 {GATHER} --"))
    assert finding(told, "E-PRE-003")["evidence"].startswith("uname -r says 2.6.")


def test_a_fixed_usr() -> None:
    found = finding(look(HOST + "mount -o remount,ro /usr/local/bin"), "E-PRE-011")
    assert (found["subject"], found["value"]) == ("/usr/local/bin", "/opt/bin")
    assert "E-PRE-011" not in codes(look(HOST + "mount -o remount,ro /usr/local/bin", wanted="bin_dir=/opt/bin"))
