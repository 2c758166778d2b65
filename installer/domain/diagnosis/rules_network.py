"""Causes that show in the pods' network: CNI, addresses, services, firewalls, DNS, Relay."""

from __future__ import annotations

from installer.domain.diagnosis.evidence import Source
from installer.domain.diagnosis.parts import Part
from installer.domain.diagnosis.rule import Rule, clue

_FIREWALLD = clue(r"^firewalld (is )?running", Source.HOST)
_UFW = clue(r"^ufw (is )?active", Source.HOST)
_NO_WAY = r"i/o timeout|no route to host|connection timed out|context deadline exceeded"

RULES = (
    Rule(
        "E-DIA-003",
        Part.PODS,
        "the pod network covers addresses that this host reaches elsewhere: {network}",
        "choose a free network (beeyard preflight proposes one) and install anew with --set k3s.clusterCIDR=…: the pod "
        "network of a running cluster cannot be changed",
        (
            clue(r"(?P<network>[\da-f.:]+/\d+) (conflicts|overlaps|is overlapping) with"),
            clue(r"cidr \S*(?P<network>[\da-f.:]+/\d+)\S* .*(conflict|overlap)"),
        ),
        mode=3,
        lasting=True,
    ),
    Rule(
        "E-DIA-005",
        Part.PODS,
        "pods are set up by {plugin}, a pod network that is not Cilium",
        "mkdir -p /root/cni-old && mv the files in /etc/cni/net.d that are not 05-cilium.conflist there; then "
        "delete the "
        "pods that hang",
        (
            clue(
                r'plugin type="(?P<plugin>flannel|calico|weave-net|canal|bridge|antrea|kube-router|multus\S*)"'
                r".* failed \((add|delete)\)",
                Source.EVENT,
                Source.CONTAINERD,
                Source.K3S,
                Source.PROBLEM,
            ),
            clue(r"load(?P<plugin>Flannel)SubnetEnv failed"),
            clue(r"stat /var/lib/(?P<plugin>calico)/nodename: no such file"),
        ),
        mode=5,
    ),
    Rule(
        "E-DIA-007",
        Part.PODS,
        "kube-proxy's rules are there although Cilium replaces it: {count} service chains",
        "set disable-kube-proxy: true in /etc/rancher/k3s/config.yaml, then reboot this host: kube-proxy never "
        "cleans up "
        "after itself",
        (clue(r"^iptables: (?P<count>[1-9]\d*) KUBE-SVC chains", Source.HOST),),
        mode=7,
        why="Both translate the same addresses; connections land on backends that are gone.",
        also=(clue(r"^kube-proxy-replacement=(true|strict)$", Source.CONFIG),),
        lasting=True,
    ),
    Rule(
        "E-DIA-016",
        Part.DNS,
        "firewalld keeps pods from each other and from the API",
        "firewall-cmd --permanent --zone=trusted --add-source=10.42.0.0/16 --add-source=10.43.0.0/16; firewall-cmd "
        "--permanent --add-port=6443/tcp; firewall-cmd --reload (with your networks), or: systemctl disable "
        "--now firewalld",
        (
            clue(_NO_WAY, Source.DNS, Source.EVENT, Source.POD, Source.PROBLEM),
            clue(_NO_WAY, Source.RELAY, Source.AGENT, Source.OPERATOR),
        ),
        mode=16,
        also=(_FIREWALLD,),
        lasting=True,
        lines=3,
    ),
    Rule(
        "E-DIA-017",
        Part.DNS,
        "ufw keeps nodes and pods from each other",
        "ufw allow from 10.42.0.0/16; ufw allow from 10.43.0.0/16; ufw allow 6443/tcp; ufw allow 10250/tcp; "
        "ufw allow 8472/udp; ufw allow 4240/tcp; ufw allow 4244/tcp",
        (
            clue(_NO_WAY, Source.RELAY),
            clue(_NO_WAY, Source.DNS, Source.EVENT, Source.POD, Source.PROBLEM, Source.AGENT),
        ),
        mode=17,
        also=(_UFW,),
        lasting=True,
        lines=3,
    ),
    Rule(
        "E-DIA-019",
        Part.PODS,
        "containerd looks for CNI plugins in {path}, where Cilium did not put them",
        "take cni.binPath and cni.confPath out of your values (k3s without flannel looks in /opt/cni/bin and "
        "/etc/cni/net.d), run: beeyard install; and see that /opt/cni/bin holds cilium-cni",
        (
            clue(r'failed to find plugin \\?"(?P<plugin>cilium-cni|loopback)\\?" in path \[(?P<path>[^\]]*)\]'),
            clue(r"^E-NODE-002 .*", Source.PROBLEM),
        ),
        mode=19,
    ),
    Rule(
        "E-DIA-025",
        Part.PODS,
        "pods are handed to Cilium's plugin, and there is no agent behind it",
        "kubectl -n kube-system get pods -l k8s-app=cilium; if Cilium was removed: beeyard uninstall "
        "--verify-clean lists "
        "what it left (/etc/cni/net.d/05-cilium.conflist, /opt/cni/bin/cilium-cni)",
        (
            clue(r"unable to connect to cilium (agent|daemon)"),
            clue(r"dial unix \S*cilium\.sock: connect: (no such file or directory|connection refused)"),
        ),
        mode=25,
    ),
    Rule(
        "E-DIA-050",
        Part.PODS,
        "Cilium has no addresses left for pods on a node",
        "lower the number of pods there, or install with a larger pod network (k3s.clusterCIDR)",
        (clue(r"no more IPs available|IPAM.*exhausted|\brange is full\b|no available ip"),),
    ),
    Rule(
        "E-DIA-023",
        Part.BALANCER,
        "k3s' own load balancer and another want the same port",
        "use one: disable: [servicelb] in /etc/rancher/k3s/config.yaml (beeyard does so where Cilium balances), then "
        "restart k3s; or take Cilium's LB-IPAM out of your values",
        (
            clue(
                r"free ports for the requested pod ports|hostport",
                Source.CONDITION,
                Source.EVENT,
                Source.PROBLEM,
                subject=r"svclb-",
            ),
        ),
        mode=23,
        lasting=True,
    ),
    Rule(
        "E-DIA-034",
        Part.DNS,
        "the cluster's DNS asks itself: the host's resolv.conf names a resolver on the host's own loopback",
        "give k3s another: resolv-conf: /run/systemd/resolve/resolv.conf in /etc/rancher/k3s/config.yaml, restart k3s, "
        "and: kubectl -n kube-system rollout restart deploy/coredns",
        (clue(r"Loop \(\S+ -> \S*\) detected for zone", Source.DNS, Source.PROBLEM),),
    ),
    Rule(
        "E-DIA-031",
        Part.DNS,
        "the cluster's DNS gets no answers from the resolver of the host",
        "see that a pod reaches it: the resolver in /etc/resolv.conf, rp_filter, a firewall between them; "
        "kubectl -n kube-system logs deploy/coredns",
        (clue(r"plugin/errors.*(read|write) (udp|tcp) \S+->\S+: (i/o timeout|read: no route to host)", Source.DNS),),
        unless=(_FIREWALLD, _UFW),
        lasting=True,
        lines=3,
    ),
    Rule(
        "E-DIA-022",
        Part.RELAY,
        "Hubble's certificates are expired or do not belong together",
        "kubectl -n kube-system delete secret hubble-server-certs hubble-relay-client-certs; then: beeyard "
        "hubble enable "
        "(it issues new ones), and kubectl -n kube-system rollout restart ds/cilium deploy/hubble-relay",
        (
            clue(
                r"x509: |remote error: tls: |certificate[ _](has expired|is not valid|verify[ _]failed)",
                Source.RELAY,
                Source.PROBLEM,
            ),
            clue(r"certificate .*hubble.*expired", Source.HELM, Source.CONDITION),
        ),
        mode=22,
        lasting=True,
        lines=3,
    ),
    Rule(
        "E-DIA-033",
        Part.RELAY,
        "Relay does not find the agents: the name of their service does not resolve",
        "set hubble.peerService.clusterDomain to k3s' cluster-domain (beeyard does), and see that the cluster's "
        "DNS works",
        (
            clue(r"lookup (?P<name>hubble-peer\S*?)(: | on ).*(no such host|server misbehaving|i/o timeout)"),
            clue(r"name resolver error: produced zero addresses", Source.RELAY, Source.PROBLEM),
        ),
        mode=22,
        why="The peer service is asked by its full name, which ends in the cluster's domain.",
    ),
    Rule(
        "E-DIA-032",
        Part.RELAY,
        "Relay reaches no agent on port 4244",
        "open 4244/tcp between the nodes; kubectl -n kube-system logs deploy/hubble-relay",
        (clue(rf":4244.*({_NO_WAY}|connection refused)", Source.RELAY, Source.PROBLEM),),
        mode=22,
        unless=(_UFW, _FIREWALLD),
    ),
)
