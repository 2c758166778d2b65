"""Policies and their definitions on a real API server."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import yaml

from tests.support.apiserver import ApiServer

ROOT = Path(__file__).parents[2]
_CRD_FILES = sorted((ROOT / "tests" / "fixtures" / "crds").glob("*.json"))
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CNPS = "/apis/cilium.io/v2/namespaces/{}/ciliumnetworkpolicies"


def install_crds(api: ApiServer) -> None:
    """Install Cilium's definitions and wait until they are served."""
    names = []
    for path in _CRD_FILES:
        crd = json.loads(path.read_text())
        crd.pop("status", None)
        names.append(crd["metadata"]["name"])
        crd["metadata"] = {"name": names[-1]}
        apply(api, _CRDS, crd)
    end = time.monotonic() + 30
    while not all(_established(api.call("GET", f"{_CRDS}/{name}")) for name in names):
        assert time.monotonic() < end, names
        time.sleep(0.05)


def _established(crd: Any) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def apply(api: ApiServer, collection: str, obj: dict[str, Any]) -> Any:
    """Create or change an object as its administrator."""
    return api.call("PATCH", f"{collection}/{obj['metadata']['name']}?fieldManager=test&force=true", obj)


def install_roles(api: ApiServer) -> None:
    """Install all of manifests/rbac."""
    for path in sorted((ROOT / "manifests" / "rbac").glob("*.yaml")):
        for obj in yaml.safe_load_all(path.read_text()):
            namespace = obj["metadata"].get("namespace")
            place = f"namespaces/{namespace}/" if namespace else ""
            apply(api, f"/apis/rbac.authorization.k8s.io/v1/{place}{obj['kind'].lower()}s", obj)


def make_namespace(api: ApiServer, name: str) -> None:
    """Create a namespace, or leave it."""
    apply(api, "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
