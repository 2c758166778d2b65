from __future__ import annotations

from typing import Any

import pytest

from installer.domain.readiness_rules.template import is_current


def workload(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"metadata": {"labels": {"a": "1"}}, "spec": spec}}}


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "labels": {"a": "1", "pod-template-hash": "x"}}, "spec": spec}


MADE = pod(
    nodeName="one",
    securityContext={"runAsUser": 0},
    tolerations=[{"operator": "Exists"}, {"key": "node.kubernetes.io/not-ready"}],
    volumes=[{"name": "token"}, {"name": "data", "emptyDir": {}}],
    containers=[{"name": "c", "image": "i:1", "command": ["run", "now"], "env": [{"name": "A", "value": "1"}]}],
)


@pytest.mark.parametrize(
    ("spec", "current"),
    [
        ({}, True),
        ({"containers": [{"name": "c", "image": "i:1"}]}, True),
        ({"containers": [{"name": "c", "image": "i:2"}]}, False),
        ({"containers": [{"name": "other", "image": "i:1"}]}, False),
        ({"containers": [{"name": "c", "command": ["run", "now"]}]}, True),
        ({"containers": [{"name": "c", "command": ["run"]}]}, False),
        ({"containers": [{"name": "c", "env": [{"name": "A", "value": "2"}]}]}, False),
        ({"containers": [{"name": "c", "resources": {}}]}, True),
        ({"containers": [{"name": "c", "resources": {"requests": {"cpu": "9"}}}]}, False),
        ({"tolerations": [{"operator": "Exists"}]}, True),
        ({"volumes": [{"name": "data", "emptyDir": {}}]}, True),
        ({"volumes": [{"name": "data", "hostPath": {"path": "/x"}}]}, False),
        ({"nodeSelector": {"a": "b"}}, False),
        ({"hostNetwork": False, "schedulerName": None}, True),
        ({"hostNetwork": True}, False),
        ({"affinity": {"nodeAffinity": {"x": 1}}}, True),
    ],
)
def test_a_pod_has_all_that_its_template_has(spec: dict[str, Any], current: bool) -> None:
    assert is_current(MADE, workload(**spec)) is current
