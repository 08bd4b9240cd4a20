"""Certificates for 127.0.0.1, made by a test, and a server that counts what is done with them.

with Scripted(tls=Tls(make_certificate(tmp_path / "a.pem"))) as server: ...
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)
_HOST = ipaddress.ip_address("127.0.0.1")


def make_certificate(path: Path) -> Path:
    """A PEM file at `path`: a new key and its certificate, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + _certificate(key).public_bytes(serialization.Encoding.PEM))
    return path


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Skyport's tests")])
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(_HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


class Tls(ssl.SSLContext):
    """A server's context. `resumed` says for each handshake whether it took up a session."""

    resumed: list[bool]

    def __new__(cls, certificate: Path) -> Tls:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, certificate: Path) -> None:
        self.load_cert_chain(certificate)
        self.resumed = []

    def wrap_socket(self, *args: Any, **more: Any) -> ssl.SSLSocket:
        secure = super().wrap_socket(*args, **more)
        self.resumed.append(bool(secure.session_reused))
        return secure

    @property
    def full(self) -> int:
        """Handshakes in which the certificate was sent and checked."""
        return self.resumed.count(False)
