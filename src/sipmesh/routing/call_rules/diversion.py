"""Who has forwarded a call, whereto and why: the chain of one call, and its header fields (RFC 7044, RFC 4458, RFC 5806)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sipmesh.sip.tel import TEL
from sipmesh.sip.text import LWS, ascii_lower, is_digits

if TYPE_CHECKING:
    from sipmesh.sip.message import Message, Request, Response

MOST_DIVERSIONS: Final = 5
"""How often one call may be forwarded, as in most telephone networks; what earlier servers have forwarded counts too."""


class Reason(StrEnum):
    """Why a call was forwarded, in the words of RFC 5806."""

    UNCONDITIONAL = "unconditional"
    USER_BUSY = "user-busy"
    NO_ANSWER = "no-answer"
    AWAY = "away"
    DO_NOT_DISTURB = "do-not-disturb"
    DEFLECTION = "deflection"  # a phone has answered 302
    FOLLOW_ME = "follow-me"  # rings at the same time
    HUNT_GROUP = "hunt-group"  # a member of a group


BESIDE: Final = "beside"
"""A parameter of our own, of the entry of a user who rings beside another one (RFC 7044 section 5, hi-extension)."""

CAUSES: Final = {
    Reason.UNCONDITIONAL: 302,
    Reason.USER_BUSY: 486,
    Reason.NO_ANSWER: 408,
    Reason.AWAY: 503,
    Reason.DO_NOT_DISTURB: 486,
    Reason.DEFLECTION: 480,
    Reason.FOLLOW_ME: 302,
    Reason.HUNT_GROUP: 302,
}
"""The causes of RFC 4458 section 2."""


@dataclass(frozen=True, slots=True)
class Diversion:
    """The user *by* has forwarded a call to the target *to* (see `CallRules`) because of *reason*."""

    by: str
    to: str
    reason: Reason


Chain = tuple[Diversion, ...]
"""How a call came to its present target, the first diversion first; empty for a call that was not forwarded here."""

NOT_DIVERTED: Final[Chain] = ()


def uri_of(target: str, domain: str) -> str:
    """Give the SIP URI of a target; *domain* is the domain of ours in which a number is called."""
    return f"sip:{target[len(TEL) :]}@{domain};user=phone" if target.startswith(TEL) else target


def add_history(copy: Message, chain: Chain, domain: str) -> None:
    """Say in the request of a branch who has forwarded it, behind what earlier servers have said (RFC 7044 section 10.3).

    The entry of a user is the address of record: what the caller has dialled is in To. A target that was mapped to another user
    has the parameter ``mp``, with the index of the entry that was mapped.
    """
    earlier = copy.items("history-info")
    index = _index_in(earlier[-1]) if earlier else ""
    if not index:
        index = "1"
        copy.append("history-info", f"<{chain[0].by}>;index=1")
    for diversion in chain:
        uri = uri_of(diversion.to, domain)
        mapped, index = index, f"{index}.1"
        beside = f";{BESIDE}" if diversion.reason is Reason.FOLLOW_ME else ""
        copy.append("history-info", f"<{uri};cause={CAUSES[diversion.reason]}>;index={index};mp={mapped}{beside}")


def came_beside(request: Request) -> bool:
    """Tell whether the last entry of the history says that the user rings beside another one."""
    history = request.items("history-info") if request.has("history-info") else []
    return bool(history) and _has_param(history[-1], BESIDE)


def claims_beside(request: Message) -> bool:
    """Tell whether an entry of the history says that a user rings beside another one: only front ends say so."""
    return request.has("history-info") and any(_has_param(item, BESIDE) for item in request.items("history-info"))


def _index_in(item: str) -> str:
    """Give the index of an entry, "" if there is none."""
    value = _param(item, "index")
    return value if value and all(map(is_digits, value.split("."))) else ""


def _has_param(item: str, name: str) -> bool:
    return name in [param.strip(LWS) for param in item.rpartition(">")[2].split(";")]


def _param(item: str, name: str) -> str:
    """Give the value of a parameter of an entry, "" if there is none."""
    for param in item.rpartition(">")[2].split(";"):
        key, _, value = param.strip(LWS).partition("=")
        if ascii_lower(key) == name:
            return value
    return ""


def diversion_value(diversion: Diversion, by: str = "") -> str:
    """Write a Diversion field: for a trunk with the URI *by* of the forwarding user, "" for the address of record."""
    return f"<{by or diversion.by}>;reason={diversion.reason};counter=1"


def chain_in(response: Response, to: str) -> Chain:
    """Give the chain in a 302 of the home pool of a user: the last diversion is the first field (RFC 5806); *to* is its end.

    An unknown reason is that of a phone that has answered 302.
    """
    known, found = {str(reason): reason for reason in Reason}, list[Diversion]()
    for item in response.items("diversion")[:MOST_DIVERSIONS]:
        reason = known.get(_param(item, "reason"), Reason.DEFLECTION)
        found.insert(0, Diversion(plain_uri(item), to, reason))
        to = found[0].by
    return tuple(found)


def diverted_before(request: Request) -> int:
    """Count how often earlier servers have forwarded a request, as they say."""
    return max(0, len(request.items("history-info")) - 1, len(request.items("diversion")))


def forwarders_in(request: Request) -> list[str]:
    """Give who has forwarded a request before, as SIP URIs without parameters. The last History-Info is who has it now."""
    return [plain_uri(item) for item in (*request.items("history-info")[:-1], *request.items("diversion"))]


def plain_uri(item: str) -> str:
    """Give the URI in an entry, without parameters and header fields."""
    return item.partition("<")[2].partition(">")[0].partition(";")[0].partition("?")[0]


def refusal_of(chain: Chain, request: Request) -> str:
    """Say why a call is not forwarded once more, "" if it may be: it was here before, or was forwarded too often."""
    by = chain[-1].by
    before = [one.by for one in chain[:-1]] + forwarders_in(request)
    if by in before or chain[-1].to in {by, *before}:
        return (
            f"a loop: {by.removeprefix('sip:')} or {chain[-1].to.removeprefix('sip:')} has forwarded this call before"
        )
    if len(chain) + diverted_before(request) > MOST_DIVERSIONS:
        return f"the call was forwarded {MOST_DIVERSIONS} times already"
    return ""
