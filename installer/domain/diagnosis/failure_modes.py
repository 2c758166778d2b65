"""The thirty ways in which an install of k3s with Cilium is known to fail: one table, told in docs/failure-modes.md.

``checks`` are codes of preflight (what can be seen before), ``causes`` those of the rules (what shows afterwards).
"""

from __future__ import annotations

from dataclasses import dataclass

from installer.domain.diagnosis.parts import Part


@dataclass(frozen=True, slots=True)
class FailureMode:
    """A known way to fail.

    Attributes:
        number: its number.
        title: what one sees.
        cause: why.
        part: the first thing it breaks.
        checks: codes of preflight that see it coming.
        causes: codes of rules that recognize it.
        reports: where it was reported.
    """

    number: int
    title: str
    cause: str
    part: Part
    checks: tuple[str, ...]
    causes: tuple[str, ...]
    reports: str


MODES = (
    FailureMode(
        1,
        "SSH dies when k3s is uninstalled",
        "Cilium's programs, routing rules and links outlive the agent.",
        Part.HOST,
        (),
        ("E-DIA-001",),
        "k3s 7618, 8347; rke2 1226, 10654",
    ),
    FailureMode(
        2,
        "The node dies when the k3s install script runs again",
        "The script filters and restores iptables.",
        Part.PODS,
        (),
        ("E-DIA-002",),
        "k3s 7736",
    ),
    FailureMode(
        3,
        "The LAN, or SSH, is gone once pods run",
        "The pod network covers addresses that the host reaches elsewhere.",
        Part.PODS,
        ("E-PRE-043", "E-PRE-044"),
        ("E-DIA-003",),
        "cilium 42383, 20204, 13766; k3s 588, 4627",
    ),
    FailureMode(
        4,
        "The agent ends with: address already in use",
        "flannel.1 or another VXLAN device holds port 8472.",
        Part.AGENT,
        ("E-PRE-042", "E-PRE-033"),
        ("E-DIA-004",),
        "cilium 8990, 2925, 3219",
    ),
    FailureMode(
        5,
        "Pods land on the old pod network",
        "Configurations of another CNI are left in /etc/cni/net.d.",
        Part.PODS,
        ("E-PRE-034", "E-PRE-030"),
        ("E-DIA-005",),
        "cilium 12260",
    ),
    FailureMode(
        6,
        "The agent waits for ever for the API at 10.43.0.1",
        "Without kube-proxy no k8sServiceHost is set, or a wrong port.",
        Part.AGENT,
        (),
        ("E-DIA-006",),
        "k3s 5857; cilium 20679, 35440; cilium-cli 243, 865",
    ),
    FailureMode(
        7,
        "Connections to services land nowhere, now and then",
        "kube-proxy and Cilium both translate service addresses, or kube-proxy's rules are left.",
        Part.PODS,
        ("E-PRE-065", "E-PRE-066"),
        ("E-DIA-007",),
        "cilium 24531",
    ),
    FailureMode(
        8,
        "The second operator stays Pending",
        "Operators may not share a node, and the chart wants two.",
        Part.OPERATOR,
        ("E-PRE-074",),
        ("E-DIA-008",),
        "cilium 14089, 20416; rke2 922",
    ),
    FailureMode(
        9,
        "/sys/fs/bpf is not a shared mount",
        "OpenRC, LXC and containers do not share mounts as systemd does.",
        Part.AGENT,
        ("E-PRE-013", "E-PRE-014"),
        ("E-DIA-009",),
        "cilium 32357, 11432; k3d 363; k0s 5286",
    ),
    FailureMode(
        10,
        "The agent ends with: protocol or operation not supported",
        "Modules of the kernel are missing.",
        Part.AGENT,
        ("E-PRE-050", "E-PRE-051"),
        ("E-DIA-010",),
        "cilium 20735, 20901, 20858, 11294; rke2 8498",
    ),
    FailureMode(
        11,
        "The agent refuses the kernel",
        "The kernel is older than Cilium wants.",
        Part.AGENT,
        ("E-PRE-003",),
        ("E-DIA-011",),
        "cilium 24650",
    ),
    FailureMode(
        12,
        "WSL2: the agent does not start",
        "Its kernel lacks parts that Cilium uses.",
        Part.AGENT,
        ("E-PRE-019",),
        ("E-DIA-012",),
        "cilium 23237, 29302, 21446",
    ),
    FailureMode(
        13,
        "The node is gone after netplan apply or a link change",
        "systemd-networkd removes routes and rules that it did not make.",
        Part.PODS,
        ("E-PRE-046",),
        ("E-DIA-013",),
        "cilium 18706; flatcar 620; systemd 41350",
    ),
    FailureMode(
        14,
        "Links of pods lose their addresses",
        "NetworkManager or nm-cloud-setup takes them.",
        Part.PODS,
        ("E-PRE-047", "E-PRE-048"),
        ("E-DIA-014",),
        "k3s documentation for RHEL",
    ),
    FailureMode(
        15,
        "Pods reach nothing outside",
        "Strict reverse path filtering drops the answers.",
        Part.PODS,
        ("E-PRE-027", "E-PRE-028"),
        ("E-DIA-015",),
        "cilium 10645, 13717; flatcar 181",
    ),
    FailureMode(
        16,
        "The cluster's DNS runs into timeouts: no route to host",
        "firewalld.",
        Part.DNS,
        ("E-PRE-060", "E-PRE-062", "E-PRE-063", "E-PRE-064"),
        ("E-DIA-016",),
        "k3s 24; cilium 27900",
    ),
    FailureMode(
        17,
        "The install hangs, or Relay runs into timeouts",
        "ufw.",
        Part.DNS,
        ("E-PRE-061",),
        ("E-DIA-017",),
        "k3s 1280",
    ),
    FailureMode(
        18,
        "The start of k3s-agent hangs: Node password rejected",
        "The host was installed anew, or another one has its name.",
        Part.K3S,
        ("E-PRE-023", "E-PRE-024", "E-PRE-039"),
        ("E-DIA-018",),
        "k3s 6054, 663, 802; rke2 9165",
    ),
    FailureMode(
        19,
        "The node is NotReady though the agent is ready",
        "The chart's CNI paths are not containerd's.",
        Part.PODS,
        (),
        ("E-DIA-019",),
        "k3s 10869",
    ),
    FailureMode(
        20,
        "Too many open files",
        "fs.inotify.max_user_instances is 128.",
        Part.K3S,
        ("E-PRE-015",),
        ("E-DIA-020",),
        "k3s 10020; containerd 10309; k0s 8113",
    ),
    FailureMode(
        21,
        "Init containers crash where SELinux enforces",
        "The policy has no rule for BPF, or k3s-selinux is missing.",
        Part.AGENT,
        ("E-PRE-018",),
        ("E-DIA-021",),
        "cilium 34068; k3s-selinux 64",
    ),
    FailureMode(
        22,
        "Relay crashes or has no peers",
        "Cluster domain, expired certificates, DNS that is not up, port 4244.",
        Part.RELAY,
        (),
        ("E-DIA-022", "E-DIA-032", "E-DIA-033"),
        "cilium 20130, 31516, 42017; hubble 739, 1678",
    ),
    FailureMode(
        23,
        "svclb pods stay Pending, or two fight for one address",
        "k3s' servicelb and Cilium's load balancer are both on.",
        Part.BALANCER,
        ("E-PRE-073",),
        ("E-DIA-023",),
        "k3s 1969; cilium 22018; k3d 577",
    ),
    FailureMode(
        24,
        "Unable to determine direct routing device",
        "Several network cards or a VPN: Cilium picks none, or the wrong one.",
        Part.AGENT,
        ("E-PRE-045",),
        ("E-DIA-024",),
        "cilium 33527, 26882, 12317; k0s 5189",
    ),
    FailureMode(
        25,
        "After a reinstall pods hang: cilium.sock, no such file",
        "Configuration and plugins of an earlier Cilium are left.",
        Part.PODS,
        ("E-PRE-037",),
        ("E-DIA-025",),
        "cilium 27715, 8872, 12260, 13152",
    ),
    FailureMode(
        26,
        "A Gateway stays at Programmed=Unknown",
        "The Gateway API's definitions were missing or old when the operator started.",
        Part.GATEWAY,
        ("E-PRE-072",),
        ("E-DIA-026",),
        "cilium 27139, 38420",
    ),
    FailureMode(
        27,
        "Helm: another operation is in progress, or wrong ownership",
        "A helm was killed half-way, or two releases share objects.",
        Part.RELEASE,
        ("E-PRE-070", "E-PRE-071"),
        ("E-DIA-027", "E-DIA-047"),
        "cilium 38514",
    ),
    FailureMode(
        28,
        "Commands talk to localhost:8080",
        "KUBECONFIG is not set under sudo.",
        Part.RELEASE,
        ("E-PRE-038",),
        ("E-DIA-028",),
        "cilium-cli 669, 696",
    ),
    FailureMode(
        29,
        "An image does not come, and the wrong registry is blamed",
        "Mirrors are ignored or out of reach; the kubelet tells of the last host only.",
        Part.IMAGES,
        ("E-PRE-049", "E-PRE-075", "E-PRE-076"),
        ("E-DIA-029",),
        "k3s 7247, 9626, 12321, 10351",
    ),
    FailureMode(
        30,
        "k3s ends with: failed to find memory cgroup",
        "The kernel's command line has the memory cgroup off.",
        Part.K3S,
        ("E-PRE-007",),
        ("E-DIA-030",),
        "k3s documentation for the Raspberry Pi",
    ),
)


def mode_of_check(code: str) -> FailureMode | None:
    """Return the failure mode that a check of preflight belongs to, None for none."""
    return next((mode for mode in MODES if code in mode.checks), None)


def page() -> str:
    """Return docs/failure-modes.md."""
    lines = [
        "# Failure modes",
        "Thirty ways in which an install of k3s with Cilium is known to fail, and where beeyard tells of each:",
        "`beeyard preflight` before anything is changed (`E-PRE-…`); a failed `beeyard install`, `beeyard status`,",
        "`beeyard doctor` and the cockpit afterwards (`E-DIA-…`). Reports are numbers of issues in the projects named.",
        "",
        "| # | what one sees | cause | preflight | diagnosis | reports |",
        "|---|---|---|---|---|---|",
    ]
    for mode in MODES:
        cells = (str(mode.number), mode.title, mode.cause, ", ".join(mode.checks) or "-", ", ".join(mode.causes) or "-")
        lines.append(f"| {' | '.join(cells)} | {mode.reports} |")
    return "\n".join(lines) + "\n"
