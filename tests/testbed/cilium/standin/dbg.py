"""`cilium-dbg`, `cilium` and `cilium-health` inside the agent's container."""

import http.client
import itertools
import json
import os
import socket
import sys
from pathlib import Path

from .model import Object

SOCKET = "/var/run/cilium/cilium.sock"


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(5)
        self.sock.connect(SOCKET)


def _get(path: str) -> object:
    connection = _Connection("localhost")
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    except OSError as err:
        sys.stderr.write(
            f"Error: Cannot get status: dial unix {SOCKET}: {err.strerror or err}\nIs the agent running?\n"
        )
        raise SystemExit(1) from err


def _json_wanted(argv: list[str]) -> bool:
    return (
        "-ojson" in argv
        or "--output=json" in argv
        or any(a in ("-o", "--output") and b == "json" for a, b in itertools.pairwise(argv))
    )


def status(argv: list[str]) -> None:
    """`status`: JSON, `--brief`, or a few lines."""
    document = _get("/v1/healthz")
    assert isinstance(document, dict)
    if _json_wanted(argv):
        print(json.dumps(document, indent=2))
    elif "--brief" in argv:
        print("OK" if document["cilium"]["state"] == "Ok" else "error: cilium: " + document["cilium"]["msg"])
        raise SystemExit(document["cilium"]["state"] != "Ok")
    else:
        for key in ("kvstore", "kubernetes", "cilium", "hubble", "cni-file"):
            print(f"{key + ':':<24}{document[key]['state']}   {document[key].get('msg', '')}")


def endpoint_list(argv: list[str]) -> None:
    """`endpoint list`."""
    found = _get("/v1/endpoint")
    assert isinstance(found, list)
    if _json_wanted(argv):
        print(json.dumps(found, indent=2))
        return
    print(f"{'ENDPOINT':<10}{'IDENTITY':<10}{'IPv4':<16}STATUS")
    for item in found:
        state = item["status"]
        print(
            f"{item['id']:<10}{state['identity']['id']:<10}{state['networking']['addressing'][0]['ipv4']:<16}{state['state']}"
        )


def health_status(argv: list[str]) -> None:
    """`cilium-health status`."""
    found = _get("/v1beta/status")
    assert isinstance(found, dict)
    print(
        json.dumps(found, indent=2)
        if _json_wanted(argv)
        else f"Probe time:   {found['timestamp']}\nNodes: {len(found['nodes'])}"
    )


def build_config(_argv: list[str]) -> None:
    """`build-config`: fetch the ConfigMap into files; needs the API, as the real one does."""
    from .kube import ApiError, Client

    client = Client()
    path = f"/api/v1/namespaces/{os.environ.get('CILIUM_K8S_NAMESPACE', 'kube-system')}/configmaps/cilium-config"
    try:
        data: Object = client.get(path).get("data") or {}
    except (ApiError, OSError) as err:
        url = f"https://{client.host}:{client.port}"
        line = f'level=error msg="Unable to contact k8s api-server" ipAddr="{url}" error="{err}" subsys=k8s-client'
        print(f"{line}\nError: Build config failed: failed to start: {err}", flush=True)
        raise SystemExit(1) from err
    target = Path("/tmp/cilium/config-map")
    target.mkdir(parents=True, exist_ok=True)
    for key, value in data.items():
        (target / key).write_text(value)
    print(f'level=info msg="Wrote configuration" keys={len(data)} path={target}', flush=True)


def main() -> None:
    """Route by program name and words."""
    words = [arg for arg in sys.argv[1:] if not arg.startswith("-")]
    if os.environ.get("STANDIN_ARGV0") == "cilium-health":
        return health_status(sys.argv[1:])
    commands = {"status": status, "build-config": build_config}
    if words[:2] in (["endpoint", "list"], ["endpoint", "get"]):
        return endpoint_list(sys.argv[1:])
    if words[:1] == ["version"]:
        version = os.environ.get("CILIUM_VERSION", "1.20.99")
        return print(f"Client: {version} testbed\nDaemon: {version} testbed")
    if words and words[0] in commands:
        return commands[words[0]](sys.argv[1:])
    sys.stderr.write(f"Error: unknown command {' '.join(words)!r} for the testbed's stand-in\n")
    raise SystemExit(1)


if __name__ == "__main__":
    main()
