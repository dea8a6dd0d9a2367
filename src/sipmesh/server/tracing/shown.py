"""A message as text, without what would let a reader act as its sender."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipmesh.printable import printable, printable_lines
from sipmesh.sip.text import LWS, ascii_lower

if TYPE_CHECKING:
    from sipmesh.sip.message import Request, Response

LONGEST_HEAD: Final = 16_384
LONGEST_BODY: Final = 32_768
LONGEST_LINE: Final = 2_000
LEFT_OUT: Final = "(left out)"

_CREDENTIALS: Final = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "www-authenticate",
        "proxy-authenticate",
        "authentication-info",
        "proxy-authentication-info",
    }
)
_TOLD: Final = frozenset({"username", "realm", "algorithm", "qop", "stale", "uri"})
"""What is shown of credentials. With the rest, a password can be guessed on another machine (RFC 7616 section 5.4)."""

_PAIR: Final = re.compile(r'([A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^,\s]*)', re.ASCII)
_ROUTES: Final = frozenset({"route", "record-route", "path", "service-route", "contact", "via"})
_TOKEN: Final = re.compile(r"(sips?:[^@<>;\s]{8})[^@<>;\s]{16,}(?=@)", re.IGNORECASE | re.ASCII)
_KEY: Final = re.compile(r"(?im)^(a=(?:crypto|key-mgmt|ice-pwd|3ge2ae):?)[^\r\n]*|^(k=)[^\r\n]*", re.ASCII)

_LINK: Final = re.compile(
    r"(<data\b[^>]{0,300}?\burl\s*=\s*)(?:\"[^\"]*\"|'[^']*')|(<file-(?:key|authTag)>)[^<]*|(/files/)[A-Za-z0-9_-]{43}",
    re.IGNORECASE | re.ASCII,
)
"""The link of a file is the permission to fetch it, and a phone may add the key of what it has encrypted."""

_ACCOUNT: Final = re.compile(r'("(?:ticket|credential)"\s*:\s*)"[^"]*"', re.ASCII)
"""What the profile of a user has for the web phone (`server.proxy.events.user_profile`): who has it acts as the user."""


def shown_head(message: Request | Response) -> str:
    """Return start line and header lines, printable, with line feeds; credentials and tokens of routes are left out."""
    lines = [printable(_shortened(message.start_line), LONGEST_LINE)]
    lines += [printable(_shown_line(row.name, row.line), LONGEST_LINE) for row in message.rows]
    return "\n".join(lines)[:LONGEST_HEAD]


def shown_body(message: Request | Response, *, with_keys: bool = False) -> str:
    """Return the body as printable text, without links of files and tickets, and without keys of media unless *with_keys*."""
    text = printable_lines(message.body.decode("utf-8", "backslashreplace").replace("\r\n", "\n"))
    text = _LINK.sub(lambda found: f"{found[1] or found[2] or found[3]}{LEFT_OUT}", text)
    text = _ACCOUNT.sub(rf'\1"{LEFT_OUT}"', text)
    if not with_keys:
        text = _KEY.sub(lambda found: f"{found[1] or found[2]} {LEFT_OUT}", text)
    return text[:LONGEST_BODY]  # at last: what is left out makes short lines longer


def _shown_line(name: str, line: str) -> str:
    if name in _CREDENTIALS:
        return _without_secrets(line)
    return _shortened(line) if name in _ROUTES else line


def _shortened(line: str) -> str:
    return _TOKEN.sub(r"\1...", line)


def _without_secrets(line: str) -> str:
    """Keep what names the user and the way of the proof; unknown schemes lose everything behind their name."""
    field, _, value = line.partition(":")
    scheme, _, rest = value.strip(LWS).partition(" ")
    if ascii_lower(scheme) != "digest":
        return f"{field}: {scheme if rest else ''} {LEFT_OUT}"
    told = [
        f"{key}={value}" if ascii_lower(key) in _TOLD else f"{key}={LEFT_OUT}" for key, value in _PAIR.findall(rest)
    ]
    return f"{field}: {scheme} {', '.join(told)}"
