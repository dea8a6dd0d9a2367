"""Accepts one ticket for one service of one realm (RFC 4559, RFC 4120); GSSAPI does the cryptography.

The GSSAPI library is in the extra ``kerberos``, and is imported here alone, by the first ticket.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError
from sipmesh.printable import printable
from sipmesh.storage.keyfile import read_secret

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

KERBEROS: Final = "1.2.840.113554.1.2.2"
SKEW_S: Final = 300
"""Seconds by which GSSAPI lengthens the life of a ticket, for clocks that differ."""

LONGEST_NAME: Final = 256
_KEYTAB: Final = b"\x05\x02"
_NO_REASON: Final = ("", "Success", "Unknown error")


class KerberosError(OperatorError):
    """A ticket that is refused."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The person *principal*, with the realm; *answer* proves the service to the client, *seconds* is the rest of its life."""

    principal: str
    answer: bytes
    seconds: int


@dataclass(frozen=True, slots=True)
class KerberosService:
    """The service *name*, such as HTTP/host, of *realm*, with its *keytab*; *replays* is the file of tokens that were used."""

    name: str
    realm: str
    keytab: Path
    replays: Path

    def accept(self, token: bytes, leaf: x509.Certificate, *, must_be_bound: bool = False) -> Ticket:
        """Return the ticket in *token*, which arrived over TLS with the certificate *leaf*; raises `KerberosError`.

        A client that names the TLS connection for which the ticket is (RFC 5929 section 4) is refused on another one. If
        the ticket *must_be_bound*, a client that names none is refused.
        """
        gssapi = library()
        if not read_secret(self.keytab).startswith(_KEYTAB):
            raise OperatorError(f"{self.keytab} is no keytab; write it again: ktutil, or ktpass on Windows")
        try:
            return self._accepted(gssapi, token, leaf, must_be_bound=must_be_bound)
        except gssapi.exceptions.GSSError as wrong:
            raise KerberosError(f"the ticket is refused: {reason_in(wrong)}") from wrong

    def _accepted(self, gssapi: Any, token: bytes, leaf: x509.Certificate, *, must_be_bound: bool) -> Ticket:
        named = gssapi.Name(f"{self.name}@{self.realm}", gssapi.NameType.kerberos_principal)
        store = {"keytab": f"FILE:{self.keytab}", "rcache": f"file2:{self.replays}"}
        bindings = gssapi.raw.ChannelBindings(application_data=end_point(leaf))
        context = gssapi.SecurityContext(
            creds=gssapi.Credentials(name=named, usage="accept", store=store), usage="accept", channel_bindings=bindings
        )
        answer = context.step(token)
        if not context.complete or context.mech.dotted_form != KERBEROS:
            raise KerberosError("the token is no ticket of Kerberos")
        if must_be_bound and not context.actual_flags & gssapi.RequirementFlag.channel_bound:
            raise KerberosError("the ticket names no TLS connection (channel binding, RFC 5929)")
        principal, seconds = str(context.initiator_name), int(context.lifetime) - SKEW_S
        if principal.rpartition("@")[2] != self.realm or "/" in principal:
            raise KerberosError(f"{printable(principal, LONGEST_NAME)} is no person of {self.realm}")
        if seconds <= 0:
            raise KerberosError(f"the ticket of {printable(principal, LONGEST_NAME)} has expired")
        return Ticket(principal, answer or b"", seconds)


def end_point(leaf: x509.Certificate) -> bytes:
    """Return the channel binding tls-server-end-point of a certificate (RFC 5929 section 4.1)."""
    used = leaf.signature_hash_algorithm
    name = "sha256" if used is None or used.name in {"md5", "sha1"} else used.name
    return b"tls-server-end-point:" + hashlib.new(name, leaf.public_bytes(Encoding.DER)).digest()


def library() -> Any:
    """Return the GSSAPI library; raises `OperatorError` without it."""
    try:
        import gssapi
        import gssapi.raw
    except ImportError as wrong:
        remedy = "install it on management, with libkrb5-dev: pip install 'gssapi>=1.9'"
        raise OperatorError(f"the Kerberos library is missing; {remedy}") from wrong
    setattr(gssapi.SecurityContext, "__DEFER_STEP_ERRORS__", False)  # noqa: B010 - an error ends the exchange at once
    return gssapi


def reason_in(wrong: Exception) -> str:
    """Return the reason that GSSAPI gives, in one line."""
    said = str(wrong).replace("\n", " ")
    major, _, minor = said.partition(", Minor (")
    texts = [part.partition(": ")[2] for part in (minor, major)]
    return printable(next((text for text in texts if text not in _NO_REASON), said), LONGEST_NAME)
