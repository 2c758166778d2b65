"""Namespaces, policies, certificates, versions and events as the overview shows them."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import pytest
import yaml

from installer.domain.overview import CertificateStatus, NamespaceStatus, UnmanagedPod
from installer.domain.releases import Releases, parse_releases
from installer.domain.status import HelmStatus, WorkloadStatus
from installer.domain.status_rules.agents import read_agent
from installer.domain.status_rules.certificates import certificate_notices, judge_certificate, read_secrets
from installer.domain.status_rules.namespaces import (
    Objects,
    enforcement_by_pod,
    enforcement_of,
    fault_warning,
    find_unmanaged,
    policy_faults,
    read_namespaces,
    unmanaged_warnings,
)
from installer.domain.status_rules.versions import read_versions, version_hints
from installer.domain.status_rules.warning_events import read_warnings
from installer.domain.x509 import Certificate
from tests.support.recordings import FOLDER, Object, items, load
from tests.unit.overview.test_x509 import made

LATER = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC).timestamp()


def of_demo(kind: str) -> list[Object]:
    return [item for item in items("demo") if item["kind"] == kind]


def releases() -> Releases:
    return parse_releases(yaml.safe_load((FOLDER.parents[2] / "charts/cilium/releases.yaml").read_text()))


def enforcement() -> dict[str, str]:
    agent = read_agent("cilium-1", "vm", load("cilium-dbg-status"), load("cilium-dbg-endpoints"))
    return enforcement_by_pod(of_demo("CiliumEndpoint"), [agent.enforcement])


def test_the_recorded_namespaces() -> None:
    pods = [*items("kube-system-pods"), *of_demo("Pod")]
    found = read_namespaces(Objects(pods, enforcement(), of_demo("CiliumNetworkPolicy"), ()))
    assert found == (
        NamespaceStatus("demo", pods=3, managed=3, cilium_policies=2, ingress=1, egress=1),
        NamespaceStatus("kube-system", pods=1, managed=1),
    )


def test_endpoints_tell_before_agents_do() -> None:
    endpoint: Object = {"metadata": {"namespace": "a", "name": "x"}, "status": {}}
    assert enforcement_by_pod([endpoint], []) == {"a/x": ""}
    assert enforcement_by_pod([endpoint], [{"a/x": "both"}]) == {"a/x": "both"}
    endpoint["status"] = {"policy": {"ingress": {"enforcing": True, "state": "audit"}, "egress": {"enforcing": False}}}
    assert enforcement_by_pod([endpoint], [{"a/x": "both"}]) == {"a/x": "audit-ingress"}
    endpoint["status"] = {"policy": {"ingress": {"enforcing": True}, "egress": {"enforcing": True}}}
    assert enforcement_of(endpoint) == "both"
    endpoint["status"] = {"policy": {"ingress": {}, "egress": None}}
    assert enforcement_of(endpoint) == "none"


def test_pods_without_an_endpoint_are_told_once_they_run_for_a_while() -> None:
    pods = of_demo("Pod")
    managed = enforcement()
    assert find_unmanaged(pods, managed, LATER) == ()
    name = pods[0]["metadata"]["name"]
    del managed[f"demo/{name}"]
    started = pods[0]["status"]["startTime"]
    assert find_unmanaged(pods, managed, LATER) == (UnmanagedPod("demo", name, "vm", started),)
    assert find_unmanaged(pods, managed, datetime.datetime.fromisoformat(started).timestamp() + 60) == ()
    for change in ({"phase": "Pending"}, {"phase": "Succeeded"}, {"startTime": "2026-11-23T23:59:59Z"}):
        pods[0]["status"].update(change)
        assert find_unmanaged(pods, managed, LATER) == ()
        pods[0]["status"].update(phase="Running", startTime=started)
    pods[0]["spec"]["hostNetwork"] = True
    assert find_unmanaged(pods, managed, LATER) == ()


def test_unmanaged_pods_are_one_warning_each_namespace() -> None:
    pods = [UnmanagedPod("a", f"web-{number}") for number in range(5)]
    first, second = unmanaged_warnings([*pods, UnmanagedPod("b", "db")])
    assert first.text == "5 running pods are not managed by Cilium: web-0, web-1, web-2 and 2 more"
    assert second.text == "1 running pod is not managed by Cilium: db"
    assert (first.code, first.subject) == ("E-STATUS-010", "namespace/a")
    assert "kubectl -n b delete pod db" in second.fix


def test_policies_that_cilium_does_not_accept() -> None:
    policies = of_demo("CiliumNetworkPolicy")
    assert policy_faults(policies, "CiliumNetworkPolicy") == []
    policies[0]["status"]["conditions"][0].update(status="False", message="bad \x1b[31mrule")
    (fault,) = policy_faults(policies, "CiliumNetworkPolicy")
    assert (fault.namespace, fault.message) == ("demo", "bad rule")
    warning = fault_warning(fault)
    assert warning.text == "Cilium does not accept this policy: bad rule"
    assert warning.subject == f"demo/CiliumNetworkPolicy/{fault.name}"


def secret(name: str, **data: bytes) -> dict[str, Any]:
    coded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    return {"metadata": {"name": name}, "type": "kubernetes.io/tls", "data": coded}


def test_secrets_of_others_and_damaged_ones_are_left_out() -> None:
    found = read_secrets(
        [
            secret("hubble-server-certs", tls_crt=made("server"), tls_key=b"never looked at", ca_crt=made("ca")),
            secret("cilium-ca", ca_crt=made("Cilium CA")),
            secret("my-app", tls_crt=made("app")),
            secret("hubble-damaged", tls_crt=b"\xff\x00"),
            secret("hubble-empty"),
            {"metadata": {"name": "hubble-x"}, "data": {"tls.crt": "%%%"}},
        ]
    )
    assert {name: one.subject for name, one in found.items()} == {
        "secret/hubble-server-certs": "server",
        "secret/cilium-ca": "Cilium CA",
    }


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (40.5, None),
        (12.9, "the certificate expires in 12 days, on 2026-12-06"),
        (0.4, "the certificate expires in 0 days, on 2026-11-24"),
        (-0.1, "the certificate expired on 2026-11-23"),
    ],
)
def test_certificates_are_told_a_month_before_they_end(days: float, text: str | None) -> None:
    end = datetime.datetime.fromtimestamp(LATER + days * 86400, datetime.UTC)
    judged = judge_certificate("API server", Certificate("k3s", "ca", end, end), LATER)
    assert [notice.text for notice in certificate_notices([judged])] == ([text] if text else [])


def test_what_to_do_depends_on_the_certificate() -> None:
    names = ("API server", "client certificate", "secret/hubble-server-certs")
    fixes = {certificate_notices([CertificateStatus(name, "", "2026-11-24T00:00:00Z", 0)])[0].fix for name in names}
    assert len(fixes) == 3


def workload(name: str, *images: str) -> WorkloadStatus:
    return WorkloadStatus(name, "Deployment", "ready", images=dict.fromkeys(images, 1))


def test_versions_come_from_image_tags() -> None:
    digest = "@sha256:" + "ab" * 32
    workloads = [
        workload("cilium", f"quay.io/cilium/cilium:v1.20.0{digest}"),
        workload("cilium-envoy", f"quay.io/cilium/cilium-envoy:v1.37.5-1782911245-7cffc778{digest}"),
        workload("hubble-relay", "localhost:5000/mirror/hubble-relay:v1.20.0-rc.1"),
        workload("hubble-ui", "quay.io/cilium/hubble-ui:v0.13.5", "quay.io/cilium/hubble-ui-backend:v0.13.4"),
        workload("cilium-operator", "quay.io/cilium/operator-generic:latest"),
        workload("coredns", "coredns:1.2.3"),
    ]
    assert read_versions(workloads, "v1.36.4+k3s1", HelmStatus("cilium", "1.20.0", 1, "deployed"), ()) == {
        "Cilium agent": "1.20.0",
        "Envoy": "1.37.5",
        "Hubble Relay": "1.20.0-rc.1",
        "Hubble UI": "0.13.5",
        "Helm chart": "1.20.0",
        "Kubernetes": "v1.36.4+k3s1",
    }


def hints(agent: str, newest: str = "", **others: str) -> dict[str, str]:
    versions = {"Cilium agent": agent, "Kubernetes": "v1.36.4+k3s1", **others}
    return {notice.code: notice.text for notice in version_hints(versions, releases(), newest)}


def test_hints_on_versions() -> None:
    newest = releases().minors["1.20"].default
    assert hints(newest) == {}
    assert hints("1.20.0-rc.1") == {"E-STATUS-016": f"Cilium {newest} is there; 1.20.0-rc.1 runs"}
    assert "1.19 runs" in hints("1.19.99")["E-STATUS-016"]
    assert "outside the versions that beeyard knows" in hints("1.16.1")["E-STATUS-014"]
    assert "agents of several versions" in hints("1.19.99, 1.20.0")["E-STATUS-013"]
    assert hints(newest, **{"Hubble Relay": "1.19.1"})["E-STATUS-013"].startswith("Hubble Relay is 1.19.1")
    assert "was not tested" in hints(newest, Kubernetes="v1.28.1+k3s1")["E-STATUS-015"]
    assert hints(newest, "v1.36.5+k3s1") == {"E-STATUS-016": "k3s v1.36.5+k3s1 is there; v1.36.4+k3s1 runs"}
    assert hints(newest, "v1.36.4+k3s1") == {}
    assert version_hints({}, releases()) == version_hints({"Cilium agent": "1.1.1"}, None) == []


def test_recorded_events_are_told_once_each_newest_first() -> None:
    found = read_warnings(items("kube-system-events"))
    assert [one.last for one in found] == sorted((one.last for one in found), reverse=True)
    keys = [(one.kind, one.namespace, one.name, one.reason) for one in found]
    assert len(keys) == len(set(keys)) < 14
    assert {one.reason for one in found} == {
        "FailedScheduling",
        "BackOff",
        "FailedCreatePodSandBox",
        "Unhealthy",
        "FailedMount",
    }
    assert read_warnings(items("kube-system-events"), 2) == found[:2]


def test_counts_of_one_thing_are_added_and_hostile_words_made_plain() -> None:
    def event(last: str, count: int | None, message: str) -> Object:
        about = {"kind": "Pod", "namespace": "a", "name": "x\u202e\x1b[2J"}
        return {
            "type": "Warning",
            "reason": "BackOff",
            "involvedObject": about,
            "lastTimestamp": last,
            "count": count,
            "message": message,
        }

    (one,) = read_warnings(
        [event("2026-11-23T08:00:01Z", 3, "new\x07\n[/]" + "y" * 10_000), event("2026-11-23T08:00:00Z", None, "old")]
    )
    assert (one.count, one.last, one.name) == (4, "2026-11-23T08:00:01Z", "x")
    assert one.message.startswith("new [/]yyy")
    assert len(one.message) < 500
    assert one.subject == "a/Pod/x"
    assert read_warnings([{"type": "Warning"}])[0].subject == ""
