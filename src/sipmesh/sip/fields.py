"""The structured header fields that routing reads: name-addr, Via and CSeq (RFC 3261 section 20 and 25.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.sip.text import (
    LWS,
    TOKEN,
    ascii_lower,
    ascii_upper,
    closing_quote,
    has_control,
    has_only,
    is_digits,
    is_token,
    quote,
    shown,
    split_outside,
    table_of,
    unquote,
)
from sipmesh.sip.text_cache import TextCache
from sipmesh.sip.uri import CACHED_LENGTH, SCHEMES, Params, SipUri, scheme_of, split_host_port

# 8.1.1.7: a branch MUST begin with this cookie. The rest is different for each transaction.
MAGIC: Final = "z9hG4bK"

# 8.1.1.5: the sequence number MUST be less than 2**31.
_MAX_CSEQ: Final = 2**31 - 1
VERSTAT: Final = "verstat"
_SIP: Final = ("sip:", "sips:")
"""How nearly every URI begins; `scheme_of` knows the other spellings."""
_SHORT: Final = 18
_DISPLAY: Final = table_of(TOKEN | {" ", "\t"})
_PARAM_NAMES: Final = frozenset(
    {"tag", "expires", "q", "+sip.instance", "reg-id", "branch", "rport", "received", "alias"}
)
"""Names that are tokens in lower case: those of nearly all parameters."""
VIA_START: Final = "SIP/2.0/"
_IN_URI: Final = table_of(frozenset(map(chr, range(0x21, 0x7F))) - frozenset('"<>\\^`{|}'))
"""Printable ASCII without the blank and the characters that no URI has."""
_BRANCH: Final = ";branch="
_TAG: Final = ">;tag="
# gen-value = token / host / quoted-string. "/" and "=" are accepted too (base64): no parser ends a value there.
_VALUE: Final = table_of(TOKEN | frozenset("[]:/="))
_MOST_KEPT: Final = 2048


def split_list(text: str) -> list[str]:
    """Split a comma list. Commas inside quotes and angle brackets do not separate. Empty items are kept."""
    if "," not in text:
        text = text.strip(LWS)
        return [text] if text else []
    return split_outside(text, ",")


def first_item(text: str) -> str:
    """Give the first item of a comma list, with its blanks if it is the only one."""
    return text if "," not in text else split_outside(text, ",")[0]


def parse_params(text: str, field: str) -> Params:
    """Parse ``a=b;c;d="e"``. Names are in lower case, values as received (with quotes). *field* is for the error text."""
    found = tuple([_param(part, field) for part in split_outside(text, ";")])
    if len(found) > 1 and len({name for name, _ in found}) != len(found):
        # 7.3.1: any given parameter-name MUST NOT appear more than once. (Two tags would identify two dialogs.)
        raise RemoteError(f"a parameter is given twice: {shown(field)}", rule="RFC 3261 7.3.1")
    return found


def params_text(params: Params) -> str:
    """Write parameters, each with a semicolon before it."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def param_of(params: Params, name: str) -> str | None:
    """Give the value of a parameter without quotes; None if the parameter is absent or has no value."""
    for key, value in params:
        if key == name:
            return None if value is None else unquote(value)
    return None


