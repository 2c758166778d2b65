"""Features of the BPF subsystem: verifier, maps, helpers, hooks.

Sources: Cilium's system requirements and its own probes at the start of the agent; the kernel's uapi/linux/bpf.h.
"""

from __future__ import annotations

from dataclasses import replace

from installer.domain.kernel.feature import Feature, Weight
from installer.domain.kernel.trials import Attach, Call, Hook, Map, Program, Special, Stack, Use, Verify

_FALLBACK, _NOTE = Weight.FALLBACK, Weight.NOTE
_CLS, _XDP, _SOCK, _ADDR = Program.SCHED_CLS, Program.XDP, Program.CGROUP_SOCK, Program.CGROUP_SOCK_ADDR
_SYSCALL = ("BPF_SYSCALL",)
_CGROUP = ("CGROUP_BPF",)
_NO_PREALLOC, _NO_COMMON_LRU = 1, 2
_NETNS_SELF = -1

_VERIFIER = (
    Feature(
        "bpf.jit",
        "JIT compiler",
        "runs programs at native speed",
        (Special("jit", "load a program and look for its machine code"),),
        weight=_FALLBACK,
        without="programs are interpreted, several times slower",
        config=("BPF_JIT",),
    ),
    Feature("bpf.loops", "bounded loops", "all programs", (Verify("a bounded loop"),), since="5.3"),
    Feature(
        "bpf.million",
        "programs of a million instructions",
        "all programs",
        (Verify("5000 instructions"),),
        since="5.2",
    ),
    Feature("bpf.jump32", "32-bit jumps", "all programs", (Verify("32-bit jumps"),), since="5.1"),
    Feature("bpf.dead-code", "removal of dead code", "options set at load time", (Verify("dead code"),)),
    Feature("bpf.calls", "functions in programs", "all programs", (Verify("a function"),), since="4.16"),
    Feature(
        "bpf.global-data",
        "global data",
        "options set at load time",
        (Special("global-data", "freeze an array and read it from a program"),),
        since="5.2",
    ),
    Feature(
        "bpf.tail-calls", "tail calls", "all programs", (Special("tail-call", "run a program that calls another"),)
    ),
    Feature(
        "bpf.pin",
        "BPF file system",
        "keeps maps across restarts of the agent",
        (Special("pin", "mount it in a namespace of our own and pin a map"),),
    ),
)

_MAPS = (
    Feature("map.hash", "hash map", "endpoints, services", (Use(Map.HASH, _NO_PREALLOC),)),
    Feature("map.array", "array map", "configuration", (Use(Map.ARRAY), Use(Map.PERCPU_ARRAY))),
    Feature("map.percpu-hash", "per-CPU hash map", "metrics", (Use(Map.PERCPU_HASH),)),
    Feature("map.lru-hash", "LRU hash map", "connections, NAT, affinity", (Use(Map.LRU_HASH),)),
    Feature(
        "map.lru-per-cpu",
        "LRU lists for each CPU",
        "connections without a shared list",
        (Use(Map.LRU_HASH, _NO_COMMON_LRU),),
        ("distributed-lru",),
    ),
    Feature("map.lpm-trie", "LPM trie map", "address ranges, policies", (Use(Map.LPM_TRIE, _NO_PREALLOC),)),
    Feature(
        "map.in-map",
        "maps in maps",
        "Maglev tables, multicast groups",
        (Use(Map.ARRAY_OF_MAPS), Use(Map.HASH_OF_MAPS)),
        ("maglev", "multicast"),
    ),
    Feature(
        "map.batch",
        "reading maps in batches",
        "clean-up of connections",
        (Special("batch", "read a map in one batch"),),
        weight=_FALLBACK,
        without="large connection tables are cleaned up slowly, entry by entry",
        since="5.6",
    ),
    Feature(
        "map.perf",
        "perf event map",
        "events for Hubble and cilium monitor",
        (Special("perf", "open a perf buffer and put it into a map"),),
        ("cilium", "hubble"),
        config=("PERF_EVENTS", "BPF_SYSCALL"),
    ),
    Feature(
        "map.ringbuf",
        "ring buffer map",
        "events of beeyard tap",
        (Use(Map.RINGBUF),),
        ("tap",),
        _NOTE,
        "beeyard tap cannot run",
        since="5.8",
    ),
)


