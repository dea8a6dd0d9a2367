"""What the console and the API can do: one table, with the role that each operation needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from sipmesh.pki.crl.builder import Reason
from sipmesh.server.admin.replies import EXPLAIN, LINKS, REFUSED, ExplainReply, LinkReply
from sipmesh.server.console.replies import AuditReply, CertificatesReply, PartnerReply, RevokedReply, UserListReply
from sipmesh.server.control_socket import WHO
from sipmesh.server.management.replies import (
    BLOCK,
    HISTORY,
    NETWORK,
    PLAN,
    PUBLISH,
    ROLLBACK,
    VERSION,
    NetworkReply,
    Plan,
    PublicationReply,
    PutInForce,
    VersionReply,
)
from sipmesh.server.typed_json import read
from sipmesh.sip.text import is_digits
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.publication import LONGEST_WHY
from sipmesh.trust.judgement.verdict_report import VerdictReport

if TYPE_CHECKING:
    from sipmesh.server.console.access.operator import Operator
    from sipmesh.server.control_socket import Command

VIEWER, OPERATOR, OFFICER = ConsoleRole.VIEWER, ConsoleRole.OPERATOR, ConsoleRole.SECURITY_OFFICER

LONGEST_NUMBER: Final = len(str(2**53))
"""Digits of a parameter: no number of ours is higher (RFC 8259 section 6)."""

Why = Annotated[str, Field(min_length=1, max_length=LONGEST_WHY)]
Number = Annotated[int, Field(ge=1, le=2**53)]


class Given(BaseModel):
    """The parameters of an operation; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Given):
    """No parameters."""


class VersionNumber(Given):
    """The number of a published version."""

    version: Number


class LinkId(Given):
    """The id of a live link of the management server."""

    id: Annotated[str, Field(min_length=1, max_length=64)]


class After(Given):
    """Only what has a higher number than *since*."""

    since: Annotated[int, Field(ge=0, le=2**53)] = 0


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

    name: Annotated[str, Field(min_length=1, max_length=253)]


class ToRevoke(Given):
    """The certificate to revoke: *serial* is hexadecimal."""

    serial: Annotated[str, Field(pattern="^[0-9A-Fa-f]{1,40}$")]
    reason: Reason = Reason.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that an operator of *role* can do; it *changes* something, or reads only.

    *path* is below ``/api/v1``, *given* the type of the parameters, and *reply* the type of the result. *says* describes the
    operation in a sentence.
    """

    name: str
    path: str
    role: ConsoleRole
    says: str
    given: type[Given]
    reply: Any
    changes: bool = False

    def role_for(self, given: Given) -> ConsoleRole:
        """Return the role that these parameters need: to force what breaks something needs a security officer."""
        return OFFICER if getattr(given, "force", False) else self.role


AUDIT, CERTIFICATES, USERS, PARTNERS, REVOKE = "audit", "certificates", "users", "partners", "revoke"

TABLE: Final = (
    Operation(NETWORK.name, "status", VIEWER, "Every server and its last report.", Nothing, NetworkReply),
    Operation(HISTORY.name, "versions", VIEWER, "Every published version.", Nothing, list[VersionReply]),
    Operation(VERSION.name, "version", VIEWER, "One published version.", VersionNumber, PublicationReply),
    Operation(PLAN.name, "plan", VIEWER, "What the publication of the draft would change.", Nothing, Plan),
    Operation(CERTIFICATES, CERTIFICATES, VIEWER, "Everything that expires.", Nothing, CertificatesReply),
    Operation(USERS, USERS, VIEWER, "The users.", Nothing, UserListReply),
    Operation(PARTNERS, PARTNERS, VIEWER, "The partners.", Nothing, list[PartnerReply]),
    Operation(LINKS.name, "links", VIEWER, "Live links of the management server.", Nothing, list[LinkReply]),
    Operation(REFUSED.name, "refused", VIEWER, "Peers that management refused.", Nothing, list[VerdictReport]),
    Operation(EXPLAIN.name, "explain", VIEWER, "The verdict on one live link.", LinkId, ExplainReply),
    Operation(AUDIT, AUDIT, VIEWER, "The audit log, and whether its chain is intact.", After, AuditReply),
    Operation(PUBLISH.name, "publish", OPERATOR, "Publish the draft.", ToPublish, PutInForce, changes=True),
    Operation(ROLLBACK.name, "rollback", OPERATOR, "Go back to a version.", ToRollBack, PutInForce, changes=True),
    Operation(BLOCK.name, "block", OPERATOR, "Block a partner at once.", ToBlock, PutInForce, changes=True),
    Operation(REVOKE, REVOKE, OFFICER, "Revoke a certificate at once.", ToRevoke, RevokedReply, changes=True),
)
"""Every operation. The console has no other way to do anything."""


class NotAllowedError(Exception):
    """The operator's role does not allow an operation."""


class Operations:
    """Runs the operations of `TABLE`; *commands* are those of the control socket, and those of the console alone."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands

    def __repr__(self) -> str:
        return f"<Operations: {len(TABLE)}>"

    async def run(self, operation: Operation, operator: Operator, given: Given) -> Any:
        """Run one operation, and return its reply.

        Raises `NotAllowedError` if the role of *operator* is too low, and `OperatorError` as the command does.
        """
        needed = operation.role_for(given)
        if not operator.role.may(needed):
            raise NotAllowedError(f"this needs the role {needed}, and you have the role {operator.role}")
        return await self._commands[operation.name]({**given.model_dump(mode="json"), WHO: operator.who})

    async def read(self, name: str, operator: Operator, given: Mapping[str, object]) -> Any:
        """Run the operation *name* with parameters as plain values."""
        operation = operation_of(name)
        return await self.run(operation, operator, read(operation.given, given))


def typed(given: type[Given], texts: Mapping[str, str]) -> Mapping[str, str | int]:
    """Return parameters that came as texts, of a query or a form, with the numbers of *given* as numbers.

    A text that is no number, or is longer than any, stays as it is, for the operation to refuse.
    """
    numbers = {name for name, part in given.model_fields.items() if part.annotation is int}
    return {name: int(text) if name in numbers and _is_number(text) else text for name, text in texts.items()}


def _is_number(text: str) -> bool:
    return is_digits(text) and len(text) <= LONGEST_NUMBER


def operation_of(name: str) -> Operation:
    """Return the operation *name*; raises `KeyError`."""
    for operation in TABLE:
        if operation.name == name:
            return operation
    raise KeyError(name)
