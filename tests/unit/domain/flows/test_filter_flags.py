"""Flags to filters: left and right, namespaces, negation, lists, conflicts, our additions."""

from __future__ import annotations

import shlex

import pytest

from installer.domain.flows.enums import RESERVED_IDENTITIES
from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.filter_flag_table import EXTENSIONS, FLAGS
from installer.domain.flows.filter_flags import FlagValue, filters_from_flags, parse_arguments
from installer.domain.flows.filter_match import compile_filters
from installer.domain.flows.filter_print import print_raw_filters
from installer.domain.flows.filter_raw import encode_filter, parse_raw_filters
from installer.domain.flows.flow import Header, Interface, TCPFlags, Workload
from installer.domain.flows.flow_filter import EventTypeFilter, Experimental, FilterSet, FlowFilter


def _read(text: str, *, strict: bool = False) -> FilterSet:
    flags, rest = parse_arguments(shlex.split(text))
    assert not rest
    return filters_from_flags(flags, strict=strict)


def _refusal(text: str, *, strict: bool = False) -> FilterError:
    with pytest.raises(FilterError) as caught:
        _read(text, strict=strict)
    return caught.value


WHITELISTS = [
    ("", ()),
    ("--pod a/b", (FlowFilter(source_pod=("a/b",)), FlowFilter(destination_pod=("a/b",)))),
    ("--from-pod a/b --to-pod c/d", (FlowFilter(source_pod=("a/b",), destination_pod=("c/d",)),)),
    ("-n shop", (FlowFilter(source_pod=("shop/",)), FlowFilter(destination_pod=("shop/",)))),
    ("-n shop --pod web", (FlowFilter(source_pod=("shop/web",)), FlowFilter(destination_pod=("shop/web",)))),
    (
        "-n a -n b --service s",
        (FlowFilter(source_service=("a/s", "b/s")), FlowFilter(destination_service=("a/s", "b/s"))),
    ),
    ("-A --pod web", (FlowFilter(source_pod=("/web",)), FlowFilter(destination_pod=("/web",)))),
    ("--from-namespace a --to-namespace b", (FlowFilter(source_pod=("a/",), destination_pod=("b/",)),)),
    ("--from-all-namespaces --from-pod x", (FlowFilter(source_pod=("/x",)),)),
    (
        "-l app=web --from-port=80",
        (
            FlowFilter(source_label=("app=web",), source_port=("80",)),
            FlowFilter(destination_label=("app=web",), source_port=("80",)),
        ),
    ),
    ("-4 -6", (FlowFilter(ip_version=("IPv4", "IPv6")),)),
    ("--ip-version none --ip-version IP6", (FlowFilter(ip_version=("IP_NOT_USED", "IPv6")),)),
    (
        "-t l7 -t trace:to-proxy -t drop:133 -t 5",
        (
            FlowFilter(
                event_type=(
                    EventTypeFilter(129),
                    EventTypeFilter(4, True, 1),
                    EventTypeFilter(1, True, 133),
                    EventTypeFilter(5),
                )
            ),
        ),
    ),
    ("--tcp-flags syn,ACK", (FlowFilter(tcp_flags=(TCPFlags(syn=True, ack=True),)),)),
    ("--from-identity world --from-identity 0x10", (FlowFilter(source_identity=(2, 16)),)),
    (
        "--to-workload web --to-workload Deployment/web --to-workload DaemonSet/",
        (FlowFilter(destination_workload=(Workload("web"), Workload("web", "Deployment"), Workload("", "DaemonSet"))),),
    ),
    ("--http-header a:b:c", (FlowFilter(http_header=(Header("a", "b:c"),)),)),
    ("--traffic-direction InGress", (FlowFilter(traffic_direction=("INGRESS",)),)),
    ("--interface eth0 --encrypted", (FlowFilter(interface=(Interface(name="eth0"),), encrypted=(True,)),)),
    ("--unencrypted", (FlowFilter(encrypted=(False,)),)),
    ("--ip-trace-id 7", (FlowFilter(ip_trace_id=("7",)),)),
    ("--cel-expression true", (FlowFilter(experimental=Experimental(("true",))),)),
    (
        "--snat-ip 10.0.0.1 --cluster a",
        (
            FlowFilter(source_ip_xlated=("10.0.0.1",), source_cluster_name=("a",)),
            FlowFilter(source_ip_xlated=("10.0.0.1",), destination_cluster_name=("a",)),
        ),
    ),
    (
        "--node-label zone=a --node-name 'a*' --uuid u",
        (FlowFilter(uuid=("u",), node_labels=("zone=a",), node_name=("a*",)),),
    ),
]


