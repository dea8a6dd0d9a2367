"""One connection to the directory by LDAP: log in, and search by pages. The LDAP library is imported here alone."""

from __future__ import annotations

import string
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sipmesh.errors import OperatorError
from sipmesh.printable import printable
from sipmesh.server.directory.tunnel import Tunnel, UnusableServerError
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    import ssl

    from sipmesh.server.directory.tunnel import ServerPlace

PAGE: Final = 500
"""Entries of one page: Active Directory gives 1,000 at most."""

MOST_ENTRIES: Final = 500_000
READ_S: Final = 600.0
"""Seconds that all pages of one search may take."""

ANSWER_S: Final = 30.0
LONGEST_REASON: Final = 200

DIRSYNC: Final = "1.2.840.113556.1.4.841"
"""The control by which Active Directory tells what has changed (MS-ADTS 3.1.1.3.4.1.3); the library has no class for it."""

_PLAIN: Final = frozenset(string.ascii_letters.encode() + string.digits.encode())

Attributes = Mapping[str, Sequence[bytes]]


class DirectoryAnswerError(OperatorError):
    """The directory does not answer a search as a whole: nothing may follow from what has arrived."""


@dataclass(frozen=True, slots=True)
class Found:
    """One entry as it was received; names of *attributes* are in lower case."""

    dn: str
    attributes: Attributes


class Login(Protocol):
    """How management logs in; `str` is the name as which it does."""

    def log_in(self, handle: Any, server: ServerPlace, leaf: bytes) -> None:
        """Log in by the *handle* of the library, at *server* with the certificate *leaf*.

        Raises `UnusableServerError`, or an error of the library.
        """


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """The login as the entry *bind* (RFC 4513 section 5.1.3)."""

    bind: str
    password: str

    def __str__(self) -> str:
        return self.bind

    def log_in(self, handle: Any, server: ServerPlace, leaf: bytes) -> None:  # noqa: ARG002 - as `Login` has it
        """Send name and password."""
        if not self.password:  # RFC 4513 section 5.1.2: the server would take it as an anonymous login
            raise UnusableServerError("the password of the directory is empty")
        handle.simple_bind_s(self.bind, self.password)


class LdapSession:
    """A connection to one *server*, over *secured*, with a *login*.

    Raises `OperatorError` if the login fails.
    """

    def __init__(self, server: ServerPlace, secured: ssl.SSLSocket, login: Login) -> None:
        self._ldap = library()
        leaf = secured.getpeercert(binary_form=True) or b""
        self._server, self._tunnel = server, Tunnel(secured)
        self._handle = self._ldap.initialize("ldap://directory.invalid", fileno=self._tunnel.theirs.detach())
        for option, value in ((self._ldap.OPT_PROTOCOL_VERSION, 3), (self._ldap.OPT_REFERRALS, 0)):
            self._handle.set_option(option, value)
        self._handle.set_option(self._ldap.OPT_TIMEOUT, ANSWER_S)
        try:
            login.log_in(self._handle, server, leaf)
        except self._ldap.LDAPError as wrong:
            self.close()
            raise UnusableServerError(f"{server} refuses the login as {login}: {_login_refusal(wrong)}") from wrong
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<LdapSession {self._server}>"

    def close(self) -> None:
        """End the connection."""
        self._tunnel.close()

    def search(self, base: str, search_filter: str, attributes: Sequence[str]) -> Iterator[Found]:
        """Yield each entry below *base* that fits *search_filter*, page by page.

        References to other servers are not followed. Raises `DirectoryAnswerError` unless the server says that this was
        the whole answer.
        """
        controls = self._ldap.controls.libldap
        page = controls.SimplePagedResultsControl(criticality=True, size=PAGE, cookie="")
        until, count = time.monotonic() + READ_S, 0
        while True:
            entries, returned = self._answer(base, self._ldap.SCOPE_SUBTREE, search_filter, attributes, [page])
            count += len(entries)
            if count > MOST_ENTRIES or time.monotonic() > until:
                reason = f"gives more than {MOST_ENTRIES:,} entries, or takes over {READ_S:.0f} s"
                raise DirectoryAnswerError(f"{self._server} {reason}; narrow `base` or `filter`")
            yield from entries
            cookies = [one.cookie for one in returned if one.controlType == page.controlType]
            if not cookies:
                raise DirectoryAnswerError(f"{self._server} ends without saying whether there is more")
            if not cookies[0]:
                return
            page.cookie = cookies[0]

    def read(self, dn: str, attribute: str) -> Mapping[str, Sequence[bytes]]:
        """Return one attribute of the entry *dn*; raises `DirectoryAnswerError` if there is no such entry."""
        found = self._answer(dn, self._ldap.SCOPE_BASE, "(objectClass=*)", [attribute], [])[0]
        if not found:
            raise DirectoryAnswerError(f"{self._server} does not give the entry {printable(dn)}")
        return found[0].attributes

    def says(self, attribute: str) -> Sequence[str]:
        """Return the values of an *attribute* of the root DSE (RFC 4512 section 5.1)."""
        return [value.decode(errors="replace") for value in self.read("", attribute).get(ascii_lower(attribute), ())]

    def normal_dn(self, dn: str) -> str:
        """Return *dn* in the form in which two spellings of one name are equal, "" if it is no name."""
        try:
            return ascii_lower(self._ldap.dn.dn2str(self._ldap.dn.str2dn(dn)))
        except (self._ldap.LDAPError, ValueError):
            return ""

    def ask(
        self,
        base: str,
        scope: int,
        search_filter: str,
        attributes: Sequence[str],
        controls: Sequence[Any],
        whole_s: float = ANSWER_S,
    ) -> tuple[Sequence[tuple[Any, Any, Any]], Sequence[Any]]:
        """Return what the server sends within *whole_s*, each with its controls, and the controls of the end of the answer.

        Each is the DN of an entry and its attributes, the name of an intermediate response (RFC 4511 section 4.13) and its
        octets, or None and a reference to another server.
        """
        known = {**self._ldap.controls.KNOWN_RESPONSE_CONTROLS, DIRSYNC: self._ldap.controls.ResponseControl}
        try:
            asked = self._handle.search_ext(
                base, scope, search_filter, [*attributes], serverctrls=[*controls], timeout=whole_s
            )
            _, data, _, returned, _, _ = self._handle.result4(
                asked, all=1, timeout=whole_s, add_ctrls=1, add_intermediates=1, resp_ctrl_classes=known
            )
        except (self._ldap.LDAPError, ValueError) as wrong:
            what = f"{self._server} does not answer the search below {base}: {reason_of(wrong)}"
            raise DirectoryAnswerError(f"{what}{_REMEDIES.get(type(wrong).__name__, '')}") from wrong
        return data, returned

    def _answer(
        self, base: str, scope: int, search_filter: str, attributes: Sequence[str], controls: Sequence[Any]
    ) -> tuple[list[Found], Sequence[Any]]:
        data, returned = self.ask(base, scope, search_filter, attributes, controls)
        return [found for dn, given, _ in data if (found := found_in(dn, given)) is not None], returned