@dataclass(init=False, slots=True, unsafe_hash=True)
class NameAddr:
    """A ``name-addr`` or ``addr-spec`` with header parameters: From, To, Contact, Route, P-Asserted-Identity.

    *uri* is the text as received, of any scheme. *params* belong to the field, not to the URI; *tag* is one of them.
    *is_sip* tells whether the scheme is ``sip`` or ``sips``. *has_verstat* tells whether the URI or the field contains the
    ``verstat`` parameter of 3GPP TS 24.229. The ``*`` of a REGISTER has the uri ``*``.

    Do not change an instance: messages share it.
    """

    display: str | None
    uri: str
    params: Params
    tag: str | None = field(compare=False, repr=False)
    is_sip: bool = field(compare=False, repr=False)
    has_verstat: bool = field(compare=False, repr=False)
    _sip_uri: SipUri | None = field(compare=False, repr=False)

    def __init__(self, display: str | None, uri: str, params: Params = (), untagged: NameAddr | None = None) -> None:
        """*untagged* is the same address without a tag, if it is known."""
        self.display, self.uri, self.params = display, uri, params
        self.tag = param_of(params, "tag")
        if untagged is not None:
            self.is_sip, self.has_verstat = untagged.is_sip, untagged.has_verstat
            self._sip_uri = untagged._sip_uri  # noqa: SLF001 - the same class
            return
        self.is_sip = uri.startswith(_SIP) or scheme_of(uri) in SCHEMES
        self.has_verstat = VERSTAT in ascii_lower(uri) or (bool(params) and VERSTAT in [name for name, _ in params])
        self._sip_uri = None

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Parse a field value; RemoteError 400 if the grammar is broken. The URI itself is parsed by :attr:`sip_uri`."""
        address = _name_addrs.get(text)
        if address is None:
            address = _tagged(text)  # not cached: the tag is new in each dialog
            if address is None:
                address = _name_addr(text)
                if len(text) <= CACHED_LENGTH:
                    _name_addrs.keep(text, address)
        return address

    @property
    def sip_uri(self) -> SipUri:
        """The parsed URI; RemoteError 400 if it is malformed, 416 if its scheme is not SIP."""
        if self._sip_uri is None:
            self._sip_uri = SipUri.parse(self.uri)
        return self._sip_uri

    @property
    def aor(self) -> str:
        """The address of record of a SIP URI; a URI of another scheme unchanged. RemoteError as for :attr:`sip_uri`."""
        return self.sip_uri.aor if self.is_sip else self.uri

    def with_tag(self, tag: str) -> NameAddr:
        """Give this address, which has no parameters, with *tag*."""
        return NameAddr(self.display, self.uri, (("tag", tag),), self)

    def with_user(self, uri: str, user: str) -> NameAddr:
        """Give the address with the SIP URI *uri*, which differs from the one here in its *user* only."""
        address = NameAddr(self.display, uri, (), self)
        mine = self.sip_uri
        address._sip_uri = SipUri(mine.scheme, user, None, mine.host, mine.port, mine.params, mine.headers)
        return address

    def param(self, name: str) -> str | None:
        """Give the value of a field parameter without quotes; None if it is absent or has no value."""
        return param_of(self.params, name)

    def __str__(self) -> str:
        if self.uri == "*":
            return "*"
        display = "" if self.display is None else quote(self.display) + " "
        return f"{display}<{self.uri}>{params_text(self.params)}"


class Via:
    """One via-parm: the *transport* in upper case, and the address for responses. Do not change an instance.

    *branch* identifies the transaction (17.2.3). *asks_for_port* is true for an ``rport`` without a value: the sender
    wants to learn its port (RFC 3581 3).

    *form* is the Via without its branch. It is the same for all requests of one link, so it is parsed once and cached. It
    is None if this Via was not parsed in that way.
    """

    __slots__ = ("_params", "_sent_by", "asks_for_port", "branch", "form", "host", "port", "transport")

    def __init__(self, transport: str, host: str, port: int | None = None, params: Params = ()) -> None:
        self.transport, self.host, self.port = transport, host, port
        self._params: Params | None = params
        self._sent_by: str | None = None
        self.branch: str | None = None
        self.asks_for_port = False
        self.form: ViaForm | None = None
        for name, value in params:
            if name == "branch":
                self.branch = None if value is None else unquote(value)
            elif name == "rport":
                self.asks_for_port = not value

    @classmethod
    def parse(cls, text: str) -> Via:
        """Parse one via-parm (RFC 3261 20.42). Any transport token is accepted (RFC 4475 3.1.1.10)."""
        at, end = _branch_of(text)
        if end < 0:
            return _via(text)
        branch = text[at:end]
        form = _form_of(f"{text[:at]}{text[end:]}")
        if form.others.branch is not None or not _is_value(branch):
            return _via(text)
        return Via.of_form(form, branch)

    @staticmethod
    def of_form(form: ViaForm, branch: str) -> Via:
        """Give the Via of that *form* with that *branch*."""
        others = form.others
        via = Via(others.transport, others.host, others.port)
        via.branch, via.asks_for_port, via.form = branch, others.asks_for_port, form
        via._params, via._sent_by = None, others.sent_by
        return via

    @property
    def params(self) -> Params:
        """All parameters, in the order of the wire."""
        if self._params is None:
            self._params = self._all_params()
        return self._params

    def _all_params(self) -> Params:
        """Insert the branch at its place among the other parameters."""
        if self.form is None:
            return ()
        others, place = self.form.others.params, self.form.before.count(";")
        return (*others[:place], ("branch", self.branch), *others[place:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Via) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[str, str, int | None, Params]:
        return self.transport, self.host, self.port, self.params

    @property
    def sent_by(self) -> str:
        """The host, and the port if there is one, as on the wire."""
        sent_by = self._sent_by
        if sent_by is None:
            host = f"[{self.host}]" if ":" in self.host else self.host
            sent_by = self._sent_by = host if self.port is None else f"{host}:{self.port}"
        return sent_by

    def param(self, name: str) -> str | None:
        """Give the value of a parameter without quotes; None if it is absent or has no value."""
        return param_of(self.params, name)

    def has(self, name: str) -> bool:
        """Tell whether the parameter is present, with or without a value."""
        return any(key == name for key, _ in self.params)

    def received(self, host: str, port: int) -> Via:
        """Give a copy with the source address in ``received`` (RFC 3261 18.2.1), and ``rport`` if asked (RFC 3581 4)."""
        params = [("received", host)]
        if self.asks_for_port:
            params.append(("rport", str(port)))
        added = {name for name, _ in params}
        kept = [pair for pair in self.params if pair[0] not in added]
        return Via(self.transport, self.host, self.port, (*kept, *params))

    def __str__(self) -> str:
        return f"{VIA_START}{self.transport} {self.sent_by}{params_text(self.params)}"

    def __repr__(self) -> str:
        return f"<Via {self}>"


def _branch_of(text: str) -> tuple[int, int]:
    """Give the start and end of the branch value in a Via. The end is -1 if this Via must be parsed as a whole."""
    at = text.find(_BRANCH)
    if at < 0 or len(text) > CACHED_LENGTH or '"' in text:
        return at, -1
    at += len(_BRANCH)
    end = text.find(";", at)
    return at, len(text) if end < 0 else end


def _form_of(rest: str) -> ViaForm:
    """Give the form for *rest*: the text of a Via without the value of its branch."""
    form = _via_forms.get(rest)
    return _via_forms.keep(rest, ViaForm(rest)) if form is None else form


class ViaForm:
    """The common part of Vias that differ in the branch only: the text *before* and *after* it, and the *others* parsed."""

    __slots__ = ("_start", "after", "before", "others")

    def __init__(self, text: str) -> None:
        """Parse *text*, a Via whose branch has no value."""
        self.before, _, self.after = text.partition(_BRANCH)
        self._start = f"Via: {self.before}{_BRANCH}"
        self.others = _via(self.before + self.after)

    def value(self, branch: str) -> str:
        """Write the Via of this form with that *branch*."""
        return f"{self.before}{_BRANCH}{branch}{self.after}"

    def line(self, branch: str) -> str:
        """Write the header row of the Via with that *branch*."""
        return f"{self._start}{branch}{self.after}"


@dataclass(init=False, slots=True, unsafe_hash=True)
class CSeq:
    """The sequence number of a request in its dialog, and its method. Do not change an instance: messages share it."""

    number: int
    method: str

    def __init__(self, number: int, method: str) -> None:
        self.number, self.method = number, method

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Parse a CSeq; RemoteError 400 if malformed, or for a number of 2**31 or more (RFC 3261 8.1.1.5)."""
        number, _, method = text.replace("\t", " ").strip(" ").partition(" ")
        method = method.lstrip(" ")
        if not (is_digits(number) and is_token(method)):
            raise RemoteError(f"not a CSeq: {shown(text)}", rule="RFC 3261 20.16")
        if (value := bounded(number, _MAX_CSEQ)) is None:
            raise RemoteError(f"a CSeq of 2**31 or more: {shown(text)}", rule="RFC 3261 8.1.1.5")
        return CSeq(value, method)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def _tagged(text: str) -> NameAddr | None:
    """Parse an address in brackets with a tag alone behind it: the tag is new in each dialog, the address is not."""
    named, mark, tag = text.rpartition(_TAG)
    if not mark or not is_token(tag):
        return None
    address = NameAddr.parse(f"{named}>")
    return None if address.params else address.with_tag(tag)


