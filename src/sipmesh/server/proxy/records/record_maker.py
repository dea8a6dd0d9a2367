"""Makes the line of a call, of a message or of a report, from what is parsed of the request and its final response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.call_rules.diversion import NOT_DIVERTED, Chain
from sipmesh.routing.identity.privacy import hides_identity, is_hidden
from sipmesh.server.proxy.records.known_caller import LOGIN, Known
from sipmesh.server.proxy.records.told_media import SAID, told_media
from sipmesh.server.proxy.records.told_request import (
    answerer,
    called,
    forwarded,
    forwarded_by,
    named,
    passed,
    reference_in,
    told_json,
)
from sipmesh.sip.status import FIRST_REDIRECTION, Status
from sipmesh.sip.text_cache import LONGEST_KEY, TextCache
from sipmesh.storage.call_records.call_record import REPORT
from sipmesh.storage.call_records.journal_entry import (
    NULL,
    JournalEntry,
    begin_of,
    head_of,
    key_of,
    quoted,
    refusal_of,
    tail_of,
)
from sipmesh.storage.call_records.json_time import JsonClock

if TYPE_CHECKING:
    from sipmesh.routing.events.quality_report import QualityReport
    from sipmesh.server.proxy.message_refusals import MessageRefusals
    from sipmesh.sip.message import Request, Response

MOST_NAMES: Final = 4_096
"""Addresses that are kept as a line has them: most calls are of users who have called before."""

_EMPTY: Final = quoted("")
_LOGIN: Final = quoted(LOGIN)
_MEDIA: Final = {media: quoted(media) for media in SAID}
_NO_REFUSAL: Final = refusal_of("", "")


class RecordMaker:
    """The lines of one process. *names* are those of the server and of this process, *begun* the Unix time of its start."""

    def __init__(self, names: tuple[str, str], begun: float, refusals: MessageRefusals) -> None:
        self._server, process = names
        self._refusals = refusals
        self._prefix, self._number = f"{process}-{int(begun * 1000):x}-", 0
        self._quoted_server, self._key = quoted(self._server), key_of(self._server, self._prefix)
        self.times = JsonClock()
        self._callers: TextCache[str] = TextCache(MOST_NAMES)
        self._callees: TextCache[str] = TextCache(MOST_NAMES)

    def entry(
        self,
        request: Request,
        who: Known,
        response: Response,
        started: float,
        now: float,
        following: str,
        why: str,
        code: str,
        chain: Chain = NOT_DIVERTED,
        trunk: str = "",
        *,
        in_the_clear: bool = False,
    ) -> JournalEntry:
        """Make the line of a request of *who* that has a final response; *started* and *now* are Unix times.

        *following* is the server that the request has gone to. *why* and *code* say why it was refused here. *chain* says who of
        ours has forwarded it. *trunk* has carried it. *in_the_clear*: its media are not encrypted on the side of a trunk.
        """
        has_worked = response.status < FIRST_REDIRECTION
        is_up = has_worked and request.method == "INVITE"
        refusal = _NO_REFUSAL
        if not has_worked:
            reference, by = reference_in(response)
            if by == self._server and not code:
                why, code = self._explained(reference, why)
            refusal = refusal_of(code, reference, by)
        at, forwarder = self.times.instant(now), forwarded_by(chain) if chain else forwarded(request)
        self._number += 1
        head = head_of(
            begin_of(f"{self._prefix}{self._number}", self._quoted_server, request.method),
            told_json(request.call_id),
            self._caller(who[0]),
            _LOGIN if who[1] == LOGIN else told_json(who[1]),
            self._callee(request),
            self._answerer(response) if is_up else _EMPTY,
            self.times.instant(started),
            at if is_up else NULL,
            response.status,
            refusal,
            _MEDIA["none" if in_the_clear else told_media(response.body)] if is_up else _EMPTY,
            '"' + '","'.join(passed(response, self._server, following)) + '"',  # names of servers need no escape
            quoted(forwarder) if forwarder else _EMPTY,
            quoted(trunk) if trunk else "",
            withheld=hides_identity(request),
        )
        key = f"{self._key}{self._number}"
        if is_up:
            return JournalEntry(key, head)
        return JournalEntry(key, head, tail_of(at, NULL, told_json(why if has_worked else why or response.reason)))

    def report(self, request: Request, identity: str, report: QualityReport, now: float) -> JournalEntry:
        """Make the line of a report of the quality of a call, which the user *identity* has published."""
        self._number += 1
        head = head_of(
            begin_of(f"{self._prefix}{self._number}", self._quoted_server, REPORT),
            told_json(report.call_id),
            self._caller(identity),
            _LOGIN,
            self._callee(request),
            _EMPTY,
            self.times.instant(now),
            NULL,
            Status.OK,
            _NO_REFUSAL,
            _EMPTY,
            "",
            _EMPTY,
            withheld=False,
        )
        tail = tail_of(self.times.instant(now), NULL, told_json(" ".join(report.figures)))
        return JournalEntry(f"{self._key}{self._number}", head, tail)

    def _explained(self, reference: str, why: str) -> tuple[str, str]:
        """Give the reason and the code of a refusal of this server; another server knows those of its own."""
        refused = self._refusals.find(reference)
        return (why, "") if refused is None else (refused.why, refused.code or "")

    def _caller(self, name: str) -> str:
        """Write an address that was proved or asserted."""
        made = self._callers.get(name)
        if made is None:
            made = quoted(named(name))
            if len(name) <= LONGEST_KEY:
                self._callers.keep(name, made)
        return made

    def _callee(self, request: Request) -> str:
        """Write whom a request is for."""
        uri = request.uri
        made = self._callees.get(uri)
        if made is None:
            made = quoted(called(request))
            if len(uri) <= LONGEST_KEY and not is_hidden(uri):
                self._callees.keep(uri, made)
        return made

    def _answerer(self, response: Response) -> str:
        name = answerer(response)
        return self._caller(name) if name else _EMPTY
