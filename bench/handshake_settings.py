"""What a handshake with its judgement costs with each setting that asks more of a certificate, beside the same without it.

``python -m bench.handshake_settings`` prints a table. Both ends are in this process, on a socket pair. Each pair
measures the handshake without the setting and with it, one after the other, many times. The CPU time of the process counts, so
that other work of the machine adds little. The ratio is the median of the pairs. The first row is a control: both are the same.
"""

from __future__ import annotations

import hashlib
import socket
import statistics
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from bench.table import table
from sipmesh.demo.cast import device_authority
from sipmesh.demo.forge import CLIENT_AUTH, Forge, Forged, Wish
from sipmesh.transport.tls.contexts import (
    AcceptingContext,
    ClientContext,
    ClientPortContext,
    Identity,
    MutualContext,
    OpeningContext,
)
from sipmesh.transport.tls.path_check import recheck_path
from sipmesh.transport.tls.results import Progress
from sipmesh.trust.authority import Authority
from sipmesh.trust.dane.tlsa import DaneStatus, TlsaAnswer
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import Judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import ClientAuth
from sipmesh.trust.transparency.ct_log import CtLog, CtMode, CtPolicy
from sipmesh.trust.trusted_peer import TrustedPeer
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.x509.device_identity import DEVICE_POLICY

PAIRS: Final = 5
HANDSHAKES: Final = 300
STEPS: Final = 16
SHARDS: Final = 64
SERIAL: Final = 0x5C7
NAME: Final = "sip.other.test"
SCT_LIST: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")  # RFC 6962 3.3
FORGE: Final = Forge(datetime.now(UTC))


@dataclass
class Side:
    """One way to shake hands: *opening* connects to *accepting*, and *judge* judges what the end *direction* has seen."""

    opening: OpeningContext
    accepting: AcceptingContext
    judge: Judge
    direction: Direction = Direction.OPENED
    stapled: bytes = b""
    seen: list[str] = field(default_factory=list)

    def handshake(self) -> None:
        """Shake hands once, and judge the peer."""
        here, there = socket.socketpair()
        for sock in (here, there):
            sock.settimeout(0)
        ends = {Direction.OPENED: self.opening.opened(here, NAME), Direction.ACCEPTED: self.accepting.accepted(there)}
        waiting = list(ends)
        for _ in range(STEPS):
            for direction in list(waiting):
                if ends[direction].handshake() is Progress.DONE:
                    waiting.remove(direction)
        tls, policy = ends[self.direction], self.judge.policy
        evidence = PeerEvidence(
            self.direction,
            policy.kind,
            ("192.0.2.7", 5061),
            ("192.0.2.1", 5061),
            tls.presented(),
            tls.engine_errors(),
            tls.facts(),
        )
        at = datetime.now(UTC)
        verdict = self.judge.judge(replace(evidence, stapled=self.stapled), at=at)
        self.seen = [str(verdict.code)]
        for end in ends.values():
            end.close()


def partner(authority: Authority, leaf: Forged, *, staples: bool = False, stapled: bytes = b"") -> Side:
    """A link that we open to a partner with *authority*, whose edge presents *leaf*."""
    names = frozenset({NAME})
    peer = TrustedPeer(NAME, None, None, names, names, names, authority)
    policy = LinkPolicy(
        LinkKind.PARTNER, "edge1.example.test", names, TrustedPeers([peer]), meant=peer, meant_name=NAME
    )
    own, theirs, trusted = identity(leaf), identity(leaf), authority.anchors or authority.known
    by_dane = authority.by_dane
    return Side(
        MutualContext(own, authority.anchors, of_many=by_dane, by_dane=by_dane, staples=staples),
        MutualContext(theirs, trusted),
        Judge(policy, recheck_path),
        stapled=stapled,
    )


def identity(made: Forged) -> Identity:
    """What an end presents."""
    assert isinstance(made.key, ec.EllipticCurvePrivateKey)  # noqa: S101
    return Identity(Path("leaf.pem"), Path("leaf.key"), made.chain, made.key)