def _name_addr(text: str) -> NameAddr:
    text = text.strip(LWS)
    if text == "*":
        return NameAddr(None, "*")
    opening, semicolon = text.find("<"), text.find(";")
    if text.startswith('"'):
        return _quoted(text)
    if opening < 0 or 0 <= semicolon < opening:
        return _bare(text)
    display = _display(text[:opening].strip(LWS), text) if opening else None
    return _bracketed(display, text[opening:], text)


_name_addrs: Final[TextCache[NameAddr]] = TextCache(_MOST_KEPT)


def _quoted(text: str) -> NameAddr:
    end = closing_quote(text)
    if end < 0:
        raise RemoteError(f"a quoted string that does not end: {shown(text)}", rule="RFC 3261 25.1")
    return _bracketed(unquote(text[: end + 1]), text[end + 1 :].lstrip(LWS), text)


def _bracketed(display: str | None, rest: str, text: str) -> NameAddr:
    uri, closing, after = rest[1:].partition(">")
    after = after.strip(LWS)
    if rest[:1] != "<" or not closing or (after and after[0] != ";") or not _is_uri(uri):
        raise RemoteError(f"not a name-addr: {shown(text)}", rule="RFC 3261 25.1")
    return NameAddr(display, uri, parse_params(after[1:], text) if after else ())


