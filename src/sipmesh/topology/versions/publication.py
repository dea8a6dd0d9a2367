"""A publication: one version of the topology with its anchors, and who published it, when and why.

It is the payload of a signed document (`versions.jose`). It is sent and stored in exactly the octets that `encode` made.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self
from unicodedata import category

from sipmesh.errors import LocalError, OperatorError
from sipmesh.strict_json import read_object
from sipmesh.topology.document.load import load_text
from sipmesh.topology.document.named_files.trust_anchors import LARGEST_ANCHORS, RecordedAnchors, anchors_on_disk
from sipmesh.topology.document.yaml_tree import LARGEST_DOCUMENT
from sipmesh.topology.versions.jose import LARGEST, LARGEST_HEADER, MalformedDocumentError

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.topology.document.load import Loaded

KIND: Final = "sipmesh-topology"
"""The type (``typ``) of the signed document."""

FORMAT: Final = 1
HIGHEST: Final = (1 << 53) - 1  # RFC 8259 6: all JSON parsers agree on integers up to this
LARGEST_PAYLOAD: Final = (LARGEST - LARGEST_HEADER) // 4 * 3 - 100
"""Octets of a payload. In base64, with header and signature, it fits into the largest document that a server accepts."""

LONGEST_BY: Final = 200  # characters: a login name and a machine
LONGEST_WHY: Final = 2000  # characters: a few sentences
MOST_APPROVALS: Final = 50
LONGEST_SIGNATURE: Final = 6000  # characters of base64
LONGEST_NAME: Final = 64  # characters of an organisation, as in its certificates
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?", re.ASCII)


class MalformedPublicationError(MalformedDocumentError):
    """A payload is not a valid publication. *problems* lists all faults."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(f"it is not a publication: {'; '.join(problems)}", rule=f"{KIND}, format {FORMAT}")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Publication:
    """One version of the topology.

    *number* counts from 1. *at* is in UTC, in whole seconds. *by* is who published it: a login on the management host.
    *forced* tells that the operator ignored a warning. *previous* is the SHA-256 in hex of the previous signed document, and
    *audit* is the head of the audit chain at that time; both may be "". *topology* is the YAML text. *files* has the content
    of each anchor file, by its name in the text. *serial* is the number of the content that operators have approved, and
    *approvals* has their signatures by name (`approval`); both are left out of the payload where there are none.
    """

    organisation: str
    number: int
    at: datetime
    by: str
    why: str
    topology: str
    files: Mapping[str, bytes]
    forced: bool = False
    previous: str = ""
    audit: str = ""
    serial: int = 0
    approvals: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))
        object.__setattr__(self, "approvals", MappingProxyType(dict(self.approvals)))

    def encode(self) -> bytes:
        """Give the payload to sign. `decode` gives an equal publication.

        Raises OperatorError if it is too large for the servers.
        """
        fields: dict[str, object] = {
            "format": FORMAT,
            "organisation": self.organisation,
            "number": self.number,
            "at": self.at.isoformat(),
            "by": self.by,
            "why": self.why,
            "forced": self.forced,
            "previous": self.previous,
            "audit": self.audit,
            "topology": self.topology,
            "files": {name: base64.b64encode(content).decode() for name, content in self.files.items()},
        }
        if self.serial or self.approvals:
            fields["serial"] = self.serial
            fields["approvals"] = {name: base64.b64encode(blob).decode() for name, blob in self.approvals.items()}
        payload = json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode()
        if len(payload) > LARGEST_PAYLOAD:
            remedy = "name smaller files under `anchors`, each with one root only"
            raise OperatorError(f"the publication has {len(payload)} octets, more than {LARGEST_PAYLOAD}; {remedy}")
        try:
            same = Publication.decode(payload) == self
        except MalformedPublicationError as wrong:
            raise LocalError(f"a publication cannot be made: {'; '.join(wrong.problems)}") from None
        if not same:
            raise LocalError("the publication reads back differently: a bug in sipmesh")
        return payload

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse a payload with a valid signature; raises MalformedPublicationError with all faults."""
        try:
            fields = read_object(payload)
        except ValueError as wrong:
            raise MalformedPublicationError((str(wrong),)) from None
        problems = [f"`{name}` is not known" for name in sorted(fields.keys() - _FIELDS.keys())]
        found: dict[str, Any] = {}
        for name, read in _FIELDS.items():
            if name not in fields:
                problems += [] if name in _OPTIONAL else [f"`{name}` is missing"]
                continue
            try:
                found[name] = read(fields[name])
            except _MisfitError as wrong:
                problems.append(f"`{name}` {wrong}")
        if problems:
            raise MalformedPublicationError(tuple(problems))
        del found["format"]
        return cls(**found)

    def __repr__(self) -> str:
        return f"<Publication {self.number} of {self.organisation} by {self.by}, {len(self.files)} files>"


@dataclass(frozen=True, slots=True)
class Approved:
    """What operators have approved: the *serial* number of the content, and their *signatures* by name."""

    serial: int = 0
    signatures: Mapping[str, bytes] = field(default_factory=dict)


NOT_APPROVED: Final = Approved()


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that may become a version. *loaded* is the topology, *files* are the anchors that were read."""

    loaded: Loaded
    topology: str
    files: Mapping[str, bytes]

    @classmethod
    def read(cls, content: bytes, file: Path) -> Self:
        """Read *content* with its anchors. *file* is the file of the document, or was.

        Raises OperatorError with all problems.
        """
        anchors = RecordedAnchors(anchors_on_disk(file.parent))
        loaded = load_text(content, file, anchors)
        return cls(loaded, content.decode(), anchors.files)

    def compiled(
        self,
        number: int,
        by: str,
        why: str,
        *,
        at: datetime,
        forced: bool = False,
        previous: str = "",
        audit: str = "",
        approved: Approved = NOT_APPROVED,
    ) -> Publication:
        """Make the publication of this draft; raises OperatorError if *by* or *why* is empty, too long or unprintable."""
        if at.tzinfo is None:
            raise ValueError("the instant of a publication needs a timezone")
        organisation = self.loaded.topology.organisation
        for name, given in (("organisation", organisation), ("by", by), ("why", why)):
            try:
                _FIELDS[name](given)
            except _MisfitError as wrong:
                raise OperatorError(
                    f"the publication cannot be made: `{name}` {wrong}; write it in a few words"
                ) from None
        return Publication(
            organisation=organisation,
            number=number,
            at=at.astimezone(UTC).replace(microsecond=0),
            by=by,
            why=why,
            topology=self.topology,
            files=self.files,
            forced=forced,
            previous=previous,
            audit=audit,
            serial=approved.serial,
            approvals=approved.signatures,
        )


