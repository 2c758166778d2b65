"""Shell that makes a host of namespaces, puts others' things on it, and then what k3s and Cilium leave."""

from __future__ import annotations

BARE = """
mount -t tmpfs tmpfs /run; mkdir -p /run/netns /run/lock
for folder in etc opt usr var; do
  mkdir -p /run/over/$folder/upper /run/over/$folder/work
  over=/run/over/$folder
  mount -t overlay overlay -o lowerdir=/$folder,upperdir=$over/upper,workdir=$over/work /$folder
done
rm -rf /etc/cni /etc/rancher /opt/cni /var/lib/rancher /var/lib/kubelet /var/lib/cni /var/lib/cilium /var/lib/beeyard \
  /var/log/pods /var/log/containers /var/log/k3s.log /usr/libexec/kubernetes /usr/local/bin/k3s /usr/local/bin/kubectl \
  /usr/local/bin/ctr /usr/local/bin/crictl /etc/systemd/system/k3s* /etc/init.d/k3s /etc/conf.d/k3s
mkdir -p /run/home /var/lib/beeyard /etc/systemd/system /etc/sysctl.d
mount -t tmpfs tmpfs /sys/fs/cgroup; mkdir /sys/fs/cgroup/unified
mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
mount -t bpf bpf /sys/fs/bpf
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
ip link add eth7 type veth peer name peer7; ip link set peer7 up; ip link set eth7 up
ip addr add 192.0.2.2/24 dev eth7; ip route add default via 192.0.2.1
"""

OTHERS = """
ip link add lxcbr0 type bridge; ip link add lxcmine type bridge
ip addr add 198.51.100.9/24 dev lxcmine; ip link set lxcmine up
ip rule add fwmark 0x500 lookup 2004 priority 9
ip rule add from 203.0.113.0/24 lookup 77 priority 5000
ip route add 203.0.113.0/24 via 192.0.2.9 table 77
ip route add 203.0.113.7 dev eth7 table 2004
ip -6 rule add fwmark 0x7 lookup 78 priority 21
for tool in iptables-nft ip6tables-nft iptables-legacy; do
  $tool -N MINE; $tool -A MINE -j RETURN; $tool -A INPUT -m comment --comment "my own: KUBE-like" -j MINE
  $tool -P FORWARD DROP
done
iptables-nft -t nat -N CNI-HOSTPORT-OTHER; iptables-nft -t nat -A POSTROUTING -j CNI-HOSTPORT-OTHER
nft 'table inet mine { chain c { type filter hook input priority 5; policy accept; tcp dport 22 accept; }; }'
ipset create mine hash:ip
tc qdisc add dev eth7 clsact
$PLANT tc foreign_tc eth7 /sys/fs/bpf/foreign_tc
$PLANT tcx foreign_tcx eth7 /sys/fs/bpf/foreign_tcx
mkdir /sys/fs/cgroup/unified/mine
$PLANT cgroup foreign_cg /sys/fs/cgroup/unified/mine /sys/fs/bpf/foreign_cg
ip netns add mine
mkdir -p /etc/cni/net.d /opt/cni/bin /etc/rancher/k3s /run/home/.kube /var/lib/kubelet/mine
echo '{"name": "podman"}' > /etc/cni/net.d/87-podman.conflist; echo '{"name": "old"}' > /etc/cni/net.d/10-old.conf
echo theirs > /opt/cni/bin/loopback; chmod 755 /opt/cni/bin/loopback
printf '# my own words\\nselinux: true\\n' > /etc/rancher/k3s/config.yaml; chmod 640 /etc/rancher/k3s/config.yaml
echo 'net.ipv4.conf.all.rp_filter = 1' > /etc/sysctl.d/50-mine.conf
echo kept > /var/lib/kubelet/mine/file
echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 0 > /proc/sys/net/ipv4/ip_forward
echo 2 > /proc/sys/net/ipv4/conf/eth7/rp_filter
cat > /run/home/.kube/config <<'END'
# a comment of mine
apiVersion: v1
kind: Config
clusters: [{name: work, cluster: {server: "https://work:6443"}}]
contexts: [{name: work, context: {cluster: work, user: work}}]
users: [{name: work, user: {token: t}}]
current-context: work
END
chmod 600 /run/home/.kube/config
"""

