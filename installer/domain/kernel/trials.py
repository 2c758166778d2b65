"""The ways in which a feature is tried. Data only: an adapter carries them out on the running kernel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Program(IntEnum):
    """Types of BPF programs, by the kernel's numbers."""

    SCHED_CLS = 3
    XDP = 6
    CGROUP_SKB = 8
    CGROUP_SOCK = 9
    CGROUP_SOCK_ADDR = 18


class Map(IntEnum):
    """Types of BPF maps, by the kernel's numbers."""

    HASH = 1
    ARRAY = 2
    PROG_ARRAY = 3
    PERF_EVENT_ARRAY = 4
    PERCPU_HASH = 5
    PERCPU_ARRAY = 6
    LRU_HASH = 9
    LPM_TRIE = 11
    ARRAY_OF_MAPS = 12
    HASH_OF_MAPS = 13
    RINGBUF = 27


class Hook(IntEnum):
    """Attach types, by the kernel's numbers."""

    CGROUP_INET_INGRESS = 0
    CGROUP_INET_EGRESS = 1
    CGROUP_INET4_CONNECT = 10
    CGROUP_INET6_CONNECT = 11
    CGROUP_INET4_POST_BIND = 12
    CGROUP_INET6_POST_BIND = 13
    CGROUP_UDP4_SENDMSG = 14
    CGROUP_UDP6_SENDMSG = 15
    CGROUP_UDP4_RECVMSG = 19
    CGROUP_UDP6_RECVMSG = 20
    CGROUP_INET4_GETPEERNAME = 29
    CGROUP_INET6_GETPEERNAME = 30
    CGROUP_INET_SOCK_RELEASE = 34
    XDP = 37
    TCX_INGRESS = 46
    TCX_EGRESS = 47
    NETKIT_PRIMARY = 54


@dataclass(frozen=True, slots=True)
class Verify:
    """Load a small program that needs an ability of the verifier.

    Attributes:
        body: its name among the adapter's programs.
    """

    body: str

    def __str__(self) -> str:
        return f"load a program with {self.body}"


@dataclass(frozen=True, slots=True)
class Stack:
    """An argument of a helper: pointer to so many zero bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class Call:
    """Load a program that calls a helper.

    Attributes:
        helper: name without ``bpf_``.
        number: the kernel's number of it.
        arguments: the context, a number, or bytes on the stack.
        program: type of the program.
        hook: attach type that the program is loaded for, 0 for none.
    """

    helper: str
    number: int
    arguments: tuple[str | int | Stack, ...] = ()
    program: Program = Program.SCHED_CLS
    hook: int = 0

    def __str__(self) -> str:
        return f"call {self.helper} in {self.program.name.lower()}"


@dataclass(frozen=True, slots=True)
class Use:
    """Create a map and, where it holds plain values, write and read one.

    Attributes:
        map: its type.
        flags: of its creation.
    """

    map: Map
    flags: int = 0

    def __str__(self) -> str:
        return f"create and use a map {self.map.name.lower()}"


@dataclass(frozen=True, slots=True)
class Attach:
    """Attach a program that lets everything pass, and detach it: to a cgroup, a link or by a traffic filter.

    Attributes:
        program: its type.
        hook: attach type.
    """

    program: Program
    hook: Hook

    def __str__(self) -> str:
        return f"attach to {self.hook.name.lower()}"


@dataclass(frozen=True, slots=True)
class Device:
    """Create and remove a network device in a scratch network namespace.

    Attributes:
        kind: such as ``vxlan``.
    """

    kind: str

    def __str__(self) -> str:
        return f"create and remove a {self.kind} device"


@dataclass(frozen=True, slots=True)
class Extension:
    """Ask the kernel for an extension of iptables, by nf_tables' compatible layer and by the old interface.

    Attributes:
        kind: ``match`` or ``target``.
        name: such as ``TPROXY``.
        revision: of its interface.
    """

    kind: str
    name: str
    revision: int = 0

    def __str__(self) -> str:
        return f"ask for the iptables {self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Special:
    """A trial of its own.

    Attributes:
        name: among the adapter's trials.
        what: what is done, for people.
    """

    name: str
    what: str

    def __str__(self) -> str:
        return self.what


Trial = Verify | Call | Use | Attach | Device | Extension | Special
