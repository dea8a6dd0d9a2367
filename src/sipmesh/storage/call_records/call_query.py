"""Which records are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sipmesh.errors import OperatorError
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.call_records.call_record import LONGEST_TEXT, REPORT
from sipmesh.storage.users.user_database import Users
from sipmesh.typed_json import UnreadableJsonError, read

if TYPE_CHECKING:
    from sipmesh.storage.call_records.call_record import CallRecord
    from sipmesh.topology.document.load import Loaded

MOST_ON_PAGE: Final = 500


class NotRecordedError(OperatorError):
    """The topology has no `call_records`."""


_Text = Annotated[str, Field(max_length=320, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Records that began at *since* or later, and before *until*, of or for one of *names*; all of them if there are none.

    A name is the address of a user, ``bob@example.com``, or a domain. *only* is INVITE or MESSAGE, or empty. *call* is a Call-ID,
    the id of a record, or the reference of a refusal, which several records can have. *before* is the id of the last record of
    the page before.
    """

    names: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    failed: bool = False
    up: bool = False
    only: str = ""
    call: str = ""
    before: str = ""
    most: int = MOST_ON_PAGE

    def matches(self, record: CallRecord) -> bool:
        """Tell whether *record* is asked for; a report of quality is not: it belongs to the record of its call."""
        return (
            record.method != REPORT
            and (self.since is None or record.start >= self.since)
            and (self.until is None or record.start < self.until)
            and (not self.failed or record.has_failed)
            and (not self.up or record.is_up)
            and (not self.only or record.method == self.only)
            and (not self.call or self._names_call(record))
            and (not self.names or not self.names.isdisjoint(names_of(record)))
        )

    def _names_call(self, record: CallRecord) -> bool:
        is_reference = ascii_lower(record.reference) == ascii_lower(self.call)
        return is_reference or self.call in (record.call_id, record.id)

    def page(self, records: Collection[CallRecord]) -> tuple[list[CallRecord], bool]:
        """Give the newest records that are asked for, newest first, and whether there are more."""
        found = sorted(filter(self.matches, records), key=lambda record: (record.start, record.id), reverse=True)
        reports = [record for record in records if record.method == REPORT]
        if self.before:
            at = next((n for n, record in enumerate(found, 1) if record.id == self.before), len(found))
            found = found[at:]
        return with_quality(found[: self.most], reports), len(found) > self.most


def with_quality(records: Iterable[CallRecord], reports: Iterable[CallRecord]) -> list[CallRecord]:
    """Give each call the figures that its own parties have reported; a report of another user about it does not count."""
    of_calls: dict[str, dict[str, str]] = {}
    for report in reports:
        of_calls.setdefault(report.call_id, {})[ascii_lower(report.caller)] = f"{report.caller}: {report.why}"
    return [_with(record, of_calls.get(record.call_id, {})) for record in records]


def _with(record: CallRecord, told: Mapping[str, str]) -> CallRecord:
    parties = [ascii_lower(party) for party in (record.caller, record.callee, record.answered_by)]
    figures = [told[party] for party in dict.fromkeys(parties) if party in told]
    return (
        replace(record, quality="; ".join(figures)[:LONGEST_TEXT]) if figures and record.method == "INVITE" else record
    )


def names_of(record: CallRecord) -> frozenset[str]:
    """Give the names by which *record* is found: both users, and their domains."""
    users = (record.caller, record.callee, record.answered_by)
    found = {ascii_lower(user) for user in users if user}
    return frozenset(found | {user.rpartition("@")[2] for user in found})


class CallQuestion(BaseModel):
    """A question as it is asked over the control socket and the API. *user* is a user, with or without domain, or a domain.

    *call* is a Call-ID, the id of a record, or the reference of a refusal. *before* is the id of the last record of the page
    before.
    """

    model_config = ConfigDict(frozen=True)

    user: _Text = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    failed: bool = False
    up: bool = False
    only: Annotated[str, Field(pattern="^(INVITE|MESSAGE)?$")] = ""
    call: _Text = ""
    before: _Text = ""
    most: Annotated[int, Field(ge=1, le=MOST_ON_PAGE)] = MOST_ON_PAGE


def meant(asked: Mapping[str, Any], loaded: Loaded) -> CallQuery:
    """Give the query of a question in JSON; raises `OperatorError` if it cannot be read."""
    try:
        question = read(CallQuestion, dict(asked))
    except UnreadableJsonError as wrong:
        raise OperatorError(f"this question about calls cannot be read: {wrong}") from None
    return query_of(question, loaded)


def query_of(question: CallQuestion, loaded: Loaded) -> CallQuery:
    """Give the query of a question, with the aliases of its user."""
    return CallQuery(
        names=frozenset(names_of_user(question.user, loaded)),
        since=question.since,
        until=question.until,
        failed=question.failed,
        up=question.up,
        only=question.only,
        call=question.call,
        before=question.before,
        most=question.most,
    )


def names_of_user(user: str, loaded: Loaded) -> list[str]:
    """Give the names that an operator means by *user*: without a domain, the user of each of our domains; with all aliases."""
    if not user:
        return []
    wanted = ascii_lower(user).removeprefix("sips:").removeprefix("sip:")
    if "@" not in wanted and "." in wanted:
        return [wanted]
    named = [wanted] if "@" in wanted else [f"{wanted}@{domain}" for domain in loaded.topology.sip_domains]
    return [*named, *(alias for name in named for alias in _aliases(name, loaded))]


def _aliases(name: str, loaded: Loaded) -> list[str]:
    """Give the aliases of a user; none where the database of the users is not on this machine, or has no such user."""
    file = loaded.users_file
    if file is not None and not file.exists():
        return []
    with suppress(OperatorError), closing(Users(loaded.users_url, in_memory=False)) as users:
        return [alias.removeprefix("sip:") for alias in users.get(f"sip:{name}").aliases]
    return []
