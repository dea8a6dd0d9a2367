"""Servers that enrol by EST or ACME at a management server, and the requests that they send."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates
from cryptography.x509.oid import NameOID

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.pki.keys.algorithm import KeyAlgorithm, OwnKey
from sipmesh.trust.role import Role
from support.console import Answer, Visitor, management_with_console
from support.managed import MGMT, Managed
from support.running import until

BOT, BOTS = "bot1.example.test", "bot.example.test"
OTHER_BOT = "bot2.example.test"
EST = "/.well-known/est"
PKCS10 = {"Content-Type": "application/pkcs10"}
RUN_S = 60.0
"""Seconds for which a client of others may run."""

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
MlDsaKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey


def applications() -> PoolPlan:
    """A pool of two applications, whose certificates come by EST or ACME."""
    return PoolPlan(BOTS, Role.APPLICATION, (BOT, OTHER_BOT), {"next_hop": "pool1.example.test"})


def enrolling(folder: Path, *protocols: str, algorithm: KeyAlgorithm = KeyAlgorithm.P_256, **further: Any) -> Any:
    """A management server that serves *protocols* of enrolment, with a CA of *algorithm*."""
    enrolment = {"protocols": list(protocols), **further}
    return management_with_console(folder, applications(), algorithm=algorithm, enrolment=enrolment)


async def with_devices(network: Managed) -> None:
    """Make the device issuing CA, and publish it with its CRL; the console then listens again, and knows this CA."""
    organisation: Organisation = network.organisation
    organisation.certify_devices()
    organisation.write()
    await network.publish()
    await until(lambda: len([*network.told[MGMT].events("console")]) == 2)


async def token(network: Managed, name: str = BOT, **given: object) -> dict[str, str]:
    """Make a token for *name* by the API."""
    async with Visitor(network, "sona-token") as officer:
        answer = await officer.ask("POST", "/api/v1/enrol", json={"server": name, **given})
    assert answer.status == 200, answer.text
    found: dict[str, str] = answer.json
    return found


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key as servers have it."""
    return ec.generate_private_key(ec.SECP256R1())


def request(
    key: Key | MlDsaKey,
    *names: str,
    common: str = BOT,
    extensions: Sequence[x509.ExtensionType] = (),
) -> bytes:
    """A signing request for *common* and the DNS *names*, with further *extensions*, in DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])
    builder = x509.CertificateSigningRequestBuilder(subject)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    hashed = SHA256() if isinstance(key, Key) else None
    return builder.sign(key, hashed).public_bytes(Encoding.DER)


def basic(name: str, password: str) -> dict[str, str]:
    """The header field of HTTP Basic (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


async def enrol(visitor: Visitor, name: str, password: str, der: bytes) -> Answer:
    """Enrol by a token."""
    headers = {**PKCS10, **basic(name, password)}
    return await visitor.ask("POST", f"{EST}/simpleenroll", data=base64.encodebytes(der), headers=headers)


async def re_enrol(visitor: Visitor, der: bytes) -> Answer:
    """Enrol again by the certificate of the visitor."""
    return await visitor.ask("POST", f"{EST}/simplereenroll", data=base64.encodebytes(der), headers=PKCS10)


def certificates_in(answer: Answer) -> list[x509.Certificate]:
    """The certificates of an answer of EST."""
    assert answer.status == 200, answer.text
    return load_der_pkcs7_certificates(base64.b64decode(answer.text))


def write_pair(
    folder: Path, certificate: x509.Certificate, key: OwnKey, *issuers: x509.Certificate
) -> tuple[Path, Path]:
    """Write a certificate with its issuers, and its key."""
    files = folder / "leaf.pem", folder / "leaf.key"
    files[0].write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in (certificate, *issuers)))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


async def run(*command: str, cwd: Path, **environment: str) -> tuple[int, str]:
    """Run a client of others; gives its exit code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(cwd), **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(RUN_S):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode(errors="replace")
