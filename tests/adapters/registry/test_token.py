"""A real registry that sends its clients to a token service, as Docker Hub, quay.io and ghcr.io do."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from installer.adapters.web.download import HttpDownloader
from installer.adapters.web.registry.auth import parse_challenges
from installer.adapters.web.registry.client import RegistryClient
from installer.adapters.web.registry.credentials import Credential
from installer.domain.errors import BeeyardError
from installer.domain.images.manifest import PulledImage
from installer.domain.images.mirrors import Mirrors
from installer.domain.images.reference import parse_reference
from tests.adapters.web.faulty_server import serving, status
from tests.support.certificates import Authority
from tests.support.registry import PASSWORD, USER, Options, Registry, running

ISSUER, SERVICE = "hive", "comb"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenService:
    """Gives tokens to everyone for pulling, and to our user for all he asks."""

    def __init__(self, folder: Path):
        pair = Authority("hive").sign(("tokens",))
        self._key = serialization.load_pem_private_key(pair.key, None)
        self._chain = x509.load_pem_x509_certificate(pair.certificate).public_bytes(serialization.Encoding.DER)
        self.bundle = folder / "trusted.pem"
        self.bundle.write_bytes(pair.certificate)
        self.asked: list[dict[str, Any]] = []
        self.lives = 300

    def token(self, scopes: list[str], *, trusted: bool) -> str:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = [
                one for one in actions.split(",") if trusted or (one == "pull" and not name.startswith("secret/"))
            ]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": USER,
            "aud": SERVICE,
            "exp": now + self.lives,
            "nbf": now - 300,
            "iat": now - 300,
            "jti": str(len(self.asked)),
            "access": access,
        }
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(self._chain).decode()]}
        text = f"{_part(json.dumps(head).encode())}.{_part(json.dumps(claims).encode())}"
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        r, s = utils.decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def answer(self, query: dict[str, list[str]], authorization: str) -> tuple[int, dict[str, str]]:
        self.asked.append({"query": query, "authorization": authorization})
        right = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        refreshed = query.get("refresh_token") == ["a-long-lived-word"]
        if authorization not in ("", right) or ("grant_type" in query and not refreshed):
            return 401, {"details": "no"}
        name = "access_token" if refreshed else "token"
        return 200, {name: self.token(query.get("scope", []), trusted=bool(authorization) or refreshed)}


class _Handler(BaseHTTPRequestHandler):
    service: TokenService

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
        pass

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["content-length"])).decode())

    def _answer(self, query: str) -> None:
        code, content = self.service.answer(parse_qs(query), self.headers.get("authorization", ""))
        data = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TokenService, Registry]]:
    """The token service, and the registry that trusts it."""
    folder = tmp_path_factory.mktemp("tokens")
    tokens = TokenService(folder)
    handler = type("Handler", (_Handler,), {"service": tokens})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        realm = f"http://127.0.0.1:{server.server_port}/token"
        auth = {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(tokens.bundle)}
        with running(folder / "registry", Options(more={"auth": {"token": auth}})) as registry:
            everything = [f"repository:{name}:pull,push" for name in ("hive/comb", "secret/comb")]
            trusted = Registry(registry.host, registry.root, f"Bearer {tokens.token(everything, trusted=True)}")
            for name in ("hive/comb", "secret/comb"):
                trusted.image(name, "v1", data=name.encode())
            yield tokens, registry
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _fresh(service: tuple[TokenService, Registry]) -> None:
    service[0].asked.clear()
    service[0].lives = 300


async def pull(http: HttpDownloader, name: str, folder: Path, given: dict[str, Credential]) -> PulledImage:
    client = RegistryClient(http, given)
    return await client.pull(parse_reference(name), ("amd64", "arm64"), Mirrors(), folder, lambda *_: None)


async def test_everyone_may_pull_with_a_token(
    service: tuple[TokenService, Registry], http: HttpDownloader, tmp_path: Path
) -> None:
    tokens, registry = service
    await pull(http, f"{registry.host}/hive/comb:v1", tmp_path, {})
    (asked,) = tokens.asked  # one token for all requests of this repository
    assert asked["query"] == {"service": [SERVICE], "scope": ["repository:hive/comb:pull"]}
    assert asked["authorization"] == ""


async def test_a_private_image_needs_the_password_which_only_the_token_service_sees(
    service: tuple[TokenService, Registry], http: HttpDownloader, tmp_path: Path
) -> None:
    tokens, registry = service
    with pytest.raises(BeeyardError) as caught:
        await pull(http, f"{registry.host}/secret/comb:v1", tmp_path, {})
    assert caught.value.code == "E-REG-003"
    await pull(http, f"{registry.host}/secret/comb:v1", tmp_path, {registry.host: Credential(USER, PASSWORD)})
    assert tokens.asked[-1]["authorization"].startswith("Basic ")
    assert "Basic" not in (registry.root.parent / "log").read_text()


async def test_an_identity_token_is_exchanged(
    service: tuple[TokenService, Registry], http: HttpDownloader, tmp_path: Path
) -> None:
    tokens, registry = service
    given = {registry.host: Credential(identity_token="a-long-lived-word")}
    await pull(http, f"{registry.host}/secret/comb:v1", tmp_path, given)
    assert tokens.asked[-1]["query"]["grant_type"] == ["refresh_token"]


async def test_a_token_that_runs_out_on_the_way_is_renewed(
    service: tuple[TokenService, Registry], http: HttpDownloader, tmp_path: Path
) -> None:
    tokens, registry = service
    tokens.lives = -200  # the registry's leeway is a minute: this token is too old at once
    with pytest.raises(BeeyardError) as caught:
        await pull(http, f"{registry.host}/hive/comb:v1", tmp_path, {})
    assert caught.value.code == "E-REG-003"
    client = RegistryClient(http, {})
    ref = parse_reference(f"{registry.host}/hive/comb:v1")
    tokens.lives = 300
    first = await client.pull(ref, ("amd64",), Mirrors(), tmp_path, lambda *_: None)
    key = next(iter(client._authorizer._headers))
    tokens.lives = -200
    client._authorizer._headers[key] = f"Bearer {tokens.token(['repository:hive/comb:pull'], trusted=False)}"
    tokens.lives = 300
    for path in tmp_path.iterdir():
        path.unlink()
    assert await client.pull(ref, ("amd64",), Mirrors(), tmp_path, lambda *_: None) == first


@pytest.mark.parametrize(
    "realm", ["http://tokens.example/token", "ftp://127.0.0.1/", "", "https://user@tokens.example/"]
)
async def test_a_token_service_on_an_open_line_gets_no_password(
    realm: str, http: HttpDownloader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from installer.adapters.web.registry import auth
    from installer.domain.images.mirrors import Endpoint

    with pytest.raises(BeeyardError) as caught:
        auth._check_realm(Endpoint("https://registry.example/v2", "registry.example"), realm)
    assert caught.value.code == "E-REG-009"


@pytest.mark.parametrize(
    "answer", [b"<html>", b"{}", b'{"token": 5}', b'{"token": "two words"}', b'{"token": "a\\r\\nb: c"}']
)
async def test_a_token_service_that_answers_nonsense(answer: bytes, http: HttpDownloader, tmp_path: Path) -> None:
    with serving() as site:
        site.put("/token", answer)
        site.put("/v2/hive/x/manifests/v1", b"")
        challenge = f'Bearer realm="{site.url}/token",service="x"'
        site.faults["/v2/hive/x/manifests/v1"].append(status(401, WWW_Authenticate=challenge))
        with pytest.raises(BeeyardError) as caught:
            await pull(http, f"{site.url.removeprefix('http://')}/hive/x:v1", tmp_path, {})
    assert caught.value.code == "E-REG-009"


def test_challenges_are_read() -> None:
    (one,) = parse_challenges(
        'Bearer realm="https://auth.example/token",service="registry.example",scope="a:b:pull,push"'
    )
    assert one.scheme == "bearer"
    assert one.parameters == {
        "realm": "https://auth.example/token",
        "service": "registry.example",
        "scope": "a:b:pull,push",
    }
    both = parse_challenges('Negotiate, Basic realm="say \\"hi\\"", BEARER realm=x')
    assert [(one.scheme, one.parameters["realm"]) for one in both] == [("basic", 'say "hi"'), ("bearer", "x")]
    assert parse_challenges("") == parse_challenges("Negotiate abc") == []
