"""The name and type of a file, made harmless, and the XML that the message has (GSMA RCC.07 section 3.2.5).

Phones write names and types, and those of the receivers show them or write a file of that name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from sipmesh.printable import is_printable
from sipmesh.sip.text import LWS, ascii_lower

FILE_XML: Final = "application/vnd.gsma.rcs-ft-http+xml"
"""The type of the XML, and of the MESSAGE that has it."""

OCTETS: Final = "application/octet-stream"
LONGEST_NAME: Final = 120
"""Characters of a name."""

NAMELESS: Final = "file"
_LONGEST_ENDING: Final = 16
_FORBIDDEN: Final = frozenset('<>:"|?*%\\/')
_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE | re.ASCII)
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")


@dataclass(frozen=True, slots=True)
class FileAbout:
    """The *name* and the *type* of a file, as `about_of` has made them."""

    name: str
    type: str


def about_of(name: str, content_type: str) -> FileAbout:
    """Return name and type of a file as a receiver may have them: no folder, no control character, no parameter."""
    kind = ascii_lower(content_type.partition(";")[0].strip(LWS))
    return FileAbout(_safe(name), kind if _TYPE.fullmatch(kind) else OCTETS)


def _safe(name: str) -> str:
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join("_" if one in _FORBIDDEN or not is_printable(one) else one for one in last).strip(". ")
    stem, dot, ending = kept.rpartition(".")
    if len(kept) > LONGEST_NAME:
        kept = (
            f"{stem[: LONGEST_NAME - _LONGEST_ENDING - 1]}{dot}{ending}" if 0 < len(ending) <= _LONGEST_ENDING else kept
        )
    kept = kept[:LONGEST_NAME].strip(". ")
    return f"_{kept}" if _DEVICES.fullmatch(kept) else kept or NAMELESS


def written_xml(about: FileAbout, size: int, url: str, until: float) -> str:
    """Write the body of the message about a file of *size* octets, which is at *url* until this instant."""
    at = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<file xmlns="urn:gsma:params:xml:ns:rcs:rcs:fthttp">\n'
        f'<file-info type="file">\n<file-size>{size}</file-size>\n<file-name>{escape(about.name)}</file-name>\n'
        f"<content-type>{escape(about.type)}</content-type>\n"
        f"<data url={quoteattr(url)} until={quoteattr(at)}/>\n</file-info>\n</file>\n"
    )


def disposition(name: str) -> str:
    """Write a Content-Disposition: a browser saves the file, and never shows it (RFC 6266)."""
    plain = "".join(one if one.isascii() else "_" for one in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
