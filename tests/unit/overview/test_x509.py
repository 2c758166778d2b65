from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from installer.domain.x509 import read_der, read_pem


def made(name: str = "hubble", after: datetime.datetime = datetime.datetime(2027, 1, 2, tzinfo=datetime.UTC)) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    issuer = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Org"), x509.NameAttribute(NameOID.COMMON_NAME, "Authority")]
    )
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(2**150 + 1).not_valid_before(datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))
    return builder.not_valid_after(after).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def test_names_and_validity() -> None:
    (found,) = read_pem(made("*.hubble-relay.cilium.io").decode())
    assert (found.subject, found.issuer) == ("*.hubble-relay.cilium.io", "Authority")
    assert found.not_before == datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    assert found.not_after == datetime.datetime(2027, 1, 2, tzinfo=datetime.UTC)


def test_times_after_2050_and_no_name() -> None:
    late = datetime.datetime(2061, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
    found = read_der(der(made("", late)))
    assert (found.subject, found.not_after) == ("", late)


def test_a_chain_and_text_around_it() -> None:
    text = "key\n" + made("one").decode() + "in between\r\n" + made("two").decode().replace("\n", "\r\n")
    assert [one.subject for one in read_pem(text)] == ["one", "two"]
    assert read_pem("nothing") == []


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 10, 40, 90, 150])
def test_what_is_cut_off_is_an_error(length: int) -> None:
    with pytest.raises(ValueError):
        read_der(der(made())[:length])


@pytest.mark.parametrize("data", [b"\x30\x00", b"\x30\x02\x30\x00", b"hello", b"\x30\x84\xff\xff\xff\xff", bytes(50)])
def test_what_is_no_certificate_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_der(data)
    with pytest.raises(ValueError):
        read_pem("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----")