def _login_refusal(wrong: Exception) -> str:
    reason = reason_of(wrong)
    return next((f"{reason}{remedy}" for said, remedy in _LOGIN_REMEDIES.items() if said in reason), reason)


def found_in(dn: object, given: object) -> Found | None:
    """Return the entry that the library has read, None for what is no entry."""
    if not isinstance(dn, str) or not isinstance(given, dict):
        return None
    return Found(dn, {ascii_lower(name): values for name, values in given.items()})


_REMEDIES: Final = {
    "SIZELIMIT_EXCEEDED": "; let `bind` read all entries, in OpenLDAP by `limits dn.exact=... size=unlimited`",
    "REFERRAL": "; the base is on another server: name that server, referrals are not followed",
    "NO_SUCH_OBJECT": "; correct the base, or let `bind` read it",
}
"""What mends an error of a search, by the name of the library's exception."""

_LOGIN_REMEDIES: Final = {
    "80090346": "; another TLS connection ends there (channel binding): let no TLS proxy be between",
    "uthentication method not supported": "; turn SASL GSSAPI on there, or write a name and a `password_file`",
}
"""What mends a refused login, by a part of the reason. The number is SEC_E_BAD_BINDINGS of Active Directory."""


def library() -> Any:
    """Return the LDAP library; raises `OperatorError` without it."""
    try:
        import ldap
        import ldap.controls.libldap
        import ldap.dn
        import ldap.syncrepl
    except ImportError as wrong:
        remedy = "install it on management: pip install 'python-ldap>=3.4.4'"
        raise OperatorError(f"the LDAP library is missing; {remedy}") from wrong
    return ldap


def escaped(value: bytes) -> str:
    """Write *value* as a value in a search filter (RFC 4515 section 3): each octet but letters and digits as hex."""
    return "".join(chr(octet) if octet in _PLAIN else f"\\{octet:02x}" for octet in value)


def reason_of(wrong: Exception) -> str:
    """Say in one line what the library or the server says."""
    said = wrong.args[0] if wrong.args and isinstance(wrong.args[0], dict) else {}
    texts = [str(said[key]) for key in ("desc", "info") if said.get(key)]
    return printable(": ".join(texts) or type(wrong).__name__, LONGEST_REASON)
