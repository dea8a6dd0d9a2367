"""What the console and the API can do: one table, with the role that each operation needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sipmesh.server.admin.inventory_report import InventoryReport
from sipmesh.server.admin.partners_report import PartnersReport
from sipmesh.server.admin.replies import (
    EXPLAIN,
    LINKS,
    REFUSED,
    REFUSED_MESSAGES,
    REGISTRATIONS,
    USER,
    ExplainReply,
    LinkReply,
)
from sipmesh.server.console.operator_turns import OperatorTurns
from sipmesh.server.console.parameters import (
    CallsToRead,
    EnrolmentId,
    Given,
    GroupChange,
    InvitationId,
    KeysToChange,
    Lines,
    LinkId,
    MemberToAdd,
    NameToAdd,
    NameToUnblock,
    NewDevicePassword,
    NewGroup,
    NewHome,
    NewInvitation,
    NewInvitations,
    NewPassword,
    NewUser,
    Nothing,
    PartnerToAdd,
    PartnerToChange,
    PartnerToRemove,
    PartToRemove,
    PartToRename,
    PoolToAdd,
    ServersToAsk,
    ToApply,
    ToAwait,
    ToBlock,
    ToEndCall,
    ToEnrol,
    ToEraseUser,
    ToFind,
    ToIssue,
    ToProbe,
    ToPublish,
    ToRevoke,
    ToRollBack,
    ToTrace,
    UserAlias,
    UserDevice,
    UserName,
    UserRules,
    UsersToList,
    UserWatcher,
    VersionNumber,
)
from sipmesh.server.console.replies import (
    AuditCheckReply,
    AuditReply,
    BlockReply,
    DevicePasswordReply,
    DevicesReply,
    DraftReply,
    IssuedReply,
    LedgerReply,
    LettersReply,
    PartnerChangeReply,
    RevokedReply,
    SearchReply,
    SignedListsReply,
    UserChangeReply,
    UserDetailReply,
    UserDevicesReply,
    UserListReply,
    VerdictsReply,
)
from sipmesh.server.control_socket import ROLE, WHO
from sipmesh.server.directory.explain_report import ExplainReport
from sipmesh.server.enrolment.enrolment_status import EnrolmentStatus
from sipmesh.server.enrolment.token_report import TokenReport
from sipmesh.server.management.publishing.application import ApplyReport
from sipmesh.server.management.publishing.plan_report import PlanReport
from sipmesh.server.management.replies import (
    ACKNOWLEDGED,
    ASK_DNS,
    BLOCK,
    CALLS,
    DIRECTORY,
    DIRECTORY_EXPLAIN,
    END_NETWORK_CALL,
    ERASE_CALLS,
    FETCH_CRLS,
    HISTORY,
    NETWORK,
    PLAN,
    PROBE_LINKS,
    PUBLISH,
    ROLLBACK,
    TRACE_NETWORK,
    TRAFFIC,
    VERSION,
    Acknowledgement,
    CallsReply,
    CrlsReply,
    DirectoryReply,
    DnsReply,
    ErasedReply,
    NetworkReply,
    Plan,
    ProbedReply,
    PublicationReply,
    PutInForce,
    TrafficReply,
    VersionReply,
)
from sipmesh.server.provisioning.letter import Letter
from sipmesh.server.proxy.refused_message import RefusedMessage
from sipmesh.server.tracing.traced_message import TraceReply
from sipmesh.storage.call_records.call_record import CallRecord
from sipmesh.storage.enrolment.end_enrolment import EndedEnrolment
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.trust.judgement.verdict_report import VerdictReport
from sipmesh.typed_json import read

if TYPE_CHECKING:
    from sipmesh.server.console.access.operator import Operator
    from sipmesh.server.control_socket import Command

VIEWER, OPERATOR, OFFICER = ConsoleRole.VIEWER, ConsoleRole.OPERATOR, ConsoleRole.SECURITY_OFFICER


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
        """Return the role that these parameters need; what forces something, or reads bodies, needs a security officer."""
        asks_more = getattr(given, "force", False) or getattr(given, "bodies", False)
        return OFFICER if asks_more else self.role


APPLY: Final = "apply"
CHANGES: Final = "changes"
AUDIT, CERTIFICATES, USERS, PARTNERS, REVOKE = "audit", "certificates", "users", "partners", "revoke"
SEARCH: Final = "search"
LEDGER: Final = "ledger"
AUDIT_CHECK, ISSUE, SIGN_CRLS, VERDICTS = "audit-check", "issue", "sign-crls", "verdicts"
ENROL, ENROLMENTS, ENROLMENT_WITHDRAW = "enrol", "enrolments", "enrolment-withdraw"
USER_ADD, USER_PASSWORD, USER_MOVE, USER_REMOVE = "user-add", "user-password", "user-move", "user-remove"
USER_DEVICES, USER_INVITE, USERS_INVITE = "user-devices", "user-invite", "users-invite"
INVITATION_REVOKE, DEVICE_REVOKE, DEVICE_PASSWORD = "invitation-revoke", "device-revoke", "device-password"
USER_DISABLE, USER_ENABLE, ALIAS_ADD, ALIAS_REMOVE = "user-disable", "user-enable", "alias-add", "alias-remove"
RULES_CHANGE, RULES_CLEAR, PRESENCE_CHANGE = "rules-change", "rules-clear", "presence-change"
GROUP_ADD, GROUP_CHANGE, GROUP_REMOVE = "group-add", "group-change", "group-remove"
ADD_POOL, ADD_SERVER, ADD_DOMAIN, ADD_SITE = "add-pool", "add-server", "add-domain", "add-site"
CHANGE, REMOVE, RENAME = "change", "remove", "rename"
PARTNER_ADD, PARTNER_CHANGE = "partner-add", "partner-change"
PARTNER_REMOVE, PARTNER_UNBLOCK = "partner-remove", "partner-unblock"

_READS: Final = (
    Operation(NETWORK.name, "status", VIEWER, "Every server and its last report.", Nothing, NetworkReply),
    Operation(TRAFFIC.name, "traffic", VIEWER, "The traffic of the last day.", Nothing, TrafficReply),
    Operation(HISTORY.name, "versions", VIEWER, "Every published version.", Nothing, list[VersionReply]),
    Operation(VERSION.name, "version", VIEWER, "One published version.", VersionNumber, PublicationReply),
    Operation(CHANGES, CHANGES, VIEWER, "What the draft changes, and who has to approve it.", Nothing, Plan),
    Operation(PLAN.name, "plan", VIEWER, "What the publication of the draft leads to.", Nothing, PlanReport),
    Operation(
        ACKNOWLEDGED.name, "acknowledged", VIEWER, "Which servers have a version in force.", ToAwait, Acknowledgement
    ),
    Operation(CERTIFICATES, CERTIFICATES, VIEWER, "Everything that expires.", Nothing, InventoryReport),
    Operation(
        ENROLMENTS,
        ENROLMENTS,
        VIEWER,
        "The one-time tokens that can be used, and the ACME accounts that can order certificates.",
        Nothing,
        EnrolmentStatus,
    ),
    Operation(
        LEDGER,
        "certificates/issued",
        VIEWER,
        "Certificates of our CA by name, serial number or fingerprint, also after they were replaced or revoked.",
        ToFind,
        LedgerReply,
    ),
    Operation(USERS, USERS, VIEWER, "A page of the users.", UsersToList, UserListReply),
    Operation(USER.name, "user", VIEWER, "One user, and what the servers know of the user.", UserName, UserDetailReply),
    Operation(
        USER_DEVICES,
        "user/devices",
        VIEWER,
        "The devices of one user that have taken an invitation, and the open invitations.",
        UserName,
        UserDevicesReply,
    ),
    Operation(REGISTRATIONS.name, "registrations", VIEWER, "The registered devices.", Nothing, DevicesReply),
    Operation(
        DIRECTORY.name, "directory", VIEWER, "The last sync of the users with the directory.", Nothing, DirectoryReply
    ),
    Operation(
        DIRECTORY_EXPLAIN.name,
        "directory/explain",
        VIEWER,
        "What the directory has of one user, and what a sync makes of it.",
        UserName,
        ExplainReport,
    ),
    Operation(PARTNERS, PARTNERS, VIEWER, "The partners in force.", Nothing, PartnersReport),
    Operation(LINKS.name, "links", VIEWER, "Live links of the management server.", Nothing, list[LinkReply]),
    Operation(REFUSED.name, "refused", VIEWER, "Peers that management refused.", Nothing, list[VerdictReport]),
    Operation(VERDICTS, VERDICTS, VIEWER, "The last verdicts of the servers, newest first.", Nothing, VerdictsReply),
    Operation(EXPLAIN.name, "explain", VIEWER, "The verdict on one live link.", LinkId, ExplainReply),
    Operation(
        REFUSED_MESSAGES.name,
        REFUSED_MESSAGES.name,
        OPERATOR,
        "Messages that the servers refused.",
        Nothing,
        list[RefusedMessage],
    ),
    Operation(SEARCH, SEARCH, VIEWER, "What has a name or a number, of what the role may read.", ToFind, SearchReply),
    Operation(AUDIT, AUDIT, VIEWER, "A page of the audit log, newest first.", Lines, AuditReply),
    Operation(AUDIT_CHECK, "audit/check", VIEWER, "Whether the whole audit log is intact.", Nothing, AuditCheckReply),
)
_CHANGES: Final = (
    Operation(PUBLISH.name, "publish", OPERATOR, "Publish the draft.", ToPublish, PutInForce, changes=True),
    Operation(
        APPLY, APPLY, OPERATOR, "Issue, publish, verify, and go back if this fails.", ToApply, ApplyReport, changes=True
    ),
    Operation(ROLLBACK.name, "rollback", OPERATOR, "Go back to a version.", ToRollBack, PutInForce, changes=True),
    Operation(
        PROBE_LINKS.name, "probe", OPERATOR, "Have servers open links once.", ToProbe, list[ProbedReply], changes=True
    ),
    Operation(
        ASK_DNS.name,
        "dns",
        OPERATOR,
        "Have servers ask DNS for the records.",
        ServersToAsk,
        list[DnsReply],
        changes=True,
    ),
    Operation(
        FETCH_CRLS.name,
        "fetch-crls",
        OPERATOR,
        "Have servers fetch the CRLs of the version in force once.",
        ServersToAsk,
        list[CrlsReply],
        changes=True,
    ),
    Operation(
        TRACE_NETWORK.name,
        "trace",
        OPERATOR,
        "Have servers trace, and return the messages since the last request.",
        ToTrace,
        TraceReply,
        changes=True,
    ),
    Operation(
        CALLS.name,
        "calls",
        OPERATOR,
        "Records of calls and messages, newest first. Each request has a line in the audit log.",
        CallsToRead,
        CallsReply,
        changes=True,
    ),
    Operation(
        END_NETWORK_CALL.name, "call/end", OPERATOR, "End a call that is up.", ToEndCall, CallRecord, changes=True
    ),
    Operation(
        ERASE_CALLS.name,
        "call/erase",
        OFFICER,
        "Erase a user from all records of calls.",
        ToEraseUser,
        ErasedReply,
        changes=True,
    ),
    Operation(BLOCK.name, "block", OPERATOR, "Block a partner at once.", ToBlock, BlockReply, changes=True),
    Operation(REVOKE, REVOKE, OFFICER, "Revoke a certificate at once.", ToRevoke, RevokedReply, changes=True),
    Operation(ISSUE, ISSUE, OFFICER, "Issue a certificate for a server.", ToIssue, IssuedReply, changes=True),
    Operation(ENROL, ENROL, OFFICER, "Make a one-time token for EST or ACME.", ToEnrol, TokenReport, changes=True),
    Operation(
        ENROLMENT_WITHDRAW,
        "enrol/withdraw",
        OFFICER,
        "End a one-time token or an ACME account.",
        EnrolmentId,
        EndedEnrolment,
        changes=True,
    ),
    Operation(SIGN_CRLS, "sign-crls", OPERATOR, "Sign new CRLs.", Nothing, SignedListsReply, changes=True),
    Operation(USER_ADD, "user/add", OPERATOR, "Add a user.", NewUser, UserChangeReply, changes=True),
    Operation(
        USER_PASSWORD, "user/password", OPERATOR, "Change a password.", NewPassword, UserChangeReply, changes=True
    ),
    Operation(
        USER_MOVE, "user/move", OPERATOR, "Change the home pool of a user.", NewHome, UserChangeReply, changes=True
    ),
    Operation(USER_DISABLE, "user/disable", OPERATOR, "Disable a user.", UserName, UserChangeReply, changes=True),
    Operation(USER_ENABLE, "user/enable", OPERATOR, "Enable a user again.", UserName, UserChangeReply, changes=True),
    Operation(USER_REMOVE, "user/remove", OPERATOR, "Remove a user.", UserName, UserChangeReply, changes=True),
    Operation(
        USER_INVITE, "user/invite", OPERATOR, "Invite one device of a user.", NewInvitation, Letter, changes=True
    ),
    Operation(
        USERS_INVITE,
        "user/invite-all",
        OPERATOR,
        "Invite a device for each row of a table, or for none of them.",
        NewInvitations,
        LettersReply,
        changes=True,
    ),
    Operation(
        INVITATION_REVOKE,
        "user/invitation/revoke",
        OPERATOR,
        "Revoke an open invitation.",
        InvitationId,
        UserChangeReply,
        changes=True,
    ),
    Operation(
        DEVICE_PASSWORD,
        "user/device/password",
        OPERATOR,
        "Give a new device of a user a password, which is shown once.",
        NewDevicePassword,
        DevicePasswordReply,
        changes=True,
    ),
    Operation(
        DEVICE_REVOKE,
        "user/device/revoke",
        OPERATOR,
        "Revoke the password of a device.",
        UserDevice,
        UserChangeReply,
        changes=True,
    ),
    Operation(ALIAS_ADD, "user/alias/add", OPERATOR, "Add an alias.", UserAlias, UserChangeReply, changes=True),
    Operation(
        ALIAS_REMOVE, "user/alias/remove", OPERATOR, "Remove an alias.", UserAlias, UserChangeReply, changes=True
    ),
    Operation(
        RULES_CHANGE,
        "user/rules/change",
        OPERATOR,
        "Change the rules of a user's calls.",
        UserRules,
        UserChangeReply,
        changes=True,
    ),
    Operation(
        RULES_CLEAR,
        "user/rules/clear",
        OPERATOR,
        "Remove all rules of a user's calls.",
        UserName,
        UserChangeReply,
        changes=True,
    ),
    Operation(
        PRESENCE_CHANGE,
        "user/presence/change",
        OPERATOR,
        "Say what a watcher may see of the presence of a user.",
        UserWatcher,
        UserChangeReply,
        changes=True,
    ),
    Operation(GROUP_ADD, "group/add", OPERATOR, "Add a group.", NewGroup, UserChangeReply, changes=True),
    Operation(GROUP_CHANGE, "group/change", OPERATOR, "Change a group.", GroupChange, UserChangeReply, changes=True),
    Operation(GROUP_REMOVE, "group/remove", OPERATOR, "Remove a group.", UserName, UserChangeReply, changes=True),
)
_DRAFT: Final = tuple(
    Operation(name, f"draft/{name}", OPERATOR, says, given, DraftReply, changes=True)
    for name, says, given in (
        (ADD_POOL, "Add a pool with its servers to the draft.", PoolToAdd),
        (ADD_SERVER, "Add a server to a pool of the draft.", MemberToAdd),
        (ADD_DOMAIN, "Add a SIP domain to the draft.", NameToAdd),
        (ADD_SITE, "Add a site to the draft.", NameToAdd),
        (CHANGE, "Change keys of a pool, a server or the network in the draft.", KeysToChange),
        (REMOVE, "Remove a pool, server, SIP domain or site from the draft.", PartToRemove),
        (RENAME, "Rename a pool, server, SIP domain or site of the draft.", PartToRename),
    )
)
_OF_PARTNERS: Final = tuple(
    Operation(name, f"partner/{path}", role, says, given, PartnerChangeReply, changes=True)
    for name, path, role, says, given in (
        (PARTNER_ADD, "add", OFFICER, "Add a partner, and publish it.", PartnerToAdd),
        (PARTNER_CHANGE, "change", OPERATOR, "Change keys of a partner, and publish the change.", PartnerToChange),
        (PARTNER_REMOVE, "remove", OPERATOR, "Remove a partner, and publish the removal.", PartnerToRemove),
        (PARTNER_UNBLOCK, "unblock", OFFICER, "Take a name from the blocked names, and publish this.", NameToUnblock),
    )
)
TABLE: Final = _READS + _CHANGES + _DRAFT + _OF_PARTNERS
"""Every operation. The console has no other way to do anything."""


class NotAllowedError(Exception):
    """The operator's role does not allow an operation."""