def _helper(name: str, purpose: str, *calls: Call, since: str = "") -> Feature:
    return Feature(f"helper.{name}", name, purpose, calls, config=("NET_CLS_ACT", "BPF_SYSCALL"), since=since)


_TUNNEL_KEY = Stack(44)
_TUPLE = Stack(12)
_HELPERS = (
    _helper("fib_lookup", "routing by eBPF", Call("fib_lookup", 69, ("ctx", Stack(64), 64, 0))),
    _helper("redirect", "delivery to pods", Call("redirect", 23, (1, 0))),
    _helper("redirect_neigh", "routing by eBPF", Call("redirect_neigh", 152, (1, 0, 0, 0)), since="5.10"),
    _helper("redirect_peer", "delivery into pods", Call("redirect_peer", 155, (1, 0)), since="5.10"),
    _helper(
        "skb_change",
        "answers and encapsulation",
        Call("skb_change_type", 32, ("ctx", 0)),
        Call("skb_change_tail", 38, ("ctx", 64, 0)),
        Call("skb_change_head", 43, ("ctx", 14, 0)),
        Call("skb_change_proto", 31, ("ctx", 0xDD86, 0)),
        Call("skb_adjust_room", 50, ("ctx", 20, 1, 0)),
        Call("skb_pull_data", 39, ("ctx", 0)),
    ),
    _helper(
        "csum",
        "rewriting of addresses",
        Call("csum_diff", 28, (Stack(16), 16, Stack(16), 16, 0)),
        Call("l3_csum_replace", 10, ("ctx", 24, 0, 0, 2)),
        Call("l4_csum_replace", 11, ("ctx", 36, 0, 0, 2)),
        Call("csum_level", 135, ("ctx", 0)),
    ),
    _helper(
        "tunnel_key",
        "identities in tunnels",
        Call("skb_set_tunnel_key", 21, ("ctx", _TUNNEL_KEY, 44, 0)),
        Call("skb_get_tunnel_key", 20, ("ctx", _TUNNEL_KEY, 44, 0)),
        Call("skb_set_tunnel_opt", 30, ("ctx", Stack(8), 8)),
    ),
    _helper("jiffies64", "time-outs of connections", Call("jiffies64", 118), since="5.6"),
    Feature(
        "helper.sk_assign",
        "sk_assign",
        "redirection to the proxy",
        (Verify("sk_assign"),),
        ("bpf-tproxy",),
        since="5.7",
    ),
    Feature(
        "helper.skb_set_tstamp",
        "skb_set_tstamp",
        "BBR for pods",
        (Call("skb_set_tstamp", 192, ("ctx", 0, 0)),),
        ("bbr",),
        since="5.18",
    ),
)