@pytest.mark.parametrize(("text", "expected"), WHITELISTS)
@pytest.mark.parametrize("strict", [True, False])
def test_fills_the_fields(text: str, expected: tuple[FlowFilter, ...], strict: bool) -> None:
    assert _read(text, strict=strict) == FilterSet(expected)


def test_all_flags_after_not_share_one_clause() -> None:
    filters = _read("--verdict DROPPED --not -n a --not -l x")
    assert filters.blacklist == (
        FlowFilter(source_pod=("a/",), source_label=("x",)),
        FlowFilter(destination_pod=("a/",), destination_label=("x",)),
    )
    assert filters.whitelist == (FlowFilter(verdict=("DROPPED",)),)


def test_each_excluded_flag_is_a_clause_of_its_own() -> None:
    filters = _read("--exclude --from-namespace a --exclude --protocol dns --not --verdict AUDIT")
    assert filters.blacklist == (
        FlowFilter(verdict=("AUDIT",)),
        FlowFilter(source_pod=("a/",)),
        FlowFilter(protocol=("dns",)),
    )


def test_a_caller_may_resolve_not_itself() -> None:
    filters = filters_from_flags([FlagValue("verdict", "DROPPED", negated=True)])
    assert filters == _read("--not --verdict DROPPED")


@pytest.mark.parametrize(
    ("text", "what", "code"),
    [
        ("--not --not --verdict DROPPED", "consecutive --not statements", "E-FILTER-003"),
        ("--exclude --exclude --port 1", "consecutive --exclude statements", "E-FILTER-003"),
        ("--verdict DROPPED --not", "trailing --not found in the arguments", "E-FILTER-003"),
        ("--label a --from-label b", "filters --label and --from-label cannot be combined", "E-FILTER-002"),
        ("--encrypted --unencrypted", "filters --encrypted and --unencrypted cannot be combined", "E-FILTER-002"),
        ("-n a --from-pod x", "filters --from-pod and --namespace cannot be combined", "E-FILTER-002"),
        (
            "--pod other/x -n shop",
            'invalid argument "shop" for "-n, --namespace" flag: namespace conflict: "shop" does not contain "other/x"',
            "E-FILTER-001",
        ),
        ("--from-pod a/x --from-service b/y", 'namespace of service "b/y" conflict with pod "a"', "E-FILTER-001"),
        ("-t trace:nope", "unable to parse event sub-type 'nope', not a known sub-type name", "E-FILTER-001"),
        ("--tcp-flags syn,foo", "unknown tcp flag: foo", "E-FILTER-001"),
        (
            "--identity nobody",
            "expected one of [host world unmanaged health init remote-node kube-apiserver ingress world-ipv4 "
            "world-ipv6 11] or a numeric value",
            "E-FILTER-001",
        ),
        ("--http-header x", 'invalid http-header value "x", expected name:value', "E-FILTER-001"),
        ("--traffic-direction UP", "up: invalid traffic direction, expected ingress or egress", "E-FILTER-001"),
        ("--ip-trace-id 0", "invalid --ip-trace-id value; must be greater than 0", "E-FILTER-001"),
        ("--ip-trace-id x", 'strconv.ParseUint: parsing "x": invalid syntax', "E-FILTER-001"),
        ("--drop-reason-desc ''", "empty --drop-reason-desc value", "E-FILTER-001"),
        ("--drop-reason-desc NOPE", "invalid --drop-reason-desc value: NOPE", "E-FILTER-001"),
    ],
)
def test_refuses_with_the_reason(text: str, what: str, code: str) -> None:
    error = _refusal(text)
    assert what in error.what
    assert error.code == code
    assert error.fix


def test_a_flag_without_its_value() -> None:
    with pytest.raises(FilterError, match="flag needs an argument: --pod"):
        parse_arguments(["--pod"])


