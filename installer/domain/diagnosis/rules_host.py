"""Causes that lie in the host: leftovers, other managers of the network, kernel, limits."""

from __future__ import annotations

from installer.domain.diagnosis.evidence import Source
from installer.domain.diagnosis.parts import Part
from installer.domain.diagnosis.rule import Rule, clue

_CILIUM_LINK = clue(r"^link cilium_(host|net|vxlan)\b", Source.HOST)
_K3S_RUNS = clue(r"^k3s runs", Source.HOST)
_MISSING_IN_KERNEL = (
    r"^(?!.*level=(info|debug)).*(protocol not supported|operation not supported|unknown device type"
    r"|modprobe: (fatal: )?module (?P<module>\S+) not found|module (?P<wanted>\w+) (is )?not found in directory"
    r"|can't initialize ip6?tables table|ip6?tables: no such (file|table)|could not load module (?P<loaded>\w+)"
    r"|couldn't load (match|target) [`'](?P<extension>\w+)"
    r"|missing kernel (module|option|config)\S* (?P<option>\w+))"
)

RULES = (
    Rule(
        "E-DIA-001",
        Part.HOST,
        "Cilium's links and routing rules have outlived it: removing k3s by its own script now cuts this host off",
        "beeyard uninstall (it puts the routing rules back before it removes them; never run k3s-killall.sh or "
        "k3s-uninstall.sh here)",
        (clue(r"^ip rule 100:\s+from all lookup local", Source.HOST),),
        mode=1,
        why="The rule for local addresses was moved from 0 to 100; who deletes Cilium's rules without putting it back "
        "leaves the host deaf.",
        also=(_CILIUM_LINK,),
        unless=(_K3S_RUNS,),
    ),
    Rule(
        "E-DIA-002",
        Part.PODS,
        "Cilium's packet filter rules were taken away while it runs",
        "systemctl restart k3s, then: kubectl -n kube-system rollout restart ds/cilium. "
        "Do not run the k3s install script again on this host; use: beeyard upgrade",
        (
            clue(r"(CILIUM|KUBE-ROUTER|OLD_CILIUM)\S*.*no chain/target/match by that name", Source.AGENT, Source.K3S),
            clue(r"iptables.*(-t|table) \w+.*CILIUM_\w+.*no chain/target/match", Source.AGENT),
        ),
        mode=2,
        why="The k3s install script filters and restores iptables when it changes anything, and drops what is not its.",
        lasting=True,
    ),
    Rule(
        "E-DIA-004",
        Part.AGENT,
        "another VXLAN device holds Cilium's tunnel port",
        "ip -d link show type vxlan; delete the one that is not Cilium's (ip link delete flannel.1), or set Cilium's "
        "tunnelPort to another port",
        (clue(r"(vxlan|geneve|tunnel).*address already in use"),),
        mode=4,
    ),
    Rule(
        "E-DIA-009",
        Part.AGENT,
        "{path} is not a shared mount, so the agent cannot share what it mounts there",
        "mount --make-rshared / (and mount -t bpf bpf /sys/fs/bpf); make it a service so that it holds after a reboot",
        (
            clue(r'path "(?P<path>[^"]+)" is mounted on "[^"]+" but it is not a shared'),
            clue(r"(?P<path>/sys/fs/bpf|/run/cilium/cgroupv2)\S*.*not a shared"),
        ),
        mode=9,
    ),
    Rule(
        "E-DIA-010",
        Part.AGENT,
        "the kernel lacks something that Cilium uses {module}{wanted}{loaded}{extension}{option}",
        "beeyard preflight --kernel names it; install the kernel's further modules (linux-modules-extra-$(uname -r), "
        "linux-modules-extra-raspi, kernel-modules-extra) and reboot",
        (clue(_MISSING_IN_KERNEL, Source.AGENT, Source.INIT, Source.PROBLEM, Source.K3S, Source.ERROR),),
        mode=10,
        unless=(clue(r"microsoft", Source.CONDITION, Source.HOST),),
    ),
    Rule(
        "E-DIA-011",
        Part.AGENT,
        "the kernel is too old for Cilium",
        "use a newer kernel (Cilium needs 5.10, or RHEL's 4.18 from 8.10 on), or an older Cilium: beeyard preflight",
        (
            clue(r"kernel version: NOT OK"),
            clue(r"minimal supported kernel version|requires? (linux )?kernel (version )?(>=|at least|[4-6]\.)"),
        ),
        mode=11,
    ),
    Rule(
        "E-DIA-012",
        Part.AGENT,
        "the kernel of the Windows Subsystem for Linux lacks something that Cilium uses",
        "beeyard preflight --kernel lists the missing options; build a WSL kernel with them (kernel= in "
        ".wslconfig), or "
        "use a virtual machine",
        (clue(_MISSING_IN_KERNEL), clue(r"RTNETLINK answers: (not supported|operation not permitted)")),
        mode=12,
        also=(clue(r"microsoft", Source.CONDITION, Source.HOST),),
    ),
    Rule(
        "E-DIA-013",
        Part.PODS,
        "systemd-networkd takes Cilium's routes and routing rules away",
        "printf '[Network]\\nManageForeignRoutes=no\\nManageForeignRoutingPolicyRules=no\\n' > "
        "/etc/systemd/networkd.conf.d/beeyard.conf; systemctl restart systemd-networkd; "
        "kubectl -n kube-system rollout restart ds/cilium",
        (
            clue(
                r"systemd-networkd.*remov(ed|ing) (foreign|unmanaged|unused)? ?(route|routing policy rule)", Source.HOST
            ),
            clue(r"^ip rule: none leads to", Source.HOST),
        ),
        mode=13,
        why="After a link change or netplan apply it removes rules that it did not make.",
        also=(_CILIUM_LINK, clue(r"^networkd manages foreign", Source.HOST)),
        lasting=True,
    ),
    Rule(
        "E-DIA-014",
        Part.PODS,
        "NetworkManager manages Cilium's link {device}{service}",
        "printf '[keyfile]\\nunmanaged-devices=interface-name:cilium_*;interface-name:lxc*\\n' > "
        "/etc/NetworkManager/conf.d/beeyard.conf; systemctl reload NetworkManager; systemctl disable --now "
        "nm-cloud-setup.service nm-cloud-setup.timer",
        (
            clue(r"^NetworkManager: (?P<device>(cilium_|lxc)\S+) (connected|connecting|disconnected)$", Source.HOST),
            clue(r"(?P<service>nm-cloud-setup)\.service.*(enabled|failed|is-enabled)", Source.K3S, Source.HOST),
            clue(
                r"NetworkManager\[\d+\].*device \((?P<device>(cilium_|lxc)\w+)\): state change: .*-> "
                r"(deactivating|disconnected)",
                Source.HOST,
            ),
        ),
        mode=14,
        lasting=True,
    ),
    Rule(
        "E-DIA-015",
        Part.PODS,
        "the kernel drops answers to pods: strict reverse path filtering is on for {link}",
        "sysctl -w net.ipv4.conf.{link}.rp_filter=0; and find the file that sets it after Cilium's "
        "(/etc/sysctl.d/99-zzz-override_cilium.conf): grep -r rp_filter /etc/sysctl.d /etc/sysctl.conf /run/sysctl.d",
        (clue(r"^sysctl net\.ipv4\.conf\.(?P<link>all|cilium_\w+|lxc\w+)\.rp_filter = 1$", Source.HOST),),
        mode=15,
        also=(_CILIUM_LINK,),
        lasting=True,
    ),
    Rule(
        "E-DIA-020",
        None,
        "too many files or inotify watches are open on this host",
        "sysctl -w fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=524288, and the same in a file of "
        "/etc/sysctl.d; beeyard preflight --fix does both",
        (
            clue(r"too many open files"),
            clue(r"inotify\S* .*(no space left on device|limit)|failed to create (fs)?notify watcher"),
        ),
        mode=20,
    ),
    Rule(
        "E-DIA-021",
        Part.AGENT,
        "SELinux denies {permission} to {program}",
        "install the package k3s-selinux (and container-selinux), then restart k3s; to see all denials: "
        "ausearch -m avc -ts recent",
        (
            clue(
                r'avc:\s+denied\s+\{ ?(?P<permission>[^}]*?) ?\}.*comm="(?P<program>(cilium|containerd|k3s|runc'
                r"|iptables"
                r'|mount|nsenter|install|sh|cp|clang|bpftool)[^"]*)"'
            ),
            clue(r"SELinux.*(denied|permission)"),
        ),
        mode=21,
    ),
    Rule(
        "E-DIA-035",
        Part.K3S,
        "the disk is full",
        "df -h; df -i; free space where k3s keeps its data (crictl rmi --prune, old logs), or give it a larger disk",
        (
            clue(r"no space left on device", Source.K3S, Source.CONTAINERD, Source.EVENT, Source.PROBLEM, Source.ERROR),
            clue(r"^DiskPressure", Source.CONDITION),
            clue(r"low on resource: ephemeral-storage", Source.EVENT, subject=r"^(?!node/)"),
        ),
        unless=(clue(r"inotify\S* .*no space left"),),
    ),
    Rule(
        "E-DIA-036",
        Part.AGENT,
        "the kernel killed a program for want of memory {program}",
        "give the host more memory, or lower what runs on it; a server with Cilium wants more than 2 GB",
        (
            clue(
                r"out of memory: killed process \d+ \("
                r"(?P<program>(cilium|k3s|containerd|hubble|coredns|etcd|kubelet)[^)]*)\)",
                Source.KERNEL,
            ),
            clue(r"OOMKilled", Source.PROBLEM, Source.POD, Source.CONDITION),
        ),
    ),
    Rule(
        "E-DIA-037",
        Part.K3S,
        "the clock is wrong: a certificate is not valid yet",
        "timedatectl set-ntp true (or chronyd -q), then: systemctl restart k3s",
        (clue(r"x509: .*current time \S+ is before"),),
    ),
)
