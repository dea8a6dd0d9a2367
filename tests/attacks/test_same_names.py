"""A partner whose root has the name and the key identifier of another partner's CA, which OpenSSL then takes for the issuer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sipmesh.demo.organisation import Organisation
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, PARTNER_EDGE, PARTNER_FE, Network
from support.peer import HungUpError, Peer
from support.running import on_loop
from support.talking import reaches
from support.tiers import wide_after

DAY = timedelta(days=1)

Credentials = tuple[Path, Path]

FAULTS = (
    "no authority below it",
    "for other names",
    "a critical extension",
    "expired",
    "not yet valid",
    "no key identifier",
    "no anchor",
)


def namesake(authority: x509.Certificate, key: ec.EllipticCurvePrivateKey, fault: str = "") -> x509.Certificate:
    """A root of another key, with the subject, the serial number and the key identifier of *authority*, and one of `FAULTS`."""
    subject, issuer = authority.subject, authority.subject
    since, until = authority.not_valid_before_utc - DAY, authority.not_valid_after_utc + DAY
    if fault == "no anchor":
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Elsewhere")])
    if fault == "expired":
        until = since + DAY
    if fault == "not yet valid":
        since = until - DAY
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), authority.serial_number, since, until)
    for extension, critical in extensions(authority, key, fault):
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def extensions(
    authority: x509.Certificate, key: ec.EllipticCurvePrivateKey, fault: str
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    yield x509.BasicConstraints(ca=True, path_length=0 if fault == "no authority below it" else None), True
    yield authority.extensions.get_extension_for_class(x509.KeyUsage).value, True
    if fault != "no key identifier":
        yield authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value, False
    if fault == "no anchor":
        yield x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False
    if fault == "for other names":
        yield x509.NameConstraints([x509.DNSName("another.test")], None), True
    if fault == "a critical extension":
        yield x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.1"), b"\x05\x00"), True


def chain_of(partner: Organisation) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((partner.folder / "servers" / f"{PARTNER_EDGE}.pem").read_bytes())


def forge(partner: Organisation, key: ec.EllipticCurvePrivateKey, folder: Path, *, has_issuer: bool) -> Credentials:
    """Credentials with all that is in the certificate of the partner's edge, signed with *key*."""
    leaf, *issuers = chain_of(partner)
    builder = x509.CertificateBuilder(leaf.issuer, leaf.subject, key.public_key(), leaf.serial_number)
    builder = builder.not_valid_before(leaf.not_valid_before_utc).not_valid_after(leaf.not_valid_after_utc)
    for extension in leaf.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    chain = [builder.sign(key, hashes.SHA256()), *(issuers if has_issuer else ())]
    (folder / "forged.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "forged.key").write_bytes(secret)
    return folder / "forged.pem", folder / "forged.key"


def add_namesakes(
    example: Organisation, partner: Organisation, key: ec.EllipticCurvePrivateKey, fault: str = ""
) -> None:
    """Make another.test a partner of *example*, first in the list, with namesakes of both CAs of *partner* as its anchors.

    With the *fault* of a root, only the root has a namesake: OpenSSL takes that of the issuing CA without it.
    """
    cas = [*chain_of(partner)[1:], x509.load_pem_x509_certificate(partner.root.read_bytes())]
    cas = cas[-1:] if fault == "no authority below it" else cas
    anchors = example.folder / "partners" / "another.pem"
    anchors.write_bytes(b"".join(namesake(ca, key, fault).public_bytes(Encoding.PEM) for ca in cas))
    federation = example.document["federation"]
    assert isinstance(federation, dict)
    another = partner.as_partner(domains=["another.test"], edge="sip.another.test", anchors=[str(anchors)])
    federation["partners"] = [another, *federation["partners"]]
    example.write()


@pytest.mark.parametrize("fault", wide_after(3, FAULTS))
@on_loop
async def test_faulty_namesake_keeps_no_other_partner_away_and_vouches_for_no_one_else(
    federation: Network, tmp_path: Path, fault: str
) -> None:
    """OpenSSL reports the fault before it checks a signature."""
    example, partner = federation.organisations
    key = ec.generate_private_key(ec.SECP256R1())
    add_namesakes(example, partner, key, fault)
    forged = forge(partner, key, tmp_path, has_issuer=True)
    async with federation:
        address = federation.address(EDGE, LinkKind.PARTNER)
        with pytest.raises((HungUpError, OSError)):
            async with await Peer.open(address, "erin@partner.test", forged) as thief:
                await thief.ask(thief.request("OPTIONS", "sip:example.test"))
        erin = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        assert (await erin.ask(erin.request("OPTIONS", "sip:example.test"))).status == 200


@pytest.mark.parametrize("ours_calls", [True, False], ids=["we open the link", "they open the link"])
@on_loop
async def test_partner_keeps_no_other_partner_away(federation: Network, *, ours_calls: bool) -> None:
    example, partner = federation.organisations
    add_namesakes(example, partner, ec.generate_private_key(ec.SECP256R1()))
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        await reaches(*((alice, erin) if ours_calls else (erin, alice)))


@pytest.mark.parametrize("has_issuer", [True, False])
@pytest.mark.parametrize("has_namesakes", [True, False])
@on_loop
async def test_namesake_vouches_for_no_other_partner(
    federation: Network, tmp_path: Path, *, has_namesakes: bool, has_issuer: bool
) -> None:
    """The certificate of the partner's edge, signed by the wrong key. Control: the edge itself."""
    example, partner = federation.organisations
    key = ec.generate_private_key(ec.SECP256R1())
    if has_namesakes:
        add_namesakes(example, partner, key)
    forged = forge(partner, key, tmp_path, has_issuer=has_issuer)
    async with federation:
        address = federation.address(EDGE, LinkKind.PARTNER)
        with pytest.raises((HungUpError, OSError)):
            async with await Peer.open(address, "erin@partner.test", forged) as thief:
                await thief.ask(thief.request("OPTIONS", "sip:example.test"))
        refused = next(iter(federation.nodes[EDGE].gatekeeper.refused()))
        assert refused.code in {Code.UNTRUSTED_ISSUER, Code.ISSUER_NOT_FOR_THIS_NAME}
        erin = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        assert (await erin.ask(erin.request("OPTIONS", "sip:example.test"))).status == 200
