"""Telephone numbers: ``tel:`` URIs (RFC 3966), and the same numbers as the user part of SIP URIs (RFC 3261 19.1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.sip.service_urn import is_service_urn, service_form
from sipmesh.sip.text import ALPHANUM, HEX, UNRESERVED, ascii_lower, shown
from sipmesh.sip.text_cache import TextCache
from sipmesh.sip.uri import CACHED_LENGTH, SipUri, has_whole_escapes, unescaped

TEL: Final = "tel:"
NO_DOMAIN: Final = "tel.invalid"
"""The host of the SIP form of a ``tel:`` URI, which has no domain of its own (RFC 2606: ``.invalid`` never exists)."""

LONGEST_NUMBER: Final = 128
"""Characters of a number with its parameters. E.164 has 15 digits, and RFC 3966 bounds nothing."""

_RULE: Final = "RFC 3966 section 3"
_SEPARATORS: Final = str.maketrans("", "", "-.()")
_DIGITS: Final = frozenset("0123456789")
_LOCAL_DIGITS: Final = HEX | frozenset("*#")
_NAME: Final = ALPHANUM | {"-"}
_HOST: Final = ALPHANUM | frozenset("-._")
_VALUE: Final = UNRESERVED | frozenset("[]/:&+$%")
_CONTEXT: Final = "phone-context"
# Section 4: these values are numbers, so that their visual separators are removed before they are compared.
_NUMBERS: Final = frozenset({"ext"})
_MOST_KEPT: Final = 2048


@dataclass(frozen=True, slots=True)
class TelUri:
    """A telephone number in its normal form: two spellings of one number are equal (RFC 3966 section 4).

    *number* has no visual separators; a global one begins with ``+``. *params* are in the order of their names, in lower case.
    A local number always has the parameter ``phone-context``.
    """

    number: str
    params: tuple[tuple[str, str | None], ...] = ()

    @property
    def subscriber(self) -> str:
        """The ``telephone-subscriber``: the URI without its scheme."""
        return self.number + "".join(f";{name}" if value is None else f";{name}={value}" for name, value in self.params)

    def __str__(self) -> str:
        return f"{TEL}{self.subscriber}"

    @classmethod
    def parse(cls, text: str) -> TelUri:
        """Parse a ``tel:`` URI; RemoteError 400 if it is malformed, or a local number without ``phone-context``."""
        if not is_tel(text):
            raise _wrong("not a tel URI", text)
        return cls.of_subscriber(text[len(TEL) :])

    @classmethod
    def of_subscriber(cls, text: str, context: str = "") -> TelUri:
        """Parse a ``telephone-subscriber``, such as the user part of a SIP URI, whose escapes are decoded.

        *context* is the ``phone-context`` of a local number that names none. RemoteError 400 if the text is malformed.
        """
        if len(text) > LONGEST_NUMBER:
            raise _wrong(f"a number above {LONGEST_NUMBER} characters", text)
        written, *rest = text.split(";")
        number = _number(written, text)
        params = [_param(part, text) for part in rest]
        names = [name for name, _ in params]
        if len(set(names)) != len(names):
            raise _wrong("a parameter that is given twice", text)
        if not number.startswith("+") and _CONTEXT not in names:
            if not context:
                raise _wrong("a local number without phone-context", text)
            params.append((_CONTEXT, _context(context, text)))
        return cls(number, tuple(sorted(params, key=itemgetter(0))))


def is_tel(text: str) -> bool:
    """Tell whether the scheme of a URI is ``tel``."""
    return ascii_lower(text[: len(TEL)]) == TEL


def number_in(user: str, context: str = "") -> TelUri | None:
    """Give the telephone number in the user part of a SIP URI; None if it is another name.

    "Even without this parameter [user=phone], recipients [...] MAY interpret the pre-@ part as a telephone number"
    (RFC 3261 19.1.1).
    """
    return number_of(unescaped(user), context)


def number_of(decoded: str, context: str = "") -> TelUri | None:
    """Give the number in a user part whose escapes are decoded already; None if it is another name."""
    if context or len(decoded) > CACHED_LENGTH:
        return _number_of(decoded, context)
    known = _subscribers.get(decoded)
    if known is None:
        known = _subscribers.keep(decoded, _number_of(decoded, "") or _OTHER_NAME)
    return known if known is not _OTHER_NAME else None


def _number_of(decoded: str, context: str) -> TelUri | None:
    try:
        return TelUri.of_subscriber(decoded, context)
    except RemoteError:
        return None


def target_uri(text: str) -> SipUri:
    """Parse a Request-URI: a SIP URI, or a ``tel:`` URI or a service URN, of which the SIP form is given (RFC 3261 19.1.6).

    The host of this form is `NO_DOMAIN` or `NO_NUMBER`. RemoteError 400 if the text is malformed, 416 for another scheme.
    """
    if text[:1] in "uU" and is_service_urn(text):
        return service_form(text)
    return sip_form(text) if text[:1] in "tT" and is_tel(text) else SipUri.parse(text)


def sip_form(text: str) -> SipUri:
    """Give the SIP form of a ``tel:`` URI; RemoteError 400 if it is malformed."""
    form = _forms.get(text)
    if form is None:
        form = SipUri("sip", TelUri.parse(text).subscriber, None, NO_DOMAIN, params=(("user", "phone"),))
        if len(text) <= CACHED_LENGTH:
            _forms.keep(text, form)
    return form


_forms: Final[TextCache[SipUri]] = TextCache(_MOST_KEPT)
_subscribers: Final[TextCache[TelUri]] = TextCache(_MOST_KEPT)
_OTHER_NAME: Final = TelUri("")
"""What is kept for a text that is no number."""


def _number(written: str, text: str) -> str:
    number = written.translate(_SEPARATORS)
    digits, allowed = (number[1:], _DIGITS) if number.startswith("+") else (number, _LOCAL_DIGITS)
    if not digits or not allowed.issuperset(digits) or _DIGITS.isdisjoint(digits):
        raise _wrong("not a telephone number", text)
    return ascii_lower(number)


def _param(part: str, text: str) -> tuple[str, str | None]:
    name, equals, value = part.partition("=")
    name = ascii_lower(name)
    is_valid = _VALUE.issuperset(value) and has_whole_escapes(value)
    if name in _NUMBERS:
        value = value.translate(_SEPARATORS)
    if not name or not _NAME.issuperset(name) or not is_valid or (equals and not value):
        raise _wrong("a parameter that breaks the grammar", text)
    if name == _CONTEXT:
        return name, _context(value, text)
    return name, ascii_lower(value) if equals else None


def _context(value: str, text: str) -> str:
    """Parse a ``phone-context``: a domain name, or the first digits of global numbers."""
    if value.startswith("+"):
        return _number(value, text)
    if not value or not _HOST.issuperset(value):
        raise _wrong("not a phone-context", text)
    return ascii_lower(value).removesuffix(".")


def _wrong(what: str, text: str) -> RemoteError:
    return RemoteError(f"{what}: {shown(text)}", rule=_RULE)