@pytest.mark.parametrize(
    ("text", "strict_reason"),
    [
        ("--verdict dropped", "invalid --verdict value"),
        ("--verdict AUDIT,ERROR", "invalid --verdict value"),
        ("--drop-reason-desc 133", "invalid --drop-reason-desc value"),
        ("--drop-reason-desc 'policy denied'", "invalid --drop-reason-desc value"),
        ("--ip 10.0.0.0/8 -n shop", "filters --ip and --namespace cannot be combined"),
        ("--fqdn x.org --pod web", "filters --fqdn and --pod cannot be combined"),
        ("--dns-query x", "unknown flag: --dns-query"),
        ("--reply=false", "unknown flag: --reply"),
        ("--exclude --port 53", "unknown flag: --exclude"),
    ],
)
def test_goes_beyond_hubble_unless_strict(text: str, strict_reason: str) -> None:
    compile_filters(_read(text))
    assert strict_reason in _refusal(text, strict=True).what


def test_additions_mean_what_they_say() -> None:
    assert _read("--verdict audit,Error") == FilterSet((FlowFilter(verdict=("AUDIT", "ERROR")),))
    assert _read("--drop-reason-desc netfilter_drop").whitelist[0].drop_reason_desc == ("NETFILTER_DROP",)
    assert _read("--drop-reason-desc 133,'policy deny'").whitelist[0].drop_reason_desc == (
        "POLICY_DENIED",
        "POLICY_DENY",
    )
    assert _read("-n a,b").whitelist[0].source_pod == ("a/", "b/")
    assert _read("--ip 10.0.0.0/8 -n shop").whitelist[0] == FlowFilter(source_ip=("10.0.0.0/8",), source_pod=("shop/",))
    assert _read("--reply=false --dns-query '^x'").whitelist == (FlowFilter(reply=(False,), dns_query=("^x",)),)


def test_every_extension_has_an_example_that_works() -> None:
    for extension in EXTENSIONS:
        compile_filters(_read(extension.example))
        assert extension.hubble
        assert extension.reason


def test_every_reserved_identity_is_a_value() -> None:
    for name, number in RESERVED_IDENTITIES.items():
        assert _read(f"--from-identity {name}").whitelist[0].source_identity == (number,)


def test_arguments_that_are_no_filters_are_left_over() -> None:
    flags, rest = parse_arguments(["-o", "json", "-nshop", "-t=l7", "--follow", "--pod", "-x"])
    assert rest == ["-o", "json", "--follow"]
    assert flags == [FlagValue("namespace", "shop"), FlagValue("type", "l7"), FlagValue("pod", "-x")]
    assert all(len(flag.short) <= 1 for flag in FLAGS.values())


# Raw filters.


def test_raw_filters_in_every_spelling() -> None:
    text = '{"sourcePod":["a/b"],"verdict":[2,"AUDIT",77]} {"ip_trace_id":[7,"8"],'
    text += '"eventType":[{"type":4,"matchSubType":true}]}'
    first, second = parse_raw_filters([text], "allowlist")
    assert first == FlowFilter(source_pod=("a/b",), verdict=("DROPPED", "AUDIT", 77))
    assert second == FlowFilter(ip_trace_id=("7", "8"), event_type=(EventTypeFilter(4, True),))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"nope":1}', '{"verdict":["NOPE"]}', '{"source_pod":"x"}', '{"source_pod":[1]}', "[" * 100_000]
)
def test_raw_filters_that_cannot_be_read(text: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_raw_filters([text], "denylist")
    assert caught.value.code == "E-FILTER-007"
    assert caught.value.what.startswith("invalid --denylist flag: failed to decode '")


def test_printed_filters_are_read_back() -> None:
    filters = _read("""--uuid u --http-header "a'b:<&>" --tcp-flags syn --ip-trace-id 7 --not -n x --interface é""")
    for item in (*filters.whitelist, *filters.blacklist):
        assert parse_raw_filters([encode_filter(item)], "allowlist") == (item,)
    assert encode_filter(filters.whitelist[0]).startswith('{"uuid":["u"],"interface"')
    assert r"a''b" in print_raw_filters(filters)
    assert r"\u003c\u0026\u003e" in print_raw_filters(filters)
    assert print_raw_filters(FilterSet()) == "{}\n"


def test_what_yaml_cannot_print_is_quoted_doubly() -> None:
    text = print_raw_filters(FilterSet((FlowFilter(dns_query=("a\x7f'\"",)),)))
    assert text == 'allowlist:\n    - "{\\"dns_query\\":[\\"a\\x7F\'\\\\\\"\\"]}"\n'
