from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.redact import Redactor, mask_url

TOKEN = "K10" + "ab" * 32 + "::server:0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"token is {TOKEN}, use it", "token is ***, use it"),
        (f"token: {TOKEN}", "token: ***"),
        ("Authorization: Bearer abc.DEF-1_2", "Authorization: Bearer ***"),
        ("authorization: basic Zm9vOmJhcg==", "authorization: basic ***"),
        ("    client-key-data: LS0tLS1CRUdJTg==", "    client-key-data: ***"),
        ('{"client-key-data":"LS0t"}', '{"client-key-data":"***"}'),
        ("https://bee:hush@mirror:8443/x", "https://bee:***@mirror:8443/x"),
        ("join with abcdef.0123456789abcdef now", "join with *** now"),
        ("password=hush next", "password=*** next"),
        ('{"agent-token": "a b", "n": 1}', '{"agent-token": ***, "n": 1}'),
        ("REGISTRY_PASSWORD='hush hush'", "REGISTRY_PASSWORD=***"),
        ("-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\nrest", "***\nrest"),
        ("-----BEGIN PRIVATE KEY-----\nMHc=", "***"),
        ("jwt eyJhbGciOiJSUzI1.eyJpc3MiOiJrdWI.sig-na_ture", "jwt ***"),
    ],
)
def test_known_forms_are_masked(text: str, masked: str) -> None:
    assert Redactor().mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "secretName: cilium-ca",
        "secrets/cilium-ca created",
        "image quay.io/cilium/cilium:v1.20.0@sha256:0123",
        "https://mirror:8443/path@1:2",
        "certificate-authority-data: LS0t",
        "tokens are rotated",
        "pulling docker.io/rancher/mirrored-pause:3.6",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Redactor().mask(text) == text


@settings(deadline=None)
@given(st.text(min_size=4), st.text(), st.text())
def test_a_registered_value_never_shows(secret: str, before: str, after: str) -> None:
    value = secret.strip()
    redactor = Redactor([secret])
    if len(value) < 4 or value in before + after or set(value) <= {"*"}:
        return
    forms = [value, quote(value, safe=""), json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode()]
    for form in forms:
        assert value not in redactor.mask(f"{before} {form} {after}").replace("***", "")


@settings(deadline=None)
@given(st.text(st.sampled_from("token=:K10 ab'\"{},*\n/@")))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    redactor = Redactor(["secret-value"])
    assert redactor.mask(redactor.mask(text)) == redactor.mask(text)


def test_long_lines_take_no_time() -> None:
    for unit in ("a-", "token", "x:", "://", "K10", "eyJ", 'password="'):
        Redactor().mask(unit * 20_000)


def test_short_values_are_not_registered() -> None:
    assert Redactor(["", "a", "abc"]).mask("abc a") == "abc a"


def test_data_is_masked_at_every_depth_and_keys_stay() -> None:
    redactor = Redactor(["hush-hush"])
    data = {"hush-hush": ["x hush-hush", {"n": 1, "t": ("hush-hush", None)}]}
    assert redactor.mask_data(data) == {"hush-hush": ["x ***", {"n": 1, "t": ["***", None]}]}


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("http://bee:hush@proxy:3128", "http://bee:***@proxy:3128"),
        ("bee:hu:sh@proxy:3128", "bee:***@proxy:3128"),
        ("http://bee@proxy", "http://bee@proxy"),
        ("https://host/a:b@c", "https://host/a:b@c"),
        ("", ""),
    ],
)
def test_passwords_of_urls(url: str, masked: str) -> None:
    assert mask_url(url) == masked