CLUSTER = """
ip link add cilium_host type veth peer name cilium_net; ip link set cilium_host up; ip link set cilium_net up
ip addr add 10.42.0.7/32 dev cilium_host; ip route add 10.42.0.0/24 via 10.42.0.8 dev cilium_host onlink
ip link add cilium_vxlan type vxlan external dstport 8472; ip link set cilium_vxlan up
ip link add lxc0123456789ab type veth peer name podeth; ip link set lxc0123456789ab up
ip link add lxc_health type veth peer name healtheth
ip rule add fwmark 0x200/0xf00 lookup 2004 priority 9; ip rule add fwmark 0xa00/0xf00 lookup 2005 priority 10
ip route add local default dev lo table 2004; ip route add default via 10.42.0.8 dev cilium_host onlink table 2005
ip rule add from all lookup local priority 100; ip rule del from all lookup local priority 0
ip -6 rule add fwmark 0x200/0xf00 lookup 2004 priority 9; ip -6 route add local default dev lo table 2004
ip -6 rule add from all lookup local priority 100; ip -6 rule del from all lookup local priority 0
ip rule add from 10.42.0.55 lookup 11 priority 111
ip netns add cni-5f1c0000-1111-2222-3333-444444444444
for tool in iptables-nft ip6tables-nft iptables-legacy; do
  $tool -N CILIUM_INPUT; $tool -I INPUT 1 -m comment --comment "cilium-feeder: CILIUM_INPUT" -j CILIUM_INPUT
  $tool -A CILIUM_INPUT -m mark --mark 0x200/0xf00 -j ACCEPT; $tool -N OLD_CILIUM_FORWARD
  $tool -N KUBE-FIREWALL; $tool -A OUTPUT -j KUBE-FIREWALL; $tool -A KUBE-FIREWALL -j RETURN
  $tool -t mangle -N KUBE-KUBELET-CANARY
  $tool -t nat -N KUBE-SERVICES; $tool -t nat -N KUBE-SVC-X; $tool -t nat -A KUBE-SERVICES -j KUBE-SVC-X
  $tool -t nat -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
done
iptables-nft -t raw -N CILIUM_PRE_raw; iptables-nft -t raw -A PREROUTING -j CILIUM_PRE_raw
ipset create cilium_node_set_v4 hash:ip; ipset add cilium_node_set_v4 192.0.2.2
iptables-nft -A CILIUM_INPUT -m set --match-set cilium_node_set_v4 src -j ACCEPT
nft 'table inet cilium_testbed { chain c { type filter hook input priority 0; }; }'
tc qdisc add dev eth7 clsact 2>/dev/null || true
mkdir -p /sys/fs/bpf/cilium/devices/eth7/links /sys/fs/bpf/cilium/socketlb/links /sys/fs/bpf/tc/globals
$PLANT tc cil_from_netdev eth7 /sys/fs/bpf/tc/globals/cilium_calls_netdev
$PLANT tcx cil_from_netdev eth7 /sys/fs/bpf/cilium/devices/eth7/links/cil_from_netdev
$PLANT tcx cil_to_container lxc0123456789ab /sys/fs/bpf/cilium/devices/eth7/links/cil_to_container
$PLANT xdp cil_xdp_entry eth7 /sys/fs/bpf/cilium/xdp
$PLANT cgroup cil_sock4_connect /sys/fs/cgroup/unified /sys/fs/bpf/cilium/socketlb/links/cil_sock4
$PLANT cgroup-old cil_sock6_connect /sys/fs/cgroup/unified
mkdir -p /sys/fs/cgroup/unified/kubepods/besteffort/pod1
mkdir -p /run/cilium/cgroupv2 /run/k3s/containerd /var/lib/kubelet/pods/x/volumes/t /var/lib/rancher/k3s/server
mount -t cgroup2 cgroup2 /run/cilium/cgroupv2; mount -t tmpfs tmpfs /var/lib/kubelet/pods/x/volumes/t
mv /etc/cni/net.d/10-old.conf /etc/cni/net.d/10-old.conf.cilium_bak 2>/dev/null || true
mkdir -p /etc/cni/net.d /opt/cni/bin /etc/rancher/k3s/config.yaml.d /etc/rancher/node
mkdir -p /usr/libexec/kubernetes/kubelet-plugins/volume/exec
echo '{}' > /etc/cni/net.d/05-cilium.conflist; echo ours > /opt/cni/bin/cilium-cni; echo ours > /opt/cni/bin/loopback
echo 'net.ipv4.conf.all.rp_filter = 0' > /etc/sysctl.d/99-zzz-override_cilium.conf
echo 'flannel-backend: none' > /etc/rancher/k3s/config.yaml; echo secret > /etc/rancher/node/password
echo k > /etc/rancher/k3s/k3s.yaml; echo k3s > /usr/local/bin/k3s; ln -s k3s /usr/local/bin/kubectl
echo mine > /usr/local/bin/ctr
echo '[Unit]' > /etc/systemd/system/k3s.service; echo data > /var/lib/rancher/k3s/server/token
echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 1 > /proc/sys/net/ipv4/ip_forward
"""

