"""The login at the directory by Kerberos: SASL GSSAPI (RFC 4752), bound to the TLS connection (RFC 5929 section 4).

The GSSAPI library does the cryptography, and the LDAP library carries the tokens. So both need no plug-ins of SASL, and no
variable of the process names a keytab.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from sipmesh.errors import OperatorError
from sipmesh.server.directory.tunnel import UnusableServerError
from sipmesh.server.kerberos.acceptor import KERBEROS, end_point, library, reason_in
from sipmesh.storage.keyfile import OWNER_ONLY, read_secret

if TYPE_CHECKING:
    from sipmesh.server.directory.tunnel import ServerPlace

MECHANISM: Final = "GSSAPI"
NO_LAYER: Final = 1
"""The security layer that leaves signing and encryption to TLS (RFC 4752 section 3.3)."""

MOST_TOKENS: Final = 8
_OFFER: Final = 4
_KEYTAB, _TICKETS = "keytab", "credential cache"
_MAGIC: Final = {_KEYTAB: b"\x05\x02", _TICKETS: b"\x05\x04"}
_WRITE: Final = {
    _KEYTAB: "write it again: ktutil, ktpass on Windows, or samba-tool domain exportkeytab",
    _TICKETS: "let the other program write it: kinit -c FILE:...",
}
_REMEDIES: Final = {
    "key table entry": f"correct `principal`, or {_WRITE[_KEYTAB]}",
    "Preauthentication failed": f"the keys of the account are others now: {_WRITE[_KEYTAB]}",
    "does not match desired name": "correct `principal`, or let the other program log in as it",
    "Password has expired": f"let the password of the account not expire, and {_WRITE[_KEYTAB]}",
    "expired": "renew the tickets: kinit -c FILE:..., or name a `keytab` instead",
    "have been revoked": "enable the account in the domain, or let it not expire",
    "Client not found": "correct `principal`: the realm has no such account",
    "Server not found": "name the server in `servers` as the domain does, or add the service principal to its account",
    "Cannot find KDC": "name the domain controllers of this realm in /etc/krb5.conf, or correct `principal`",
    "Cannot contact any KDC": "let management reach port 88 of a domain controller, or name others in /etc/krb5.conf",
    "Clock skew": "set the clock of management: it must have the time of the domain",
}
"""What mends an error, by a part of the reason that the library gives."""


@dataclass(frozen=True, slots=True)
class KerberosLogin:
    """The login of *principal* by its *keytab*, or by *tickets* that another program renews.

    Each login asks for new tickets, so that a changed key or account counts at once. Raises `OperatorError` if the file cannot
    be used.
    """

    principal: str
    keytab: Path | None
    tickets: Path | None

    def __post_init__(self) -> None:
        for path, kind in ((self.keytab, _KEYTAB), (self.tickets, _TICKETS)):
            if path is not None and not read_secret(path).startswith(_MAGIC[kind]):
                raise OperatorError(f"{path} is no {kind} in a file; {_WRITE[kind]}")

    def __str__(self) -> str:
        return self.principal

    def log_in(self, handle: Any, server: ServerPlace, leaf: bytes) -> None:
        """Log in with the channel binding of *leaf*, without a layer below TLS; both sides prove themselves."""
        gssapi = library()
        with TemporaryDirectory(prefix="sipmesh-") as folder:
            try:
                self._exchange(self._context(gssapi, server, leaf, Path(folder)), handle, server)
            except gssapi.exceptions.GSSError as wrong:
                reason = reason_in(wrong)
                remedy = next((f"; {remedy}" for said, remedy in _REMEDIES.items() if said in reason), "")
                raise UnusableServerError(f"{self} cannot log in at {server}: {reason}{remedy}") from wrong

    def _context(self, gssapi: Any, server: ServerPlace, leaf: bytes, folder: Path) -> Any:
        principal = gssapi.NameType.kerberos_principal
        name, cache = gssapi.Name(self.principal, principal), folder / "tickets"
        store = {"ccache": f"FILE:{cache}"}
        if self.tickets is not None:  # a copy, so that the tickets of the other program stay as they are
            cache.touch(OWNER_ONLY)
            cache.write_bytes(read_secret(self.tickets))
        else:
            store["client_keytab"] = f"FILE:{self.keytab}"
            gssapi.Credentials(name=name, usage="accept", store={"keytab": f"FILE:{self.keytab}"})  # it has these keys
        credentials = gssapi.Credentials(name=name, usage="initiate", store=store)
        realm, flag = self.principal.rpartition("@")[2], gssapi.RequirementFlag
        return gssapi.SecurityContext(
            name=gssapi.Name(f"ldap/{server.host}@{realm}", principal),
            creds=credentials,
            usage="initiate",
            mech=gssapi.OID.from_int_seq(KERBEROS),
            flags=[flag.mutual_authentication, flag.integrity, flag.replay_detection, flag.out_of_sequence_detection],
            channel_bindings=gssapi.raw.ChannelBindings(
                application_data=end_point(x509.load_der_x509_certificate(leaf))
            ),
        )

    def _exchange(self, context: Any, handle: Any, server: ServerPlace) -> None:
        """Send tokens until both sides are proved, and then agree on no security layer (RFC 4752 section 3.1)."""
        token = context.step()
        for _ in range(MOST_TOKENS):
            answer = handle.sasl_bind_s("", MECHANISM, token or b"")
            if not isinstance(answer, bytes):
                break
            if context.complete:
                offer = context.unwrap(answer).message
                if len(offer) != _OFFER or not offer[0] & NO_LAYER:
                    break
                handle.sasl_bind_s("", MECHANISM, context.wrap(bytes((NO_LAYER, 0, 0, 0)), False).message)  # noqa: FBT003
                return
            token = context.step(answer)
        raise UnusableServerError(f"{server} does not end the login of {self} as it should (RFC 4752)")
