"""Causes that keep k3s, containerd, images or the Helm release from working."""

from __future__ import annotations

from installer.domain.diagnosis.evidence import Source
from installer.domain.diagnosis.parts import Part
from installer.domain.diagnosis.rule import Rule, clue

RULES = (
    Rule(
        "E-DIA-018",
        Part.K3S,
        "the server refuses this node: its password is not the one it joined with",
        "on a server: kubectl delete node NAME; kubectl -n kube-system delete secret NAME.node-password.k3s; then "
        "restart k3s-agent. If two hosts share a name, give one another: hostnamectl set-hostname",
        (
            clue(
                r"node password rejected|unable to verify (password|hash) for node"
                r"|node-password\.k3s.*hash does not match"
            ),
            clue(r"duplicate hostname or contents of .*node/password"),
        ),
        mode=18,
        why="The host was installed anew, or another host has its name; the server keeps the old password as a secret.",
    ),
    Rule(
        "E-DIA-030",
        Part.K3S,
        "the kernel was started without the memory cgroup",
        "add cgroup_memory=1 cgroup_enable=memory to the kernel's command line (/boot/firmware/cmdline.txt on a "
        "Raspberry Pi) and reboot",
        (clue(r"failed to find memory cgroup|memory cgroup (is )?(disabled|not (found|enabled|available))"),),
        mode=30,
    ),
    Rule(
        "E-DIA-028",
        Part.RELEASE,
        "no kubeconfig was found, so the cluster was looked for on this machine's port 8080",
        "name it: --kubeconfig /etc/rancher/k3s/k3s.yaml, or export KUBECONFIG=/etc/rancher/k3s/k3s.yaml (sudo "
        "drops it)",
        (
            clue(r"(localhost|127\.0\.0\.1|\[::1\]):8080", Source.ERROR, Source.HELM),
            clue(r"^E-KUBE-002 |^no usable kubeconfig", Source.ERROR),
            clue(r'cluster name ""', Source.ERROR, Source.HELM, Source.POD),
        ),
        mode=28,
    ),
    Rule(
        "E-DIA-027",
        Part.RELEASE,
        "a helm operation on the release was cut off half-way: {state}",
        "beeyard install (it clears the stuck state); by hand: helm -n kube-system rollback cilium",
        (
            clue(r"^release \S+ is (?P<state>pending-\w+)", Source.HELM),
            clue(r"(?P<state>another operation \(install/upgrade/rollback\) is in progress)"),
        ),
        mode=27,
        lasting=True,
    ),
    Rule(
        "E-DIA-047",
        Part.RELEASE,
        "objects of the chart belong to another Helm release",
        "uninstall the release that owns them (helm list -A), or let Cilium's take them: helm upgrade --take-ownership",
        (clue(r"invalid ownership metadata|cannot be imported into the current release"),),
        mode=27,
    ),
    Rule(
        "E-DIA-029",
        Part.IMAGES,
        "an image cannot be pulled {image}{ref}",
        "Read which host was asked (first mirrors, then the registry itself): correct "
        "/etc/rancher/k3s/registries.yaml, proxy and NO_PROXY of the service, or the image's name; without a network "
        "install from a bundle: beeyard install --bundle",
        (
            clue(r'trying next host.*error="?(?P<error>[^"]*).*host="?(?P<host>[^" ]+)', Source.CONTAINERD),
            clue(r'(PullImage|pull) .*?"?(?P<ref>[\w./:-]+/[\w./:@-]+)\\?"? ?.*failed', Source.CONTAINERD),
            clue(
                r"failed to (do request|resolve reference|pull and unpack)", Source.EVENT, Source.PROBLEM, Source.ERROR
            ),
            clue(r'Failed to pull image "(?P<image>[^"]+)"'),
            clue(r"Back-off pulling image \\?\"(?P<image>[^\"\\]+)"),
            clue(
                r"^(Err(ImagePull|ImageNeverPull)|ImagePullBackOff|InvalidImageName)\b",
                Source.PROBLEM,
                Source.CONDITION,
            ),
        ),
        mode=29,
        why="The kubelet tells only of the host asked last; containerd's log tells of all.",
        also=(
            clue(
                r"failed to (do request|resolve reference|pull)|^Err(ImagePull|ImageNeverPull)|^ImagePullBackOff"
                r"|^InvalidImageName|back-off pulling|cannot be pulled",
                Source.EVENT,
                Source.CONDITION,
                Source.PROBLEM,
                Source.ERROR,
            ),
        ),
    ),
    Rule(
        "E-DIA-038",
        Part.K3S,
        "port {port} is taken by another program",
        "ss -lntup 'sport = :{port}' names it; stop it, or give k3s another port",
        (clue(r"listen (tcp|udp)[46]? \S*:(?P<port>\d+): bind: address already in use"),),
    ),
    Rule(
        "E-DIA-039",
        Part.K3S,
        "the join token is not that of the server",
        "copy /var/lib/rancher/k3s/server/node-token of a server anew into this node's configuration",
        (
            clue(
                r"token CA hash does not match|invalid token format|failed to validate token"
                r"|bootstrap data already found "
                r"and encrypted with different token"
            ),
        ),
    ),
    Rule(
        "E-DIA-040",
        Part.K3S,
        "the cluster's data store is damaged",
        "k3s server --cluster-reset --cluster-reset-restore-path=SNAPSHOT (etcd), or put back a copy of "
        "/var/lib/rancher/k3s/server/db",
        (clue(r"walpb: crc mismatch|database disk image is malformed|etcdserver: corrupt|cluster ID mismatch"),),
    ),
    Rule(
        "E-DIA-044",
        Part.K3S,
        "k3s finds no default route, and so not its own address",
        "set the host's gateway; without a network make a dummy route (beeyard preflight tells how), or set node-ip",
        (clue(r"no default routes? found|unable to select an IP from default routes"),),
    ),
    Rule(
        "E-DIA-045",
        Part.K3S,
        "this server's configuration differs from that of the others in {key}",
        "make /etc/rancher/k3s/config.yaml agree with the other servers' and restart k3s",
        (
            clue(
                r"critical configuration (value )?mismatch\W*(?P<key>[\w-]*)"
                r"|critical configuration mismatched: (?P<other>\S+)"
            ),
        ),
    ),
    Rule(
        "E-DIA-048",
        Part.K3S,
        "k3s does not know an option of its configuration",
        "correct /etc/rancher/k3s/config.yaml; k3s server --help lists what it knows",
        (clue(r"flag provided but not defined: (?P<flag>\S+)|unknown flag: (?P<name>\S+)", Source.K3S),),
    ),
    Rule(
        "E-DIA-049",
        Part.K3S,
        "the node does not report any more",
        "on that node: systemctl status k3s k3s-agent; journalctl -u k3s -u k3s-agent -n 100",
        (clue(r"kubelet stopped posting node status", Source.CONDITION, Source.PROBLEM),),
    ),
)
