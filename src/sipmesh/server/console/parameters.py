"""The parameters of the operations, each with its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import LEAF_LIFETIME, LONGEST_LEAF_LIFETIME
from sipmesh.server.replication.probe_order import MOST_TARGETS
from sipmesh.sip.text import is_digits
from sipmesh.topology.versions.publication import LONGEST_WHY

LONGEST_NUMBER: Final = len(str(2**53))
"""Digits of a parameter: no number of ours is higher (RFC 8259 section 6)."""

LONGEST_NAME: Final = 253
"""Octets of a host name (RFC 1035 section 3.1)."""

LONGEST_ADDRESS: Final = 320
LONGEST_PASSWORD: Final = 256
LONGEST_WAIT_S: Final = 20
"""Seconds for which an operation may wait: a connection to the console ends after a minute."""

Why = Annotated[str, Field(min_length=1, max_length=LONGEST_WHY)]
Number = Annotated[int, Field(ge=1, le=2**53)]
HostName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Targets = Annotated[Sequence[HostName], Field(min_length=1, max_length=MOST_TARGETS)]


class Given(BaseModel):
    """The parameters of an operation; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Given):
    """No parameters."""


class VersionNumber(Given):
    """The number of a published version."""

    version: Number


class LinkId(Given):
    """The id of a live link of *server*, which runs on the machine of management; by default of management itself."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    server: Annotated[str, Field(max_length=LONGEST_NAME)] = ""


class Lines(Given):
    """Only lines with a higher number than *since*, and a lower one than *before*."""

    since: Annotated[int, Field(ge=0, le=2**53)] = 0
    before: Annotated[int, Field(ge=1, le=2**53)] = 2**53


class ToPublish(Given):
    """What to publish: *base* and *digest* are those of the plan that the operator has read."""

    why: Why
    base: Annotated[int, Field(ge=0, le=2**53)]
    digest: Annotated[str, Field(min_length=1, max_length=64)]
    force: bool = False


class ToRollBack(Given):
    """The *version* to go back to, and *base*, the version in force."""

    version: Number
    base: Number
    why: Annotated[str, Field(max_length=LONGEST_WHY)] = ""
    force: bool = False


class ToBlock(Given):
    """The domain or edge to block."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class ToIssue(Given):
    """The server of the topology that gets a certificate, valid for *days*; its key is on the machine of management."""

    server: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    days: Annotated[int, Field(ge=1, le=LONGEST_LEAF_LIFETIME.days)] = LEAF_LIFETIME.days


class ToRevoke(Given):
    """The certificate to revoke: *serial* is hexadecimal."""

    serial: Annotated[str, Field(pattern="^[0-9A-Fa-f]{1,40}$")]
    reason: Reason = Reason.UNSPECIFIED


class UserName(Given):
    """A user, such as alice@example.com; alice is enough if there is one domain only."""

    user: Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS)]


class AfterUser(Given):
    """Only users whose address is above *after*."""

    after: Annotated[str, Field(max_length=LONGEST_ADDRESS)] = ""


class NewUser(UserName):
    """A new user; *pool* is needed if there is a choice of home pools."""

    password: Annotated[str, Field(min_length=1, max_length=LONGEST_PASSWORD)]
    pool: Annotated[str, Field(max_length=LONGEST_NAME)] = ""


class NewPassword(UserName):
    """The new password of a user."""

    password: Annotated[str, Field(min_length=1, max_length=LONGEST_PASSWORD)]


class NewHome(UserName):
    """The new home pool of a user."""

    pool: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class UserAlias(UserName):
    """An alias of a user: a number, or another SIP name."""

    alias: Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS)]


class ToAwait(Given):
    """Wait at most *wait_s* seconds until the servers have put *version* in force."""

    version: Number
    wait_s: Annotated[int, Field(ge=0, le=LONGEST_WAIT_S)] = 0


class ToProbe(Given):
    """Links to open once: by the server that opens them, the servers and partners at their other ends."""

    links: Annotated[Mapping[HostName, Targets], Field(min_length=1, max_length=MOST_TARGETS)]
    wait_s: Annotated[int, Field(ge=0, le=LONGEST_WAIT_S)] = 15


def typed(given: type[Given], texts: Mapping[str, str]) -> Mapping[str, str | int]:
    """Return parameters that came as texts, of a query or a form, with the numbers of *given* as numbers.

    A text that is no number, or is longer than any, stays as it is, for the operation to refuse.
    """
    numbers = {name for name, part in given.model_fields.items() if part.annotation is int}
    return {name: int(text) if name in numbers and _is_number(text) else text for name, text in texts.items()}


def _is_number(text: str) -> bool:
    return is_digits(text) and len(text) <= LONGEST_NUMBER