def authority(issuing: Forged, *more: RevocationList, **changes: object) -> Authority:
    """The authority of the partner, with a CRL of each CA."""
    assert issuing.issuer is not None  # noqa: S101
    lists = [RevocationList.load(FORGE.revocations(one)) for one in (issuing.issuer, issuing)]
    return Authority("Other", (issuing.issuer.certificate,), RevocationLists([*lists, *more]), **changes)  # type: ignore[arg-type]


def stapled(issuing: Forged, leaf: Forged) -> bytes:
    """The OCSP response about *leaf*."""
    assert isinstance(issuing.key, ec.EllipticCurvePrivateKey)  # noqa: S101
    at = datetime.now(UTC)
    builder = ocsp.OCSPResponseBuilder().add_response(
        leaf.certificate,
        issuing.certificate,
        hashes.SHA256(),
        ocsp.OCSPCertStatus.GOOD,
        at,
        at + timedelta(days=1),
        None,
        None,
    )
    made = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuing.certificate).sign(issuing.key, hashes.SHA256())
    return made.public_bytes(Encoding.DER)


def logged(issuing: Forged, *keys: ec.EllipticCurvePrivateKey) -> Forged:
    """A leaf with an SCT of each log that has one of *keys* (RFC 6962 3.2)."""
    tbs = FORGE.server(issuing, NAME, serial=SERIAL).certificate.tbs_certificate_bytes
    listed = b"".join(len(sct).to_bytes(2, "big") + sct for sct in (_sct(issuing, tbs, key) for key in keys))
    content = len(listed).to_bytes(2, "big") + listed
    octets = b"\x04\x81" + bytes((len(content),)) + content  # 128 to 255 octets
    return FORGE.server(issuing, NAME, serial=SERIAL, extra=(x509.UnrecognizedExtension(SCT_LIST, octets),))


