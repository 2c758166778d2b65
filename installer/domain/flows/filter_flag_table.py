"""The filter flags of ``hubble observe`` and ours: names, fields, what excludes what, where we go further."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FilterFlag:
    """A flag of the table.

    Attributes:
        name: long name.
        fields: fields it fills in the left and in the right filter.
        short: one letter, or empty.
        takes_value: False: it stands alone.
        ours: not a flag of hubble.
    """

    name: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    short: str = ""
    takes_value: bool = True
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Extension:
    """Something that hubble refuses or lacks and that we accept.

    Attributes:
        example: flags.
        hubble: what hubble does.
        ours: what we do.
        reason: why.
        golden: cases of the recorded outputs that differ for it.
    """

    example: str
    hubble: str
    ours: str
    reason: str
    golden: tuple[str, ...] = ()


def _either(name: str, field: str, short: str = "") -> list[FilterFlag]:
    source, destination = (f"source_{field}",), (f"destination_{field}",)
    return [
        FilterFlag(name, source, destination, short),
        FilterFlag(f"from-{name}", source, source),
        FilterFlag(f"to-{name}", destination, destination),
    ]


def _flag(name: str, field: str, short: str = "", *, takes_value: bool = True, ours: bool = False) -> FilterFlag:
    return FilterFlag(name, (field,), (field,), short, takes_value, ours)


_NAMESPACE_FLAGS: Final = [
    FilterFlag(f"{side}{name}", (), (), short if not side else "", takes)
    for name, short, takes in (("namespace", "n", True), ("all-namespaces", "A", False))
    for side in ("", "from-", "to-")
]

FLAGS: Final[dict[str, FilterFlag]] = {
    flag.name: flag
    for flag in (
        FilterFlag("not", (), (), takes_value=False),
        FilterFlag("exclude", (), (), takes_value=False, ours=True),
        _flag("uuid", "uuid"),
        _flag("node-name", "node_name"),
        _flag("node-label", "node_labels"),
        *_either("cluster", "cluster_name"),
        _flag("protocol", "protocol"),
        _flag("tcp-flags", "tcp_flags"),
        _flag("type", "event_type", "t"),
        _flag("verdict", "verdict"),
        _flag("drop-reason-desc", "drop_reason_desc"),
        _flag("http-status", "http_status_code"),
        _flag("http-method", "http_method"),
        _flag("http-path", "http_path"),
        _flag("http-url", "http_url"),
        _flag("http-header", "http_header"),
        _flag("trace-id", "trace_id"),
        _flag("ip-trace-id", "ip_trace_id"),
        *_either("fqdn", "fqdn"),
        *_either("ip", "ip"),
        _flag("snat-ip", "source_ip_xlated"),
        _flag("ipv4", "ip_version", "4", takes_value=False),
        _flag("ipv6", "ip_version", "6", takes_value=False),
        _flag("ip-version", "ip_version"),
        *_either("pod", "pod"),
        *_NAMESPACE_FLAGS,
        *_either("label", "label", "l"),
        *_either("service", "service"),
        *_either("port", "port"),
        *_either("workload", "workload"),
        *_either("identity", "identity"),
        _flag("traffic-direction", "traffic_direction"),
        _flag("cel-expression", "cel_expression"),
        _flag("interface", "interface"),
        _flag("encrypted", "encrypted", takes_value=False),
        _flag("unencrypted", "encrypted", takes_value=False),
        _flag("dns-query", "dns_query", ours=True),
        _flag("reply", "reply", takes_value=False, ours=True),
    )
}
"""Every filter flag, by its long name."""

EXTENSIONS: Final = (
    Extension(
        "--verdict dropped",
        "refuses: names of verdicts and drop reasons are case-sensitive",
        "takes them in any case",
        "nobody means anything else",
        ("022",),
    ),
    Extension(
        "--verdict AUDIT,ERROR",
        "refuses: one value per flag (a port list is refused by the server)",
        "a comma separates values where no value can contain one",
        "several values in one flag are what people type",
        ("021", "042"),
    ),
    Extension(
        "--drop-reason-desc 133",
        "refuses numbers and the texts of compact output",
        "takes the number, and words with spaces or hyphens (policy denied)",
        "that is what other tools print",
    ),
    Extension(
        "--ip 10.0.0.0/8 --namespace shop",
        "refuses flags of addresses, names, namespaces and pods together",
        "both must hold of the same side; only flags that fill the same field exclude each other",
        "the API can do it",
    ),
    Extension(
        "--dns-query 'example' --reply=false",
        "has no such flags",
        "sets the fields dns_query and reply of the API",
        "the API can do it",
    ),
    Extension(
        "--exclude -n kube-system --exclude --port 53",
        "has only --not, whose flags make one clause together",
        "each excluded flag is a clause of its own",
        "hiding several things needs it",
    ),
)
"""Where we accept what hubble does not, for documentation and for tests against hubble's outputs."""

CONFLICTS: Final = (
    ("from-fqdn", "from-ip", "ip", "fqdn", "from-namespace", "namespace", "from-all-namespaces", "all-namespaces"),
    ("from-fqdn", "from-ip", "ip", "fqdn", "from-pod", "pod"),
    ("to-fqdn", "to-ip", "ip", "fqdn", "to-namespace", "namespace", "to-all-namespaces", "all-namespaces"),
    ("to-fqdn", "to-ip", "ip", "fqdn", "to-pod", "pod"),
    ("to-pod", "namespace", "all-namespaces"),
    ("from-pod", "namespace", "all-namespaces"),
    ("to-service", "namespace", "all-namespaces"),
    ("from-service", "namespace", "all-namespaces"),
    ("label", "from-label"),
    ("label", "to-label"),
    ("service", "from-service"),
    ("service", "to-service"),
    ("port", "to-port"),
    ("port", "from-port"),
    ("identity", "to-identity"),
    ("identity", "from-identity"),
    ("workload", "to-workload"),
    ("workload", "from-workload"),
    ("encrypted", "unencrypted"),
)
"""Groups of flags of which hubble takes one only."""
