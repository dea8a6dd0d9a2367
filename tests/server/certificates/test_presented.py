"""What a server presents: a new certificate is used if our own judge accepts it, otherwise the old one stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.certificates.presented import PresentedCertificates, why_not
from sipmesh.topology.view import ServerView, certificate_names, view
from sipmesh.transport.tls.contexts import Identity
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.network import EDGE, FE1, FE2

NOW = datetime.now(UTC)


def seen(example: Organisation, server: str = FE1) -> ServerView:
    return view(example.load(), server)


def issue(example: Organisation, names_of: str = FE1, ca: EnterpriseCa | None = None) -> None:
    """Issue a certificate, and write it to the files of fe1."""
    names = certificate_names(example.load().topology, names_of)
    (ca or example.ca).issue(names, Role.FRONT_END, NOW).write(*example.credentials(FE1))


def serial(shown: PresentedCertificates) -> int:
    return shown.of(LinkKind.SERVER).chain[0].serial_number


def test_good_certificate_is_used(example: Organisation) -> None:
    first = PresentedCertificates.first(seen(example))
    issue(example)
    after = first.after(seen(example), NOW)
    assert serial(after) != serial(first)
    assert list(after.faults) == []
    assert after.of(LinkKind.CLIENT) is after.of(LinkKind.SERVER)
    leaf = after.certificates[False].chain.leaf
    assert leaf is not None
    assert leaf.number == f"{serial(after):x}"


def test_certificate_that_has_not_changed_stays(example: Organisation) -> None:
    first = PresentedCertificates.first(seen(example))
    assert serial(first.after(seen(example), NOW)) == serial(first)


def of_another_server(example: Organisation) -> None:
    issue(example, FE2)


def of_a_stranger(example: Organisation) -> None:
    ca = EnterpriseCa.create(example.folder / "stranger", example.domain, NOW, crl_base="http://crl.test")
    issue(example, ca=ca)


def revoked(example: Organisation) -> None:
    issue(example)
    newest = Identity.load(*example.credentials(FE1)).leaf
    example.ca.revoke(newest.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))


def unreadable(example: Organisation) -> None:
    example.credentials(FE1)[0].write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("lay", "why"),
    [
        (of_another_server, "name-mismatch"),
        (of_a_stranger, "untrusted-issuer"),
        (revoked, "revoked"),
        (unreadable, str(FE1)),
    ],
)
def test_certificate_that_peers_would_refuse_is_not_presented_and_has_a_fault(
    example: Organisation, lay: Callable[[Organisation], None], why: str
) -> None:
    first = PresentedCertificates.first(seen(example))
    lay(example)
    after = first.after(seen(example), datetime.now(UTC))
    assert serial(after) == serial(first)
    [fault] = after.faults
    assert why in fault
    issue(example)
    mended = after.after(seen(example), datetime.now(UTC))
    assert (list(mended.faults), serial(mended) != serial(first)) == ([], True)


def test_certificate_that_has_expired_is_refused_in_both_roles(example: Organisation) -> None:
    identity = Identity.load(*example.credentials(FE1))
    assert why_not(identity, seen(example), NOW) == ""
    assert why_not(identity, seen(example), NOW + timedelta(days=400)).startswith("expired")


def test_server_without_a_certificate_does_not_start(example: Organisation) -> None:
    example.credentials(FE1)[0].unlink()
    with pytest.raises(OperatorError):
        PresentedCertificates.first(seen(example))


@pytest.mark.parametrize(("name", "why"), [("sip.example.test", ""), ("sip.other.test", "name-mismatch")])
def test_edge_may_show_partners_a_certificate_of_another_ca_with_its_names(
    example: Organisation, name: str, why: str
) -> None:
    """Partners know its anchor, and we do not: only its names, its validity and its form are judged."""
    other = EnterpriseCa.create(example.folder / "abroad", "Abroad", NOW, crl_base="http://crl.test")
    first = PresentedCertificates.first(seen(example, EDGE))
    edge = example.document["pools"][1]["servers"][0]  # type: ignore[index]  # as written by build_example
    edge["outside"] = {"certificate": "servers/out.pem", "key": "servers/out.key"}
    other.issue([name], Role.EDGE, NOW).write(example.folder / "servers/out.pem", example.folder / "servers/out.key")
    example.write()
    after = first.after(seen(example, EDGE), datetime.now(UTC))
    assert after.certificates[True].fault.startswith(why)
    assert (after.of(LinkKind.PARTNER).chain == after.of(LinkKind.SERVER).chain) is bool(why)
    assert after.certificates[False].fault == ""
