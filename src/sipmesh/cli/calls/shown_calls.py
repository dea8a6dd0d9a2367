"""Records as a table, as CSV, and as JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sipmesh.cli.output import BAD, GOOD, QUIET, cell, plural, say, say_document, show, table
from sipmesh.storage.call_records.call_csv import csv_of
from sipmesh.storage.call_records.call_record import CallRecord
from sipmesh.trust.formatting import tell_span


def show_calls(records: Sequence[CallRecord], now: datetime, zone: str, *, has_more: bool, ids: bool = False) -> None:
    """Print a table of *records*, newest first, with their *ids* or without; times are in the zone of *now*."""
    if not records:
        say("No record of a call or message is found.", style=QUIET)
        return
    days = {record.start.astimezone(now.tzinfo).date() for record in records}
    told = f" on {min(days)}" if len(days) == 1 else ""
    made = table(
        f"Calls and messages{told}, times in {zone}",
        "time",
        "from",
        "to",
        "outcome",
        "for",
        "media",
        "way",
        *(["id"] if ids else []),
    )
    for record in records:
        start = record.start.astimezone(now.tzinfo)
        at = f"{start:%H:%M:%S}" if told else f"{start:%Y-%m-%d %H:%M:%S}"
        made.add_row(
            cell(at),
            cell(caller_of(record)),
            cell(callee_of(record)),
            cell(outcome_of(record), BAD if record.has_failed else GOOD if record.is_up else ""),
            cell(duration_of(record, now)),
            cell(record.media),
            cell(" > ".join(hop.partition(".")[0] for hop in record.hops)),
            *([cell(record.id)] if ids else []),
        )
    show(made)
    if has_more:
        say(f"Only the newest {plural(len(records), 'record')}: for more, name --until or --most.", style=QUIET)


def caller_of(record: CallRecord) -> str:
    """Tell who has called, and on whose word if it is no login."""
    how = "" if record.proof == "login" else f" ({record.proof})"
    return f"{record.caller}{', withheld' if record.withheld else ''}{how}"


def callee_of(record: CallRecord) -> str:
    """Tell who was called, through which trunk, who has answered for that, and who has forwarded it."""
    through = f", through the trunk {record.trunk}" if record.trunk else ""
    answered = f", answered by {record.answered_by}" if record.answered_by not in ("", record.callee) else ""
    forwarded = f", forwarded by {record.forwarded}" if record.forwarded else ""
    return f"{record.callee}{through}{answered}{forwarded}"


def outcome_of(record: CallRecord) -> str:
    """Tell the status and the reason, and the quality that phones have reported."""
    return f"{_outcome(record)}; {record.quality}" if record.quality else _outcome(record)


def _outcome(record: CallRecord) -> str:
    if record.is_up:
        return "up"
    if not record.has_failed:
        what = "message" if record.method == "MESSAGE" else "answered"
        return f"{record.status} {what}{'' if record.why in ('', 'ended by BYE') else f'; {record.why}'}"
    code = f" [{record.code}]" if record.code else ""
    reference = f", reference {record.reference}" if record.reference else ""
    return f"{record.status} {record.why}{code}{reference}"


def duration_of(record: CallRecord, now: datetime) -> str:
    """Tell how long the call has lasted."""
    if record.is_up and record.answer is not None:
        return tell_span(now - record.answer)
    return tell_span(record.seconds) if record.seconds is not None else ""


def say_csv(records: Sequence[CallRecord]) -> None:
    """Print CSV (RFC 4180), times in UTC."""
    say_document(csv_of(records))