class _MisfitError(Exception):
    """A value is invalid. The text continues a sentence that begins with its name."""


def _format(given: object) -> int:
    if given != FORMAT or isinstance(given, bool | float):
        raise _MisfitError(f"is not {FORMAT}: a newer release of sipmesh made it; update sipmesh on this server")
    return FORMAT


def _number(given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= HIGHEST:
        raise _MisfitError(f"is not a whole number from 1 to {HIGHEST}")
    return given


def _serial(given: object) -> int:
    return 0 if given == 0 and isinstance(given, int) and not isinstance(given, bool) else _number(given)


def _signatures(given: object) -> dict[str, bytes]:
    if not isinstance(given, dict) or len(given) > MOST_APPROVALS:
        raise _MisfitError(f"is not an object with at most {MOST_APPROVALS} signatures")
    found = {}
    for name, text in given.items():
        if not isinstance(text, str) or len(text) > LONGEST_SIGNATURE:
            raise _MisfitError("has a signature that is not a short text")
        try:
            found[name] = base64.b64decode(text, validate=True)
        except ValueError:
            raise _MisfitError("has a signature that is not base64") from None
    return found


def _instant(given: object) -> datetime:
    """Parse ISO 8601 in UTC, in whole seconds and in our spelling only."""
    try:
        found = datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        found = None
    if found is None or found.utcoffset() != timedelta(0) or found.microsecond or found.isoformat() != given:
        raise _MisfitError("is not a time such as 2026-11-25T12:00:00+00:00")
    return found.replace(tzinfo=UTC)


def _words(longest: int) -> Callable[[object], str]:
    def read(given: object) -> str:
        if not isinstance(given, str) or not 1 <= len(given) <= longest:
            raise _MisfitError(f"is not a text of 1 to {longest} letters")
        if any(category(character) in _UNREADABLE and character != "\n" for character in given):
            raise _MisfitError("contains control characters")
        return given

    return read


_UNREADABLE = frozenset({"Cc", "Cs"})  # control characters and lone surrogates


def _yes_or_no(given: object) -> bool:
    if not isinstance(given, bool):
        raise _MisfitError("is neither true nor false")
    return given


def _digest(given: object) -> str:
    if not isinstance(given, str) or not _DIGEST.fullmatch(given):
        raise _MisfitError("is not a SHA-256 in hex, and not empty")
    return given


def _document(given: object) -> str:
    if not isinstance(given, str):
        raise _MisfitError("is not a text")
    try:
        length = len(given.encode())
    except UnicodeEncodeError:
        raise _MisfitError("is not Unicode text") from None
    if not 0 < length <= LARGEST_DOCUMENT:
        raise _MisfitError(f"has {length} octets, not 1 to {LARGEST_DOCUMENT}")
    return given


def _files(given: object) -> dict[str, bytes]:
    if not isinstance(given, dict):
        raise _MisfitError("is not an object of names and base64")
    problems = [f"{name!a} {wrong}" for name, content in given.items() if (wrong := _file_problem(name, content))]
    if problems:
        raise _MisfitError(f"is not in order: {', '.join(problems)}")
    return {name: base64.b64decode(content) for name, content in given.items()}


def _file_problem(name: str, content: object) -> str:
    if not name or "\0" in name:
        return "is not a file name"
    try:
        decoded = base64.b64decode(content, validate=True) if isinstance(content, str) else None
    except ValueError:
        decoded = None
    if decoded is None or base64.b64encode(decoded).decode() != content:
        return "is not canonical base64"
    return f"has {len(decoded)} octets, more than {LARGEST_ANCHORS}" if len(decoded) > LARGEST_ANCHORS else ""


_FIELDS: Mapping[str, Callable[[Any], object]] = MappingProxyType(
    {
        "format": _format,
        "organisation": _words(LONGEST_NAME),
        "number": _number,
        "at": _instant,
        "by": _words(LONGEST_BY),
        "why": _words(LONGEST_WHY),
        "forced": _yes_or_no,
        "previous": _digest,
        "audit": _digest,
        "topology": _document,
        "files": _files,
        "serial": _serial,
        "approvals": _signatures,
    }
)
_OPTIONAL: Final = frozenset({"serial", "approvals"})