AFTERWARDS = """
ip link add br9 type bridge; ip rule add from 10.9.0.0/16 lookup 79 priority 6000
iptables-nft -A INPUT -p tcp --dport 8080 -j ACCEPT
echo '{"name": "nerdctl"}' > /etc/cni/net.d/20-nerdctl.conflist
"""

LOOK = """
set +e
ip -o link | sed 's/^[0-9]*: //; s/@[^:]*//' | cut -d: -f1 | sort; ip -4 rule; ip -6 rule
ip route show table all; ip -6 route show table 2004 2>/dev/null
for tool in iptables-nft ip6tables-nft iptables-legacy; do
  for table in filter nat mangle; do $tool -t $table -S; done
done
nft list tables; ipset list -n; bpftool net | sed 's/ id [0-9]*//; s/ [a-z_]*id [0-9]*//g; s/([0-9]*)//'
bpftool cgroup tree /sys/fs/cgroup/unified | awk '{print $NF}'
find /sys/fs/bpf /etc/cni /opt/cni /etc/rancher /etc/sysctl.d /usr/local/bin /var/lib/rancher /var/lib/kubelet \
  /run/netns /run/home/.kube 2>/dev/null | sort
grep -c . /proc/self/mountinfo; cat /proc/sys/net/ipv4/ip_forward; grep . /proc/sys/net/ipv4/conf/*/rp_filter
md5sum /run/home/.kube/config /etc/rancher/k3s/config.yaml /etc/cni/net.d/* /opt/cni/bin/* 2>/dev/null || true
stat -c '%a %U' /etc/rancher/k3s/config.yaml 2>/dev/null || true
true
"""

SESSION = """
ip netns add client; ip link add eth8 type veth peer name peer8 netns client; ip link set eth8 up
ip addr add 192.0.2.129/30 dev eth8; ip -n client addr add 192.0.2.130/30 dev peer8; ip -n client link set peer8 up
mkfifo /run/in; exec 9<>/run/in
cat > /run/serve.py <<'END'
import socket
server = socket.create_server(("192.0.2.129", 22))
open("/run/listens", "w").close()
one, _ = server.accept()
while data := one.recv(100):
    one.sendall(data)
END
cat > /run/ask.py <<'END'
import socket, sys
one = socket.create_connection(("192.0.2.129", 22))
for line in open("/run/in"):
    one.sendall(line.encode())
    with open("/run/out", "a") as out:
        out.write(one.recv(100).decode())
END
$PY /run/serve.py >/dev/null 2>&1 &
until [ -e /run/listens ]; do sleep 0.05; done
ip netns exec client $PY /run/ask.py >/dev/null 2>&1 <&9 &
"""
"""A connection over a link, as by SSH: ``/run/in`` takes lines, ``/run/out`` has the answers; ``$PY`` is a Python."""
