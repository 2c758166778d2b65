"""Causes that keep Cilium's agent or operator from starting."""

from __future__ import annotations

from installer.domain.diagnosis.evidence import Source
from installer.domain.diagnosis.parts import Part
from installer.domain.diagnosis.rule import Rule, clue

RULES = (
    Rule(
        "E-DIA-006",
        Part.AGENT,
        "the agent does not reach the Kubernetes API at {address}",
        "beeyard install sets k8sServiceHost and k8sServicePort to k3s' own listener (127.0.0.1 and the port after "
        "https-listen-port, 6444); take them out of your values",
        (
            clue(
                r"(unable to (contact|connect to) (k8s api-?server|kubernetes( api)?)|build config failed"
                r"|failed to (create|start) .*k8s.?client).*?(https?://|dial tcp:? )(?P<address>\[?[\w.:-]+\]?:\d+)",
                Source.INIT,
                Source.AGENT,
                Source.OPERATOR,
                Source.PROBLEM,
                Source.ERROR,
            ),
            clue(
                r"dial tcp:? (?P<address>\[?[\w.:-]+\]?:\d+): (connect: |i/o )(connection refused|timeout|no route)",
                Source.INIT,
            ),
            clue(r"unable to (contact|connect to) (k8s api-?server|kubernetes)", Source.INIT, Source.AGENT),
        ),
        mode=6,
        why="Without kube-proxy the API's ClusterIP leads nowhere until Cilium itself serves it.",
    ),
    Rule(
        "E-DIA-008",
        Part.OPERATOR,
        "there are more operators than nodes to put them on",
        "set cilium.values.operator.replicas to 1 (at most the number of nodes) and run: beeyard install",
        (
            clue(
                r"anti-affinity|free ports for the requested pod ports|affinity/anti",
                Source.CONDITION,
                Source.EVENT,
                Source.PROBLEM,
                subject=r"cilium-operator-",
            ),
        ),
        mode=8,
        why="Operators use ports of the host and may not share a node.",
        also=(clue(r"^\d+ replicas are wanted on \d+ node", Source.CONFIG, subject=r"cilium-operator$"),),
        lasting=True,
    ),
    Rule(
        "E-DIA-024",
        Part.AGENT,
        "the agent does not know which network card carries the traffic between nodes",
        "name it: beeyard install --set 'cilium.values={{devices: eth0}}', and set k3s' node-ip to its address; "
        "a VPN's "
        "card needs a smaller MTU",
        (
            clue(r"unable to determine direct routing device"),
            clue(
                r"(unable|failed) to (find|detect|determine) .*(devices?|k8s node ip)"
                r"|no (external )?devices? (found|detected)",
                Source.AGENT,
                Source.INIT,
                Source.PROBLEM,
            ),
        ),
        mode=24,
    ),
    Rule(
        "E-DIA-041",
        Part.AGENT,
        "the kernel's verifier refuses one of Cilium's programs",
        "use a kernel that this Cilium was tested with (beeyard preflight), or another patch of Cilium: beeyard "
        "upgrade",
        (
            clue(
                r"verifier error|BPF program is too large|processed \d+ insns.*(limit|too)|R\d+ (invalid"
                r"|!read_ok|unbounded)"
            ),
            clue(r"load program: (invalid argument|permission denied|argument list too long)"),
        ),
    ),
    Rule(
        "E-DIA-042",
        Part.AGENT,
        "the agent lacks the power to do its work: this root is not the host's",
        "run k3s on the host itself or in a virtual machine; a container must be privileged, with /sys/fs/bpf "
        "and /run shared",
        (
            clue(r"failed to set memlock rlimit|remove memlock.*operation not permitted"),
            clue(
                r"nsenter: (reassociate|cannot open).*(operation not permitted|permission denied)"
                r"|(^|\s)mount: .*permission denied",
                Source.INIT,
                Source.PROBLEM,
            ),
        ),
    ),
    Rule(
        "E-DIA-043",
        Part.AGENT,
        "the agent's helpers cannot be run from {path}",
        "see that the file system is not mounted noexec (findmnt -T {path}), and that SELinux or AppArmor does "
        "not deny "
        "it (ausearch -m avc -ts recent; dmesg | grep DENIED)",
        (clue(r"failed to execute (?P<path>/\S+): permission denied|(?P<file>/opt/cni/bin/\S+): permission denied"),),
    ),
    Rule(
        "E-DIA-046",
        Part.AGENT,
        "Cilium refuses one of its settings: {option}",
        "correct it in cilium.values and run: beeyard install",
        (
            clue(
                r"invalid daemon configuration:? (?P<option>.*)|unable to parse (?P<flag>--?\S+)"
                r"|unknown flag: (?P<name>\S+)",
                Source.AGENT,
                Source.OPERATOR,
                Source.INIT,
                Source.PROBLEM,
            ),
        ),
    ),
    Rule(
        "E-DIA-026",
        Part.GATEWAY,
        "the Gateway API's definitions are missing or too old for this Cilium",
        "kubectl apply -f the standard-install.yaml of the Gateway API that your Cilium names, then: "
        "kubectl -n kube-system rollout restart deploy/cilium-operator",
        (
            clue(r"required gateway ?api resources are not found"),
            clue(r'no matches for kind "(gateway(class)?|\w+route|referencegrant)" in version'),
            clue(r'customresourcedefinitions.*"(?P<crd>\w+\.gateway\.networking\.k8s\.io)\\?" not found'),
        ),
        mode=26,
        why="The operator looks for them once, at its start.",
        lasting=True,
    ),
)