_PEER = Hook.CGROUP_INET4_CONNECT
_SOCKETS = (
    Feature(
        "cgroup.connect",
        "cgroup hooks: connect, sendmsg, recvmsg",
        "Services at the socket",
        (
            Attach(_ADDR, Hook.CGROUP_INET4_CONNECT),
            Attach(_ADDR, Hook.CGROUP_UDP4_SENDMSG),
            Attach(_ADDR, Hook.CGROUP_UDP4_RECVMSG),
        ),
        ("services",),
        config=_CGROUP,
    ),
    Feature(
        "cgroup.connect6",
        "cgroup hooks of IPv6",
        "Services at the socket",
        (
            Attach(_ADDR, Hook.CGROUP_INET6_CONNECT),
            Attach(_ADDR, Hook.CGROUP_UDP6_SENDMSG),
            Attach(_ADDR, Hook.CGROUP_UDP6_RECVMSG),
        ),
        ("services6",),
        config=_CGROUP,
    ),
    Feature(
        "cgroup.getpeername",
        "cgroup hook: getpeername",
        "applications see the Service's address",
        (Attach(_ADDR, Hook.CGROUP_INET4_GETPEERNAME),),
        ("services",),
        _FALLBACK,
        "applications see the address of the pod behind a Service",
        config=_CGROUP,
        since="5.8",
    ),
    Feature(
        "cgroup.post_bind",
        "cgroup hook: post_bind",
        "guards the ports of NodePort Services",
        (Attach(_SOCK, Hook.CGROUP_INET4_POST_BIND),),
        ("services",),
        config=_CGROUP,
    ),
    Feature(
        "cgroup.sock_release",
        "cgroup hook: sock_release",
        "forgets sockets that are closed",
        (Attach(_SOCK, Hook.CGROUP_INET_SOCK_RELEASE),),
        ("services",),
        _FALLBACK,
        "entries of closed sockets stay until the LRU map drops them",
        config=_CGROUP,
        since="5.9",
    ),
    Feature(
        "helper.cookies",
        "cookies of sockets and namespaces",
        "Services at the socket, session affinity",
        (
            Call("get_socket_cookie", 46, ("ctx",), _ADDR, _PEER),
            Call("get_netns_cookie", 122, ("ctx",), _ADDR, _PEER),
            Call("get_current_cgroup_id", 80, (), _ADDR, _PEER),
        ),
        ("services",),
        config=_CGROUP,
        since="5.7",
    ),
    Feature(
        "helper.sk_lookup",
        "socket lookup",
        "Services at the socket, redirection to the proxy",
        (Verify("a socket lookup"),),
        ("services", "l7"),
    ),
)

_HOOKS = (
    Feature(
        "hook.tc",
        "tc filter",
        "programs on devices",
        (Special("tc", "add clsact and a bpf filter to a device of a scratch namespace"),),
        instead="hook.tcx",
        without="programs can be attached by tcx only; older releases of Cilium could not run",
        config=("NET_CLS_BPF", "NET_SCH_INGRESS", "NET_CLS_ACT"),
        module="cls_bpf",
    ),
    Feature(
        "hook.tcx",
        "tcx links",
        "programs on devices, replaced without a gap",
        (Attach(_CLS, Hook.TCX_INGRESS), Attach(_CLS, Hook.TCX_EGRESS)),
        ("tcx",),
        _FALLBACK,
        "Cilium attaches by tc filters, which other tools can remove",
        config=("NET_XGRESS",),
        since="6.6",
    ),
    Feature(
        "hook.xdp",
        "XDP",
        "load balancing before the network stack",
        (Attach(_XDP, Hook.XDP), Call("fib_lookup", 69, ("ctx", Stack(64), 64, 0), _XDP)),
        ("xdp",),
    ),
)

_TAP = (
    Feature(
        "cgroup.skb",
        "cgroup hooks: packets",
        "flows of beeyard tap",
        (Attach(Program.CGROUP_SKB, Hook.CGROUP_INET_INGRESS), Attach(Program.CGROUP_SKB, Hook.CGROUP_INET_EGRESS)),
        ("tap",),
        _NOTE,
        "beeyard tap cannot run",
        config=_CGROUP,
    ),
    Feature(
        "bpf.btf",
        "description of the kernel's structures (BTF)",
        "drops and their reasons in beeyard tap",
        (Special("btf", "read /sys/kernel/btf/vmlinux"),),
        ("tap",),
        _NOTE,
        "beeyard tap cannot run",
        config=("DEBUG_INFO_BTF",),
    ),
)

BPF = tuple(
    feature if feature.config else replace(feature, config=_SYSCALL)
    for feature in (*_VERIFIER, *_MAPS, *_HELPERS, *_SOCKETS, *_HOOKS, *_TAP)
)
"""Features of the BPF subsystem."""