def _sct(issuing: Forged, tbs: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    issuer = issuing.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    at = int((FORGE.at - timedelta(hours=1)).timestamp()) * 1000
    signed = struct.pack(">BBQH", 0, 0, at, 1) + hashlib.sha256(issuer).digest()
    signature = key.sign(signed + len(tbs).to_bytes(3, "big") + tbs + b"\x00\x00", ec.ECDSA(hashes.SHA256()))
    sct = struct.pack(">B32sQ", 0, hashlib.sha256(_spki(key)).digest(), at) + b"\x00\x00\x04\x03"
    return sct + len(signature).to_bytes(2, "big") + signature


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def of_partners() -> Iterator[tuple[str, Side, Side]]:
    """Give each setting of partners: without it, and with it."""
    issuing, keys = FORGE.organisation("Other"), [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    leaf, plain = FORGE.server(issuing, NAME), authority(issuing)
    yield "none", partner(plain, leaf), partner(plain, leaf)
    logs = tuple(CtLog(operator, _spki(key), None) for operator, key in zip("AB", keys, strict=True))
    with_sct = logged(issuing, *keys)
    for mode in (CtMode.REPORT, CtMode.REQUIRE):
        yield (
            f"`ct: {mode}`",
            partner(plain, with_sct),
            partner(authority(issuing, transparency=CtPolicy(mode, logs)), with_sct),
        )
    text = (
        "3 1 1 "
        + hashlib.sha256(
            leaf.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest()
    )
    answer = TlsaAnswer.of(f"_5061._tcp.{NAME}", DaneStatus.SECURE, [text], until=FORGE.at + timedelta(days=1))
    yield "`dane: check`", partner(plain, leaf), partner(authority(issuing, tlsa=answer), leaf)
    only = replace(authority(issuing, tlsa=answer), anchors=(), by_dane=True, known=plain.anchors)
    yield "`dane: only`", partner(plain, leaf), partner(only, leaf)
    yield "asked for a staple, which is not given", partner(plain, leaf), partner(plain, leaf, staples=True)
    yield "a staple is read", partner(plain, leaf), partner(plain, leaf, staples=True, stapled=stapled(issuing, leaf))
    demanding = FORGE.server(issuing, NAME, extra=(x509.TLSFeature([x509.TLSFeatureType.status_request]),))
    yield (
        "must-staple",
        partner(plain, leaf),
        partner(plain, demanding, staples=True, stapled=stapled(issuing, demanding)),
    )
    shards = [RevocationList.load(FORGE.revocations(FORGE.organisation(f"Shard {n}"))) for n in range(SHARDS)]
    yield f"{SHARDS} further CRLs", partner(plain, leaf), partner(authority(issuing, *shards), leaf)


def of_devices() -> Iterator[tuple[str, Side, Side]]:
    """Give the settings of client ports: without certificates of devices, and with them."""
    ours = FORGE.organisation("Example")
    assert ours.issuer is not None  # noqa: S101
    devices = device_authority(FORGE, ours.issuer, "example.test")
    root = ours.issuer.certificate
    own = replace(authority(ours, RevocationList.load(FORGE.revocations(devices))), devices=(devices.certificate,))
    server = identity(FORGE.server(ours, NAME))
    marks = x509.CertificatePolicies([x509.PolicyInformation(DEVICE_POLICY, None)])
    wish = Wish(
        "alice desk", uris=("sip:alice@example.test", "sipmesh-device:desk"), usages=(CLIENT_AUTH,), extra=(marks,)
    )
    device = identity(FORGE.forge(wish, devices))
    phone, with_device = ClientContext((root,)), MutualContext(device, (root,))

    def at_port(opening: OpeningContext, anchors: tuple[x509.Certificate, ...], asks: ClientAuth) -> Side:
        domains = frozenset({"example.test"})
        policy = LinkPolicy(
            LinkKind.CLIENT,
            NAME,
            frozenset(),
            TrustedPeers([]),
            client_auth=asks,
            devices=own if anchors else None,
            domains=domains,
        )
        return Side(opening, ClientPortContext(server, (), anchors), Judge(policy, recheck_path), Direction.ACCEPTED)

    without, trusted = at_port(phone, (), ClientAuth.PASSWORD), (root, devices.certificate)
    yield "`client_auth: either`, phone without a certificate", without, at_port(phone, trusted, ClientAuth.EITHER)
    yield "`client_auth: either`, phone with one", without, at_port(with_device, trusted, ClientAuth.EITHER)


def measured(*sides: Side) -> list[float]:
    """Return the CPU time of one handshake of each side, in µs: one is made after another, so that both meet the same machine."""
    taken: list[list[float]] = [[] for _ in sides]
    for n in range(HANDSHAKES):
        for place in range(len(sides)) if n % 2 else reversed(range(len(sides))):
            begun = time.process_time()
            sides[place].handshake()
            taken[place].append(time.process_time() - begun)
    return [statistics.median(one) * 1e6 for one in taken]


def compared(without: Side, with_it: Side) -> tuple[float, float, list[float]]:
    """Return the medians of both, and the ratio of each pair; what is kept between handshakes is warm."""
    for side in (without, with_it):
        side.handshake()
    pairs = [measured(without, with_it) for _ in range(PAIRS)]
    before, after = (statistics.median(column) for column in zip(*pairs, strict=True))
    return before, after, [one / other for other, one in pairs]


def main() -> None:
    """Measure, and print the table."""
    rows = []
    for setting, without, with_it in (*of_partners(), *of_devices()):
        before, after, ratios = compared(without, with_it)
        span = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        rows.append((setting, ", ".join(with_it.seen), f"{before:.0f}", f"{after:.0f}", span))
    sys.stdout.write(table(("setting", "verdict", "without, µs", "with it, µs", "ratio"), rows))


if __name__ == "__main__":
    main()
