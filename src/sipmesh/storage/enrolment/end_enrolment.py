"""End what lets a name get its next certificate: its one-time tokens and its ACME accounts.

What revokes a certificate of a name ends these too: a thief of the machine may have them, and would get another certificate. With
a new token, the machine can enrol again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sipmesh.storage.audit_act import Note
    from sipmesh.storage.management_db import ManagementDb

TOKEN: Final = "token"  # noqa: S105 - the word, in texts and in the audit log
ACCOUNT: Final = "account"


@dataclass(frozen=True, slots=True)
class EndedEnrolment:
    """What was ended: the *kind*, its public *id*, and the *name* of a server or the login of a device."""

    kind: str
    id: str
    name: str


def end_enrolment(
    management_db: ManagementDb, name: str, at: datetime, note: Note, device: str = ""
) -> list[EndedEnrolment]:
    """End the tokens and the ACME accounts of *name*: a server, or a user with all devices or one *device*. Notes each."""

    def is_of(login: str) -> bool:
        user, _, of_user = login.rpartition("/")
        return ascii_lower(user or login) == ascii_lower(name) and (not device or device == of_user)

    return _ended(management_db, lambda one: is_of(one.name), at, note, "with a certificate of its name")


def withdraw(management_db: ManagementDb, wanted: str, at: datetime, note: Note) -> EndedEnrolment:
    """End the token or the account with the id *wanted*; raises `OperatorError` if there is none that can be used."""
    ended = _ended(management_db, lambda one: one.id == wanted, at, note, "by an operator")
    if not ended:
        raise OperatorError(f"no token and no account {wanted!a} can be used; to list them: sipmesh ca enrol")
    return ended[0]


def _ended(
    management_db: ManagementDb, is_meant: Callable[[EndedEnrolment], bool], at: datetime, note: Note, why: str
) -> list[EndedEnrolment]:
    """End what *is_meant*, then note it: a fault of the audit log leaves nothing usable."""
    tokens, accounts, ended = management_db.enrolment_tokens, management_db.acme_accounts, list[EndedEnrolment]()
    for token in tokens.open_tokens(at.timestamp()):
        one = EndedEnrolment(TOKEN, token.id, token.server)
        if is_meant(one) and tokens.withdraw(token, at.timestamp()):
            ended.append(one)
    for account in accounts.valid_accounts():
        one = EndedEnrolment(ACCOUNT, account.id, account.server)
        if is_meant(one) and accounts.revoke(account):
            ended.append(one)
    for one in ended:
        note(AuditAct.ENROL, server=one.name, **{one.kind: one.id}, withdrawn=why)
    return ended
