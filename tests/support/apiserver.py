"""A real kube-apiserver with its etcd on loopback, without kubelet or controllers.

Certificates are made here. ``admin`` and ``viewer`` are client certificates, ``reader`` is a token that RBAC knows
nothing of until a test grants it something.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

READER_TOKEN = "reader-token"
Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
_READY_SECONDS = 60


class ApiServer:
    """Starts, stops and restarts the two programs; ``folder`` holds all their files."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port, self._etcd_port, self._peer_port = _free_ports(3)
        self._etcd: subprocess.Popen[bytes] | None = None
        self._api: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._signer = _make_certificates(self.folder)
        (self.folder / "tokens.csv").write_text(f"{READER_TOKEN},reader,reader\n")
        kube, etcd = _programs(self.folder)
        peer = f"http://127.0.0.1:{self._peer_port}"
        self._etcd = self._spawn(
            "etcd", [str(etcd), f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync",
            f"--listen-client-urls={self._etcd_url}", f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"],
        )  # fmt: skip
        self._argv = [str(kube), *self._flags()]
        self.start_api()

    @property
    def _etcd_url(self) -> str:
        return f"http://127.0.0.1:{self._etcd_port}"

    def _flags(self) -> list[str]:
        pki = self.folder
        return [
            f"--etcd-servers={self._etcd_url}", "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--tls-cert-file={pki / 'server.crt'}", f"--tls-private-key-file={pki / 'server.key'}",
            f"--client-ca-file={pki / 'ca.crt'}", f"--token-auth-file={pki / 'tokens.csv'}",
            "--authorization-mode=RBAC", "--service-cluster-ip-range=10.43.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki / 'service.key'}",
            f"--service-account-signing-key-file={pki / 'service.key'}",
            "--disable-admission-plugins=ServiceAccount", "--allow-privileged=true",
            "--advertise-address=127.0.0.1", "--profiling=false", f"--cert-dir={pki}", "--shutdown-delay-duration=0s",
        ]  # fmt: skip

    def start_api(self) -> None:
        self._api = self._spawn("apiserver", self._argv)
        self._wait_ready()

    def stop_api(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self._api is not None
        self._api.send_signal(how)
        self._api.wait(timeout=90)

    def pause_api(self) -> None:
        """Make it hang: sockets stay open, nothing answers."""
        assert self._api is not None
        self._api.send_signal(signal.SIGSTOP)

    def resume_api(self) -> None:
        assert self._api is not None
        self._api.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for process in (self._api, self._etcd):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(timeout=30)

    def compact(self) -> None:
        """Drop etcd's history, so that old resource versions are gone."""
        body = b'{"range_end":"AA==","key":"AA=="}'
        found = _json_post(f"{self._etcd_url}/v3/kv/range", body)
        _json_post(f"{self._etcd_url}/v3/kv/compaction", b'{"revision": %d}' % int(found["header"]["revision"]))

    def kubeconfig(self, name: str = "admin", **changes: object) -> Path:
        """Write a kubeconfig with relative paths for ``admin``, with a token for ``reader``."""
        user: dict[str, object] = {"token": READER_TOKEN}
        if name != "reader":
            user = {"client-certificate": f"{name}.crt", "client-key": f"{name}.key"}
        return self._kubeconfig(f"{name}-{len(changes)}", user, **changes)

    def user(self, name: str, *groups: str) -> Path:
        """Make a user with a certificate of its own; return its kubeconfig."""
        _write_pair(self.folder, name, groups, *self._signer)
        return self.kubeconfig(name)

    def service_account(self, namespace: str, name: str) -> Path:
        """Make a ServiceAccount; return a kubeconfig with a token of it."""
        place = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.call("POST", place, {"metadata": {"name": name}})
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = self.call("POST", f"{place}/{name}/token", wanted)
        return self._kubeconfig(f"{namespace}-{name}", {"token": answer["status"]["token"]})

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask the API as its administrator and return the answer.

        Raises:
            urllib.error.HTTPError: it refuses.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/apply-patch+yaml" if method == "PATCH" else "application/json"}
        request = urllib.request.Request(f"{self.server}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, context=self._admin(), timeout=10) as answer:
            return json.load(answer)

    def _admin(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        return context

    def _kubeconfig(self, name: str, user: dict[str, object], **changes: object) -> Path:
        cluster = {"server": self.server, "certificate-authority": "ca.crt", **changes}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "default",
            "clusters": [{"name": "default", "cluster": cluster}],
            "users": [{"name": "default", "user": user}],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def _spawn(self, name: str, argv: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(argv, stdout=log, stderr=log, cwd=self.folder)

    def _wait_ready(self) -> None:
        context = self._admin()
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end:
            assert self._api is not None
            assert self._api.poll() is None, self._logs()
            try:
                with urllib.request.urlopen(f"{self.server}/readyz", context=context, timeout=2):
                    return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError(self._logs())

    def _logs(self) -> str:
        texts = [f"{name}: {(self.folder / name).read_text()[-1500:]}" for name in ("etcd.log", "apiserver.log")]
        return "\n".join(texts)


@contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """Run a server as long as the context lasts."""
    server = ApiServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _programs(folder: Path) -> tuple[Path, Path]:
    """Return kube-apiserver and etcd: those of ``KUBEBUILDER_ASSETS``, else the testbed's, built if need be."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        return Path(assets) / "kube-apiserver", Path(assets) / "etcd"
    from tests.testbed.k3s import pack
    from tests.testbed.kubernetes import build

    kube = folder / "kube-apiserver"
    kube.symlink_to(build.binary())
    return kube, pack._node_programs() / "etcd"


def _json_post(url: str, body: bytes) -> dict[str, dict[str, str]]:
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
        found: dict[str, dict[str, str]] = json.load(answer)
        return found


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _make_certificates(folder: Path) -> Signer:
    """Make what the server and its first users need; return what signs more."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("test-ca", (), ca_key, None, None)
    (folder / "ca.crt").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    for name, groups in (("server", ()), ("admin", ("system:masters",)), ("viewer", ("viewers",))):
        _write_pair(folder, name, groups, ca, ca_key)
    _write_key(folder / "service.key", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return ca, ca_key


def _write_pair(
    folder: Path, name: str, groups: tuple[str, ...], ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    _write_key(folder / f"{name}.key", key)
    certificate = _certificate(name, groups, key, ca, ca_key)
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def _certificate(
    name: str,
    groups: tuple[str, ...],
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey | None,
) -> x509.Certificate:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    parts += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name(parts)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        local = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        names = x509.SubjectAlternativeName([local, x509.DNSName("localhost")])
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(names, critical=False).add_extension(uses, critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())
