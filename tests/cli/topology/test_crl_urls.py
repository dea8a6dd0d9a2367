"""CRLs with a URL are fetched once before a partner is added: what cannot be used is reported, and adding goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from cli.world import Organisation, sipmesh
from sipmesh.cli.topology.crl_urls import faults_of
from sipmesh.server.refresh import crl_check
from support.publisher import Publisher, published


@pytest.fixture(name="theirs", scope="module")
def _theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CA folder of another organisation."""
    folder = tmp_path_factory.mktemp("p") / "p"
    assert sipmesh("init", "partner.test", "--dir", folder).code == 0
    return folder / "ca"


@pytest.fixture(name="publisher")
def _publisher(theirs: Path) -> Iterator[Publisher]:
    """A web server with the CRLs."""
    lists = {f"/{name}.crl": (theirs / f"{name}.crl").read_bytes() for name in ("root", "issuing")}
    with published({**lists, "/page.html": b"<html>not found</html>"}) as made:
        yield made


def root_of(folder: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((folder / "root.pem").read_bytes())


def test_crls_that_can_be_used_have_no_fault(publisher: Publisher, theirs: Path) -> None:
    urls = [publisher.url("/root.crl"), publisher.url("/issuing.crl")]
    assert faults_of(urls, (), root_of(theirs), datetime.now(UTC)) == []
    assert faults_of([], (), (), datetime.now(UTC)) == []


def test_each_fault_names_its_url(
    publisher: Publisher, theirs: Path, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CRL that another root with the same name has signed is that of an impostor."""
    monkeypatch.setattr(crl_check, "CONNECT_S", 0.5)
    now = datetime.now(UTC)
    late = now + timedelta(days=4000)
    gone, page, crl = (publisher.url(path) for path in ("/gone.crl", "/page.html", "/root.crl"))
    found = faults_of([gone, page, "http://127.0.0.1:1/x.crl"], (), root_of(theirs), now)
    assert [line.partition(": ")[0] for line in found] == [gone, page, "http://127.0.0.1:1/x.crl"]
    assert "404" in found[0]
    assert "expired" in faults_of([crl], (), root_of(theirs), late)[0]
    assert faults_of([crl], (), root_of(organisation.folder / "ca"), now) == []  # another CA: judged in the handshake


@pytest.mark.wide
def test_partner_is_added_with_a_warning(
    organisation_model: Organisation, publisher: Publisher, theirs: Path, tmp_path: Path
) -> None:
    """The same partner whose CRLs can be fetched is added without one."""
    made = organisation_model.copied(tmp_path / "o")
    assert made.type("topology", "add", "pool", "--role", "edge", "--address", "127.0.0.1").code == 0
    assert made.type("topology", "publish", "-m", "an edge").code == 0
    given = ("--edge", "sip.partner.test", "--ca", theirs / "root.pem")
    wrong = made.type("partner", "add", "partner.test", *given, "--crl", publisher.url("/gone.crl"))
    assert wrong.code == 0, wrong.err
    assert "From this machine, these CRLs cannot be fetched or read" in wrong.out
    assert f"{publisher.url('/gone.crl')}: " in wrong.out
    assert made.type("partner", "remove", "partner.test", "--force").code == 0
    good = ("--crl", publisher.url("/root.crl"), "--crl", publisher.url("/issuing.crl"))
    right = made.type("partner", "add", "partner.test", *given, *good)
    assert (right.code, "From this machine" in right.out) == (0, False), right.err
