"""The forms about calls and their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sipmesh.server.console.pages.fields import USER, hidden
from sipmesh.server.console.pages.form import Form, page
from sipmesh.server.management.replies import END_NETWORK_CALL, ERASE_CALLS


def _erased_told(done: Any, _form: Mapping[str, str]) -> str:
    missing = f" NOT yet from the files of {', '.join(done.missing)}: no link to them." if done.missing else ""
    return f"{done.user} is erased from {done.records} records.{missing}"


CALL_FORMS: Final = (
    Form(
        "/calls/end",
        END_NETWORK_CALL.name,
        "/calls",
        "End the call {id}",
        "End the call",
        (hidden("id"),),
        "Both phones get a BYE, and the call is over at once. The record of the call and the audit log say who has ended it.",
        page("/calls?kind=up"),
        lambda done, _form: f"The call from {done.caller} to {done.callee} has ended.",
    ),
    Form(
        "/calls/erase",
        ERASE_CALLS.name,
        "/calls",
        "Erase a user from the records of calls",
        "Erase",
        (USER,),
        "The name of the user, with all aliases, is erased from each record at management, and from the files of the servers. "
        "The message history and the files of the user are erased too. "
        "The records stay, for the other party. This cannot be undone.",
        page("/calls"),
        _erased_told,
    ),
)
