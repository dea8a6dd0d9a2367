"""What our CA publishes over HTTP: CRLs, CA certificates and OCSP, asked by OpenSSL and by a client of each method."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from yarl import URL

from sipmesh.demo.ports import free_port
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management import ca_publication
from sipmesh.server.management.ca_publication import CaPublication
from sipmesh.trust.role import Role
from support.managed import MGMT, Managed, servers_of
from support.running import on_loop, until
from support.telling import Told

NAME = "fe1.example.test"


@pytest.fixture(name="ca")
def _ca(tmp_path: Path) -> EnterpriseCa:
    return EnterpriseCa.create(tmp_path / "ca", "Example", datetime.now(UTC), crl_base="http://crl.example.test")


@asynccontextmanager
async def published(ca: EnterpriseCa | CaGenerations, port: int = 0) -> AsyncIterator[str]:
    port = port or free_port()
    page = CaPublication(ca.folder, ("127.0.0.1", port), lambda: datetime.now(UTC), Told().log)
    await page.open()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await page.close()


async def got(url: str | URL) -> tuple[int, bytes, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.read(), response.headers.get("Content-Type", "")


async def posted(base: str, body: bytes) -> ocsp.OCSPResponse:
    headers = {"Content-Type": "application/ocsp-request"}
    async with aiohttp.ClientSession() as session, session.post(f"{base}/ocsp", data=body, headers=headers) as response:
        assert response.headers["Content-Type"] == "application/ocsp-response"
        return ocsp.load_der_ocsp_response(await response.read())


def request(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256())
    return builder.build().public_bytes(Encoding.DER)


@on_loop
async def test_each_crl_and_ca_certificate_is_there_in_der(ca: EnterpriseCa) -> None:
    async with published(ca) as base:
        status, body, kind = await got(f"{base}/issuing.crl")
        assert (status, kind) == (200, "application/pkix-crl")
        assert x509.load_der_x509_crl(body).is_signature_valid(ca.issuing.public_key())  # type: ignore[arg-type]
        status, body, kind = await got(f"{base}/root.crt")
        assert (x509.load_der_x509_certificate(body), kind) == (ca.root, "application/pkix-cert")


@pytest.mark.parametrize(
    "path",
    ["/", "/issuing.key", "/root.key", "/ledger.db", "/../issuing.key", "/%2e%2e/issuing.key", "/issuing.pem", "/1/"],
)
@on_loop
async def test_no_other_file_is_there(ca: EnterpriseCa, path: str) -> None:
    async with published(ca) as base:
        assert (await got(URL(base + path, encoded=True)))[0] == 404


@on_loop
async def test_revocation_is_in_the_next_answer(ca: EnterpriseCa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca_publication, "FRESH_S", 0.0)
    issued = ca.issue((NAME,), Role.FRONT_END, datetime.now(UTC)).certificate
    async with published(ca) as base:
        asked = request(issued, ca.issuing)
        first = await posted(base, asked)
        assert first.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert (await posted(base, asked)).signature == first.signature  # the same response is given again
        ca.revoke(issued.serial_number, Reason.SUPERSEDED, datetime.now(UTC))
        assert (await posted(base, asked)).certificate_status is ocsp.OCSPCertStatus.REVOKED


@on_loop
async def test_get_has_the_request_in_its_path_and_may_be_cached(ca: EnterpriseCa) -> None:
    issued = ca.issue((NAME,), Role.FRONT_END, datetime.now(UTC)).certificate
    path = quote(base64.b64encode(request(issued, ca.issuing)).decode(), safe="")
    async with published(ca) as base, aiohttp.ClientSession() as session:
        async with session.get(URL(f"{base}/ocsp/{path}", encoded=True)) as response:
            found = ocsp.load_der_ocsp_response(await response.read())
            assert found.certificate_status is ocsp.OCSPCertStatus.GOOD
            assert "max-age=" in response.headers["Cache-Control"]
            assert all(name in response.headers for name in ("Expires", "Last-Modified", "ETag"))
        for wrong in ("%%%", "AAAA", "", "é"):
            async with session.get(URL(f"{base}/ocsp/{quote(wrong)}", encoded=True)) as response:
                found = ocsp.load_der_ocsp_response(await response.read())
                assert found.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@on_loop
async def test_signatures_and_requests_are_bounded(ca: EnterpriseCa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca_publication, "SIGNATURES_A_MINUTE", 1)
    monkeypatch.setattr(ca_publication, "REQUESTS_A_MINUTE", 3)
    one, two = (ca.issue((NAME,), Role.FRONT_END, datetime.now(UTC)).certificate for _ in range(2))
    async with published(ca) as base:
        assert (await posted(base, request(one, ca.issuing))).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        assert (await posted(base, request(two, ca.issuing))).response_status is ocsp.OCSPResponseStatus.TRY_LATER
        assert (await got(f"{base}/issuing.crl"))[0] == 200
        assert (await got(f"{base}/issuing.crl"))[0] == 429


@on_loop
async def test_openssl_asks_and_is_answered(ca: EnterpriseCa, tmp_path: Path) -> None:
    """With its nonce, which the response has to repeat."""
    issued = ca.issue((NAME,), Role.FRONT_END, datetime.now(UTC)).certificate
    for name, certificate in {"leaf": issued, "issuing": ca.issuing, "root": ca.root}.items():
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    async with published(ca) as base:
        assert await asked_by_openssl(tmp_path, f"{base}/ocsp") == "leaf.pem: good"
        ca.revoke(issued.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
        assert await asked_by_openssl(tmp_path, f"{base}/ocsp") == "leaf.pem: revoked"


@pytest.mark.parametrize("generations", [1, 3])
@on_loop
async def test_openssl_follows_the_access_information_of_a_certificate(tmp_path: Path, generations: int) -> None:
    """The URLs are those in the certificate, as an application of a stranger takes them; an earlier certificate stays good."""
    port, at = free_port(), datetime.now(UTC)
    ca = EnterpriseCa.create(tmp_path / "ca", "Example", at, crl_base=f"http://127.0.0.1:{port}")
    earlier = ca.issue((NAME,), Role.FRONT_END, at).certificate
    ca.publish(is_on=True)
    all_of_them = CaGenerations(ca.folder)
    for _ in range(1, generations):
        all_of_them.prepare(at)
        all_of_them.activate()
    ca = all_of_them.current
    leaf = ca.issue((NAME,), Role.FRONT_END, at).certificate
    ocsp_url, issuer_url = (
        str(one.access_location.value)
        for one in leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    )
    for name, certificate in {"leaf": leaf, "issuing": ca.issuing, "root": ca.root}.items():
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    async with published(all_of_them, port):
        assert x509.load_der_x509_certificate((await got(issuer_url))[1]) == ca.issuing
        assert await asked_by_openssl(tmp_path, ocsp_url) == "leaf.pem: good"
        assert all_of_them.has_issued(earlier)
        ca.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
        assert await asked_by_openssl(tmp_path, ocsp_url) == "leaf.pem: revoked"


async def asked_by_openssl(folder: Path, url: str) -> str:
    """Return what OpenSSL says of the leaf in *folder*, after it has verified the response and its nonce."""
    trust = "-CAfile root.pem -verify_other issuing.pem"
    command = f"openssl ocsp -issuer issuing.pem -cert leaf.pem -url {url} -nonce {trust}".split()
    pipe = asyncio.subprocess.PIPE
    done = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=pipe, stderr=pipe)
    out, err = await done.communicate()
    assert b"Response verify OK" in err, err
    assert b"no nonce" not in err
    return out.decode().splitlines()[0]


@on_loop
async def test_certificates_name_the_responder_while_the_version_in_force_has_one(managed: Managed) -> None:
    """Management writes it into the ledger of the CA for each version."""
    port, folder = free_port(), managed.organisation.folder / "ca"
    async with managed:
        await managed.start(MGMT)
        await managed.publish(partial(publish_at, port), force=True)
        await until(lambda: EnterpriseCa.open(folder).is_published)
        await managed.publish(partial(publish_at, None), force=True)
        await until(lambda: not EnterpriseCa.open(folder).is_published)


def publish_at(port: int | None, document: dict[str, Any]) -> None:
    """Let management publish at a port, or not any more."""
    for server in servers_of(document, MGMT):
        server.pop("publish_lists", None)
        if port is not None:
            server["publish_lists"] = port