def must_have(operator: Operator, needed: ConsoleRole) -> None:
    """Raise `NotAllowedError` unless *operator* has the role *needed*, or a higher one."""
    if not operator.role.may(needed):
        raise NotAllowedError(f"this needs the role {needed}, and you have the role {operator.role}")


class Operations:
    """Runs the operations of `TABLE`; *commands* are those of the control socket, and those of the console alone.

    Each operator reads one thing at a time: a thread does most of the work, and a revocation must not wait behind many reads.
    """

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        self._reading = OperatorTurns()

    async def run(self, operation: Operation, operator: Operator, given: Given) -> Any:
        """Run one operation, and return its reply.

        Raises `NotAllowedError` if the role of *operator* is too low, and `OperatorError` as the command does.
        """
        must_have(operator, operation.role_for(given))
        asked = {**given.model_dump(mode="json"), WHO: operator.who, ROLE: operator.role}
        if operation.changes:
            return await self._commands[operation.name](asked)
        async with self._reading.of(operator.who):
            return await self._commands[operation.name](asked)

    async def read(self, name: str, operator: Operator, given: Mapping[str, object]) -> Any:
        """Run the operation *name* with parameters as plain values."""
        operation = operation_of(name)
        return await self.run(operation, operator, read(operation.given, given))


def operation_of(name: str) -> Operation:
    """Return the operation *name*; raises `KeyError`."""
    for operation in TABLE:
        if operation.name == name:
            return operation
    raise KeyError(name)
