"""cilium-operator: registers the CRDs, says whether policies are valid, marks nodes as served."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from . import log, web
from .config import Config
from .kube import ApiError, Client, Reflector
from .model import Object

CRD_DIR = Path("/opt/standin/crds")
CRD_API = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TAINT = "node.cilium.io/agent-not-ready"


class Operator:
    """Watches and writes."""

    def __init__(self, config: Config) -> None:
        self.config, self.client, self.changed = config, Client(), threading.Event()
        self.healthy = False
        self.namespace = os.environ.get("CILIUM_K8S_NAMESPACE", "kube-system")

    def run(self) -> None:
        """Register, then keep statuses right."""
        web.serve(("127.0.0.1", int(self.config.number("operator-api-port", 9234))), self._health)
        if self.config.get("testbed-fail-operator") == "crash":
            raise log.fatal("Unable to start cilium-operator (asked for by testbed.fail.operator)")
        self._register_all()
        self.healthy = True
        api = "/apis/cilium.io/v2"
        pods = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=k8s-app%3Dcilium"
        paths = {
            "cnp": f"{api}/ciliumnetworkpolicies",
            "ccnp": f"{api}/ciliumclusterwidenetworkpolicies",
            "nodes": "/api/v1/nodes",
            "pods": pods,
        }
        watches = {name: Reflector(self.client, path, self.changed.set) for name, path in paths.items()}
        for watch in watches.values():
            watch.start()
        pending = False
        while True:
            self.changed.wait(2.0 if pending else None)
            self.changed.clear()
            try:
                for item in [*watches["cnp"].objects(), *watches["ccnp"].objects()]:
                    self._validate(item)
                served = {p["spec"].get("nodeName") for p in watches["pods"].objects() if _ready(p)}
                for node in watches["nodes"].objects():
                    self._mark(node, node["metadata"]["name"] in served)
                pending = False
            except (ApiError, OSError) as err:
                log.warning("Unable to write status, retrying", error=err)
                pending = True

    def _health(self, _path: str) -> web.Answer:
        return (200, "ok") if self.healthy else (500, "CRDs are not registered yet")

    def _register_all(self) -> None:
        retry = threading.Event()
        for path in sorted(CRD_DIR.glob("*.json")):
            crd = json.loads(path.read_text())
            while True:
                try:
                    self.client.apply(CRD_API, crd["metadata"]["name"], crd)
                    log.info("Registered CustomResourceDefinition", name=crd["metadata"]["name"])
                    break
                except (ApiError, OSError) as err:
                    log.warning("Unable to register CRD, retrying", name=crd["metadata"]["name"], error=err)
                    retry.wait(0.5)

    def _validate(self, item: Object) -> None:
        problem = problem_of(item)
        status, message = ("False", problem) if problem else ("True", "Policy validation succeeded")
        meta = item["metadata"]
        conditions = (item.get("status") or {}).get("conditions") or []
        if any(c["type"] == "Valid" and c["status"] == status and c.get("message") == message for c in conditions):
            return
        kept = [c for c in conditions if c["type"] != "Valid"]
        valid = {"type": "Valid", "status": status, "message": message, "lastTransitionTime": log.now()[:19] + "Z"}
        space = f"namespaces/{meta['namespace']}/" if meta.get("namespace") else ""
        plural = "ciliumnetworkpolicies" if space else "ciliumclusterwidenetworkpolicies"
        try:
            self.client.patch(
                f"/apis/cilium.io/v2/{space}{plural}/{meta['name']}/status", {"status": {"conditions": [*kept, valid]}}
            )
        except ApiError as err:
            if err.status != 404:
                raise

    def _mark(self, node: Object, served: bool) -> None:
        """Node condition and taint, as `set-cilium-is-up-condition` and `remove-cilium-node-taints` ask."""
        name = node["metadata"]["name"]
        if not served:
            return
        taints = node["spec"].get("taints") or []
        if any(t["key"] == TAINT for t in taints):
            self.client.patch(f"/api/v1/nodes/{name}", {"spec": {"taints": [t for t in taints if t["key"] != TAINT]}})
        conditions = node["status"].get("conditions") or []
        if any(c["type"] == "NetworkUnavailable" and c["reason"] == "CiliumIsUp" for c in conditions):
            return
        now = log.now()[:19] + "Z"
        up = {
            "type": "NetworkUnavailable",
            "status": "False",
            "reason": "CiliumIsUp",
            "message": "Cilium is running on this node",
        }
        body = {"status": {"conditions": [{**up, "lastHeartbeatTime": now, "lastTransitionTime": now}]}}
        self.client.request("PATCH", f"/api/v1/nodes/{name}/status", body, "application/strategic-merge-patch+json")


def problem_of(item: Object) -> str:
    """Why a policy is not valid; empty if it is."""
    specs = [spec for spec in [item.get("spec"), *(item.get("specs") or [])] if spec]
    if not specs:
        return "Invalid CiliumNetworkPolicy spec(s): empty policy"
    for spec in specs:
        if ("endpointSelector" in spec) == ("nodeSelector" in spec):
            return "Invalid CiliumNetworkPolicy spec: rule must have one of EndpointSelector or NodeSelector"
    return ""


def _ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def main() -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    log.info("Cilium Operator (stand-in) starting")
    Operator(Config.load(sys.argv[1:])).run()


if __name__ == "__main__":
    main()