def _bare(text: str) -> NameAddr:
    uri, semicolon, params = text.partition(";")
    uri = uri.rstrip(LWS)
    # 20.10: a URI with a comma, question mark or semicolon MUST be in angle brackets. Parameters belong to the field.
    if "," in uri or "?" in uri or not _is_uri(uri):
        raise RemoteError(f"not an addr-spec: {shown(text)}", rule="RFC 3261 20.10")
    return NameAddr(None, uri, parse_params(params, text) if semicolon else ())


def bounded(digits: str, most: int) -> int | None:
    """Parse decimal *digits* of any length; None above *most*. The length is checked first: ``int`` takes quadratic time."""
    if len(digits) > _SHORT and len(digits := digits.lstrip("0") or "0") > len(str(most)):
        return None
    value = int(digits)
    return value if value <= most else None


def _param(part: str, field: str) -> tuple[str, str | None]:
    name, equals, value = part.partition("=")
    if name not in _PARAM_NAMES:
        name = name.rstrip(LWS)
        if not is_token(name):
            raise RemoteError(f"a parameter without a proper name: {shown(field)}", rule="RFC 3261 25.1")
        name = ascii_lower(name)
    if not equals:
        return name, None
    value = value.lstrip(LWS)
    if not (_is_value(value) or _is_quoted(value)):
        raise RemoteError(f"a parameter value that breaks the grammar: {shown(field)}", rule="RFC 3261 25.1")
    return name, value


def _is_quoted(value: str) -> bool:
    """Tell whether *value* is one whole quoted string, with no unescaped control character in it."""
    return value[:1] == '"' and closing_quote(value) == len(value) - 1 and not has_control(value)


def _is_value(value: str) -> bool:
    """Tell whether *value* is valid without quotes, so that no parser downstream ends the parameter or field in it."""
    # Nearly every tag and branch is alphanumeric, with hyphens or without. Both tests are faster than the table.
    if value.isascii() and (value.isalnum() or value.replace("-", "0").isalnum()):
        return True
    return has_only(value, _VALUE)


def _display(display: str, text: str) -> str | None:
    # RFC 4475 3.1.2.15: an unquoted display name consists of tokens. A tolerant proxy would forward the error.
    if not has_only(display, _DISPLAY):
        raise RemoteError(f"a display name that must be quoted: {shown(text)}", rule="RFC 3261 25.1")
    return display or None


def _is_uri(uri: str) -> bool:
    """Tell whether *uri* has a scheme, and is printable ASCII without characters that no URI has."""
    return has_only(uri, _IN_URI) and (uri.startswith(_SIP) or scheme_of(uri) != "")


def _via(text: str) -> Via:
    head, semicolon, params = text.partition(";")
    transport, host, port = _via_head(head)
    return Via(transport, host, port, parse_params(params, text) if semicolon else ())


_via_forms: Final[TextCache[ViaForm]] = TextCache(_MOST_KEPT)


def _via_head(head: str) -> tuple[str, str, int | None]:
    """Parse ``SIP/2.0/TLS host:port``. Blanks are allowed around each slash and colon (RFC 4475 3.1.1.1)."""
    is_plain, rest = head.startswith(VIA_START), head[len(VIA_START) :]
    if not is_plain:
        name, version, rest = ([part.strip(LWS) for part in head.split("/", 2)] + ["", ""])[:3]
        is_plain = (ascii_upper(name), version) == ("SIP", "2.0")
    transport, _, sent_by = rest.strip(LWS).replace("\t", " ").partition(" ")
    if not is_plain or not is_token(transport):
        raise RemoteError(f"not a Via: {shown(head)}", rule="RFC 3261 20.42")
    host, port = split_host_port(_without_blanks(sent_by.strip(" ")))
    return ascii_upper(transport), host, port


def _without_blanks(sent_by: str) -> str:
    """Remove the blanks around the colon before the port (COLON = SWS ":" SWS)."""
    if " " not in sent_by:
        return sent_by
    at = sent_by.rfind(":")
    if at < sent_by.rfind("]"):
        return sent_by
    return f"{sent_by[:at].rstrip(' ')}:{sent_by[at + 1 :].lstrip(' ')}" if at >= 0 else sent_by
