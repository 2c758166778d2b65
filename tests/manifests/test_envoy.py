"""The configuration in manifests/demo/envoy.yaml, taken by a real Envoy that runs on loopback."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.envoy_image import envoy

MANIFEST = Path(__file__).parents[2] / "manifests" / "demo" / "envoy.yaml"
OBJECTS: dict[str, Any] = {obj["kind"]: obj for obj in yaml.safe_load_all(MANIFEST.read_text())}
SECONDS = 60.0

ENVOY = str(envoy() or "")

if not ENVOY:
    pytest.skip("there is no Envoy for this architecture", allow_module_level=True)


def bootstrap() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(OBJECTS["ConfigMap"]["data"]["envoy.yaml"])
    return found


def pod() -> dict[str, Any]:
    found: dict[str, Any] = OBJECTS["Deployment"]["spec"]["template"]["spec"]
    return found


def arguments(config: Path) -> list[str]:
    """Return the command of the Deployment, with another file."""
    command = pod()["containers"][0]["command"]
    assert command[:3] == ["envoy", "-c", "/etc/envoy/envoy.yaml"]
    return [ENVOY, "-c", str(config), *command[3:]]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Upstream(BaseHTTPRequestHandler):
    """Stands for http-service."""

    def do_GET(self) -> None:
        body = f"{self.command} {self.path} {self.headers['x-forwarded-for']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *parts: object) -> None:
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


class Running:
    """Envoy with the demo's configuration; only ports and the upstream's address are others."""

    def __init__(self, folder: Path, upstream: int):
        self.port, self.ready_port, self.admin_port = free_ports(3)
        config = bootstrap()
        config["admin"]["address"]["socket_address"]["port_value"] = self.admin_port
        for listener, port in zip(config["static_resources"]["listeners"], (self.port, self.ready_port), strict=True):
            listener["address"]["socket_address"]["port_value"] = port
        (cluster,) = config["static_resources"]["clusters"]
        endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        endpoint["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": upstream}
        path = folder / "envoy.yaml"
        path.write_text(yaml.safe_dump(config))
        self._log = (folder / "log").open("w+")
        self.process = subprocess.Popen(arguments(path), stdout=self._log, stderr=self._log)

    def ask(self, method: str, path: str, *, port: int = 0, host: str = "127.0.0.1") -> tuple[int, str]:
        connection = http.client.HTTPConnection(host, port or self.port, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def wait_ready(self) -> None:
        """Wait as the kubelet does."""
        path = pod()["containers"][0]["readinessProbe"]["httpGet"]["path"]
        end = time.monotonic() + SECONDS
        while True:
            assert self.process.poll() is None, self.log()
            try:
                assert self.ask("GET", path, port=self.ready_port)[0] == 200
                return
            except OSError:
                assert time.monotonic() < end, self.log()
                time.sleep(0.05)

    def log(self) -> str:
        self._log.flush()
        self._log.seek(0)
        return self._log.read()

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(timeout=SECONDS) == 0, self.log()
        self._log.close()


@pytest.fixture
def running(tmp_path: Path, upstream: int) -> Iterator[Running]:
    one = Running(tmp_path, upstream)
    try:
        one.wait_ready()
        yield one
    finally:
        one.stop()


def test_envoy_takes_the_configuration_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "envoy.yaml"
    path.write_text(OBJECTS["ConfigMap"]["data"]["envoy.yaml"])
    done = subprocess.run([*arguments(path), "--mode", "validate"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"configuration '{path}' OK" in done.stdout
    assert "deprecated" not in done.stderr.lower()


def test_requests_pass_and_the_service_learns_who_asked(running: Running) -> None:
    status, body = running.ask("GET", "/page?q=1")
    method, path, client = body.split(" ")
    assert (status, method, path) == (200, "GET", "/page?q=1")
    ipaddress.ip_address(client)  # for loopback Envoy writes an address of the machine
    assert running.ask("POST", "/form")[0] == 200
    assert running.ask("GET", "//a/../b")[1].startswith("GET /b ")
    assert running.ask("GET", "/", host="127.0.0.2")[0] == 200
    assert "/page?q=1" in running.log()


def test_the_admin_interface_is_on_loopback_only(running: Running) -> None:
    assert running.ask("GET", "/ready", port=running.admin_port) == (200, "LIVE\n")
    with pytest.raises(ConnectionRefusedError):
        running.ask("GET", "/ready", port=running.admin_port, host="127.0.0.2")
    assert running.ask("GET", "/ready", port=running.ready_port, host="127.0.0.2")[0] == 200
    assert running.ask("GET", "/stats", port=running.ready_port)[0] == 404


def test_a_service_that_is_away_is_told(tmp_path: Path) -> None:
    (closed,) = free_ports(1)
    one = Running(tmp_path, closed)
    try:
        one.wait_ready()
        assert one.ask("GET", "/")[0] == 503
    finally:
        one.stop()


def test_the_pod_runs_what_was_tested_here() -> None:
    (container,) = pod()["containers"]
    version = subprocess.run([ENVOY, "--version"], capture_output=True, text=True, check=True).stdout
    tag = container["image"].rpartition("-v")[2]
    assert f"/{tag}/" in version
    listeners = [one["address"]["socket_address"] for one in bootstrap()["static_resources"]["listeners"]]
    assert [one["containerPort"] for one in container["ports"]] == [one["port_value"] for one in listeners]
    assert bootstrap()["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
    assert container["volumeMounts"] == [{"name": "config", "mountPath": "/etc/envoy", "readOnly": True}]
    assert pod()["volumes"] == [{"name": "config", "configMap": {"name": OBJECTS["ConfigMap"]["metadata"]["name"]}}]
