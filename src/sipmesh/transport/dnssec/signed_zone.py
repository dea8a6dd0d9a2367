"""A zone whose keys are proved, and the RRsets that these keys have signed (RFC 4035 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset

from sipmesh.errors import SipmeshError

MOST_SIGNATURES: Final = 4
MOST_KEYS_OF_ONE_TAG: Final = 2
MOST_CHECKS: Final = 64
"""Signatures of one RRset that are tried, keys that have the tag of a signature, and checks of signatures for one question.
The zone of a stranger chooses their numbers, and each check costs (KeyTrap, CVE-2023-50387)."""

MOST_KEYS: Final = 32
"""Keys of one zone, and DS records of one. Their tags are computed for each other, and for each signature."""

MOST_KEY_OCTETS: Final = 520
"""An RSA key of 4,096 bits with a short exponent; a longer key is not used."""

IN: Final = dns.rdataclass.IN
ALGORITHMS: Final = frozenset((8, 10, 13, 14, 15, 16))
"""RSA with SHA-256 or SHA-512, ECDSA, EdDSA (RFC 8624 3.1). SHA-1 does not count (RFC 9905)."""
DIGESTS: Final = {2: "SHA256", 4: "SHA384"}
_REVOKED: Final = 0x80  # RFC 5011 7


class BogusError(SipmeshError):
    """An answer that should be signed is not, or is signed wrongly: it is an error of the zone, or an attack."""


class InsecureError(SipmeshError):
    """DNSSEC proves that the zone of the answer is not signed, or not by an algorithm that counts (RFC 4035 5.2)."""


@dataclass(slots=True)
class Work:
    """How many checks of signatures, and digests of keys, are left for one question."""

    left: int = MOST_CHECKS

    def spend(self) -> None:
        """Count one check or digest; raises :class:`BogusError` if none is left."""
        if self.left == 0:
            raise BogusError(f"more than {MOST_CHECKS} checks of signatures and digests of keys")
        self.left -= 1


class Signed(NamedTuple):
    """An RRset that a zone has signed. *labels* are those of the owner, or of the wildcard that it was made from."""

    rrset: dns.rrset.RRset
    labels: int
    until: int

    @property
    def is_expanded(self) -> bool:
        """Whether the RRset was made from a wildcard (RFC 4035 5.3.4)."""
        name = self.rrset.name
        return self.labels < len(name) - 1 - name.is_wild()


@dataclass(slots=True)
class SignedZone:
    """A zone with its proved *keys*. *until* is the second at which the first signature on the way ends."""

    name: dns.name.Name
    keys: Sequence[Any]
    at: int
    work: Work
    until: int = field(default=0xFFFFFFFF)

    def signed(self, section: Sequence[dns.rrset.RRset], name: dns.name.Name, kind: int) -> Signed | None:
        """Return the RRset of *name* and *kind* in a section; None if there is none; raises :class:`BogusError`."""
        found = _rrset(section, name, kind)
        if found is None:
            return None
        why = "it has no signature of this zone"
        for signature in list(_rrset(section, name, dns.rdatatype.RRSIG, kind) or ())[:MOST_SIGNATURES]:
            if signature.signer != self.name or not name.is_subdomain(self.name):
                continue
            try:
                self._check(found, signature)
            except (dns.exception.DNSException, ValueError) as wrong:
                why = f"the signature by key {signature.key_tag}: {wrong}"
            else:
                self.until = min(self.until, signature.expiration)
                return Signed(found, signature.labels, signature.expiration)
        raise BogusError(f"{name} {dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind))} in {self.name}: {why}")

    def _check(self, rrset: dns.rrset.RRset, signature: Any) -> None:
        fitting = [
            key
            for key in self.keys
            if key.algorithm == signature.algorithm and dns.dnssec.key_id(key) == signature.key_tag
        ][:MOST_KEYS_OF_ONE_TAG]
        for _ in fitting or (None,):
            self.work.spend()
        keys = dns.rdataset.from_rdata_list(0, fitting) if fitting else dns.rdataset.Rdataset(IN, dns.rdatatype.DNSKEY)
        dns.dnssec.validate_rrsig(rrset, signature, {self.name: keys}, now=self.at)


def _rrset(
    section: Sequence[dns.rrset.RRset], name: dns.name.Name, kind: int, covers: int = dns.rdatatype.NONE
) -> dns.rrset.RRset | None:
    wanted = (name, IN, kind, covers)
    return next((one for one in section if (one.name, one.rdclass, one.rdtype, one.covers) == wanted), None)


def zone_of(
    name: dns.name.Name, digests: Sequence[Any], response: dns.message.Message, above: SignedZone
) -> SignedZone:
    """Return the zone *name* with the keys of a *response*, which one of the *digests* (DS records) proves (RFC 4035 5.2).

    Raises:
        InsecureError: No digest is of an algorithm that counts.
        BogusError: No key has one of the digests, its signature over the keys is wrong, or there are too many of them.
    """
    if len(digests) > MOST_KEYS:
        raise BogusError(f"{name} has {len(digests)} DS records, more than {MOST_KEYS}")
    usable = [ds for ds in digests if ds.algorithm in ALGORITHMS and ds.digest_type in DIGESTS]
    if not usable:
        raise InsecureError(f"{name} is signed by algorithms alone that do not count")
    found = _rrset(response.answer, name, dns.rdatatype.DNSKEY)
    if found is not None and len(found) > MOST_KEYS:
        raise BogusError(f"{name} has {len(found)} keys, more than {MOST_KEYS}")
    keys = [key for key in found or () if _counts(key)]
    entry = [key for key in keys if any(_has_digest(name, key, ds, above.work) for ds in usable)]
    if not entry:
        raise BogusError(f"{name} DNSKEY: no key has a digest of the DS records above")
    proved = SignedZone(name, entry, above.at, above.work, above.until)
    proved.signed(response.answer, name, dns.rdatatype.DNSKEY)
    return SignedZone(name, keys, above.at, above.work, proved.until)


def _counts(key: Any) -> bool:
    is_of_zone = key.protocol == 3 and key.flags & 0x100 and not key.flags & _REVOKED  # noqa: PLR2004 - RFC 4034 2.1
    return bool(is_of_zone) and key.algorithm in ALGORITHMS and len(key.key) <= MOST_KEY_OCTETS


def _has_digest(name: dns.name.Name, key: Any, ds: Any, work: Work) -> bool:
    if key.algorithm != ds.algorithm or dns.dnssec.key_id(key) != ds.key_tag:
        return False
    work.spend()
    made = dns.dnssec.make_ds(name, key, DIGESTS[ds.digest_type])
    return bool(made.digest == ds.digest)
