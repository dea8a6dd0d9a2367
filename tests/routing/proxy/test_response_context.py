from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.messages import BOB, CONTACT, FE2, request, response, row
from sipmesh.errors import LocalError
from sipmesh.routing.call_rules.call_rules import NO_RULES, CallRules
from sipmesh.routing.call_rules.diversion import Diversion, Reason
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.outcome import Answer, Forward, Screening, ToUser
from sipmesh.routing.proxy.branch_attempt import BranchState, ways_to
from sipmesh.routing.proxy.branch_kinds import ELSEWHERE
from sipmesh.routing.proxy.effects import (
    AwaitAnswer,
    AwaitSilent,
    Cancel,
    DecideAgain,
    Divert,
    Effect,
    EndScreening,
    Forget,
    SendResponse,
    Silence,
    Start,
)
from sipmesh.routing.proxy.response_context import ResponseContext
from sipmesh.routing.target import AnotherNotifier, FlowTarget, Found, RemoteFlowTarget, ServerTarget, Target
from sipmesh.trust.evidence import LinkKind

PHONE = FlowTarget(1, b"8 octets", CONTACT)
DESK, LAPTOP = replace(PHONE, flow=2), replace(PHONE, flow=3)
SPARED = replace(PHONE, spares=(DESK,))
AFAR = RemoteFlowTarget(row(server=FE2), CONTACT)
ONE_SERVER = ServerTarget(("a.test",), LinkKind.SERVER, BOB)
TWO_SERVERS = ServerTarget(("a.test", "b.test"), LinkKind.SERVER, BOB)
A_PARTNER = ServerTarget(("partner.test",), LinkKind.PARTNER, BOB)
TWO_TRUNKS = ServerTarget(("first.test", "second.test"), LinkKind.PARTNER, BOB)
BUSY_REASON = ('SIP;cause=600;text="Busy Everywhere"',)
AUTHENTICATE, PROXY_AUTHENTICATE = "www-authenticate", "proxy-authenticate"


def told(effects: list[Effect]) -> list[str]:
    """Write effects so that a table can hold them."""
    words: list[str] = []
    for effect in effects:
        match effect:
            case Start(number, target, name, past):
                words.append(f"start {number} {name or getattr(target, 'flow', 'afar')}{' elsewhere' if past else ''}")
            case SendResponse(answer):
                words.append(f"reply {answer.status}")
            case Cancel(number, _):
                words.append(f"cancel {number}")
            case Silence():
                words.append("silence")
            case Forget():
                words.append("forget")
            case EndScreening():
                words.append("end screening")
            case AwaitSilent(restarts):
                words.append(f"await silent{' again' if restarts else ''}")
    return words


class Call:
    """A response context and what it says, in words."""

    def __init__(self, *targets: Target, method: str = "INVITE") -> None:
        self.method = method
        self.context = ResponseContext.of(request(method), targets)
        self.started = told(self.context.start())

    def gets(self, status: int, number: int = 0, *headers: tuple[str, str]) -> list[str]:
        return told(self.context.responded(number, response(status, *headers, method=self.method)))

    def loses(self, number: int = 0) -> list[str]:
        return told(self.context.lost(number))

    def times_out(self, number: int = 0) -> list[str]:
        return told(self.context.timed_out(number))

    def leaves(self) -> list[str]:
        """Wait no longer for silent phones."""
        return told(self.context.leave_silent())

    def cancels(self) -> list[str]:
        return told(self.context.cancel(BUSY_REASON))

    def takes(self, given: str) -> list[str]:
        """Take one input of the tables below on branch 0."""
        if given.isdigit():
            return self.gets(int(given))
        named: dict[str, Callable[[], list[str]]] = {
            "lost": self.loses,
            "timeout": self.times_out,
            "cancel": self.cancels,
        }
        return named[given]()


# Every state of one branch, and every input to it

STATES = {
    "calling": [],
    "proceeding": ["180"],
    "cancelled-before-a-provisional": ["cancel"],
    "cancelling": ["180", "cancel"],
    "late": ["180", "timeout"],
    "refused": ["404"],
    "accepted": ["200"],
    "cancelled": ["180", "cancel", "487"],
}
INPUTS = ["100", "180", "200", "404", "487", "603", "lost", "timeout", "cancel"]
INVITE_TABLE = {
    "calling": [
        "",
        "reply 180",
        "reply 200",
        "reply 404",
        "reply 487",
        "reply 603",
        "reply 480",
        "reply 408",
        "await silent",
    ],
    "proceeding": [
        "",
        "reply 180",
        "reply 200",
        "reply 404",
        "reply 487",
        "reply 603",
        "reply 480",
        "cancel 0",
        "cancel 0",
    ],
    "cancelled-before-a-provisional": [
        *("cancel 0", "cancel 0", "reply 200", "reply 487", "reply 487", "reply 603", "reply 487", "reply 487"),
        "await silent",
    ],
    "cancelling": ["", "reply 180", "reply 200", "reply 487", "reply 487", "reply 603", "reply 487", "reply 487", ""],
    "late": ["", "reply 180", "reply 200", "reply 408", "reply 408", "reply 408", "reply 408", "reply 408", ""],
    "refused": ["", "", "reply 200", "", "", "", "", "", ""],
    "accepted": ["", "", "reply 200", "", "", "", "", "", ""],
    "cancelled": ["", "", "reply 200", "", "", "", "", "", ""],
}
OTHER_STATES = {"calling": [], "proceeding": ["100"], "refused": ["404"], "accepted": ["200"], "late": ["timeout"]}
OTHER_INPUTS = ["100", "180", "200", "404", "603", "lost", "timeout"]
OTHER_TABLE = {
    "calling": ["", "", "reply 200", "reply 404", "reply 603", "reply 480", "silence"],
    "proceeding": ["", "", "reply 200", "reply 404", "reply 603", "reply 480", "silence"],
    "refused": [""] * 7,
    "accepted": [""] * 7,
    "late": [""] * 7,
}


def rows(table: dict[str, list[str]], inputs: list[str]) -> list[tuple[str, str, str]]:
    return [(state, *pair) for state, cells in table.items() for pair in zip(inputs, cells, strict=True)]


@pytest.mark.parametrize(("state", "given_", "says"), rows(INVITE_TABLE, INPUTS))
def test_a_branch_of_an_invite(state: str, given_: str, says: str) -> None:
    call = Call(PHONE)
    for before in STATES[state]:
        call.takes(before)
    assert call.takes(given_) == ([says] if says else [])


@pytest.mark.parametrize(("state", "given_", "says"), rows(OTHER_TABLE, OTHER_INPUTS))
def test_a_branch_of_another_request(state: str, given_: str, says: str) -> None:
    """RFC 4320: no provisional but 100 comes through, and no 408 is ever sent."""
    call = Call(PHONE, method="MESSAGE")
    for before in OTHER_STATES[state]:
        call.takes(before)
    assert call.takes(given_) == ([says] if says else [])


# Forking


def test_equal_targets_run_in_parallel_and_lower_targets_wait_until_all_have_failed() -> None:
    call = Call(replace(LAPTOP, q=0.5), PHONE, DESK)
    assert call.started == ["start 0 1", "start 1 2"]
    assert call.gets(404) == ["await silent"]
    assert call.gets(486, 1) == ["start 2 3"]
    assert call.gets(480, 2) == ["reply 404"]


def test_no_lower_target_starts_once_one_has_answered() -> None:
    call = Call(PHONE, replace(LAPTOP, q=0.5))
    assert call.gets(200) == ["reply 200"]
    assert not call.context.running
    assert told(call.context.start()) == []


def test_a_2xx_goes_back_at_once_and_cancels_those_that_ring() -> None:
    call = Call(PHONE, DESK, LAPTOP)
    call.gets(180, 1)
    effects = call.context.responded(0, response(200))
    assert told(effects) == ["reply 200", "cancel 1"]
    assert effects[-1] == Cancel(1, ELSEWHERE)


def test_no_refusal_is_kept_once_the_call_is_answered() -> None:
    """The context stays for half a minute, for further 2xx: a refusal would only take memory."""
    call = Call(PHONE, DESK, LAPTOP)
    call.gets(486)
    assert call.context.best is not None
    call.gets(180, 1)
    assert call.gets(200, 2) == ["reply 200", "cancel 1"]
    call.gets(487, 1)
    assert call.context.best is None


def test_branch_without_provisional_is_cancelled_when_one_comes() -> None:
    """RFC 3261 section 9.1: a CANCEL must not be sent before a provisional has come."""
    call = Call(PHONE, DESK)
    assert call.gets(200) == ["reply 200"]
    assert call.context.responded(1, response(180)) == [Cancel(1, ELSEWHERE)]
    assert call.gets(180, 1) == []
    assert call.gets(487, 1) == []


def test_every_2xx_of_an_invite_goes_back_and_one_of_anything_else() -> None:
    """RFC 3261 section 16.7 item 5."""
    for method, second in (("INVITE", ["reply 200"]), ("MESSAGE", [])):
        call = Call(PHONE, DESK, method=method)
        assert call.gets(200) == ["reply 200"]
        assert call.gets(200, 1) == second


def test_other_requests_are_never_cancelled() -> None:
    call = Call(PHONE, DESK, method="MESSAGE")
    call.gets(100, 1)
    assert call.gets(200) == ["reply 200"]
    call = Call(PHONE, DESK, method="MESSAGE")
    call.gets(100, 1)
    assert call.gets(603) == []
    assert call.gets(404, 1) == ["reply 603"]


def test_provisionals_of_every_branch_come_through_until_a_final_has_gone_back() -> None:
    call = Call(PHONE, DESK)
    assert call.gets(183) == ["reply 183"]
    assert call.gets(180, 1) == ["reply 180"]
    assert call.gets(200) == ["reply 200", "cancel 1"]
    assert call.gets(180, 1) == []


def test_a_6xx_ends_the_search_but_waits_for_the_branches_that_run() -> None:
    call = Call(PHONE, DESK, replace(LAPTOP, q=0.5))
    call.gets(180, 1)
    assert call.gets(603) == ["cancel 1"]
    assert call.gets(487, 1) == ["reply 603"]


def test_a_6xx_does_not_hide_a_2xx_that_comes_after_it() -> None:
    call = Call(PHONE, DESK)
    assert call.gets(603) == ["await silent"]
    assert call.gets(200, 1) == ["reply 200"]


def test_after_a_6xx_a_branch_is_cancelled_at_its_first_provisional() -> None:
    call = Call(PHONE, DESK)
    assert call.gets(603) == ["await silent"]
    assert call.gets(180, 1) == ["cancel 1"]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_after_a_6xx_nothing_is_tried_instead_of_a_lost_branch(method: str) -> None:
    """RFC 3261 section 16.7 item 5: "MUST NOT create any new branches in this context"."""
    call = Call(LAPTOP, SPARED, method=method)
    call.gets(603)
    assert call.loses(1) == ["reply 603"]


# The best response


@pytest.mark.parametrize(
    ("statuses", "best"),
    [
        ((404, 503, 302), 302),
        ((500, 404), 404),
        ((404, 486), 404),
        ((486, 404), 486),
        ((404, 401), 401),
        ((407, 401), 401),
        ((484, 415), 415),
        ((404, 420), 420),
        ((480, 486), 486),
        ((408, 404), 404),
        ((408, 500), 408),
        ((404, 604), 604),
        ((302, 600), 600),
    ],
)
def test_the_best_response_goes_back(statuses: tuple[int, ...], best: int) -> None:
    """RFC 3261 section 16.7 item 6: 6xx, else the lowest class, and in it what helps to ask again."""
    call = Call(*(replace(PHONE, flow=number) for number in range(len(statuses))))
    *_, last = (call.gets(status, number) for number, status in enumerate(statuses))
    assert last == [f"reply {best}"]


def test_all_challenges_of_all_branches_go_back_together() -> None:
    """RFC 3261 section 16.7 item 7."""
    call = Call(PHONE, DESK, LAPTOP)
    call.gets(407, 0, (PROXY_AUTHENTICATE, 'Digest realm="a"'), (PROXY_AUTHENTICATE, 'Digest realm="b"'))
    call.gets(404, 1)
    [effect] = call.context.responded(2, response(401, (AUTHENTICATE, 'Digest realm="c"')))
    assert isinstance(effect, SendResponse)
    assert effect.response.status == 401
    assert effect.response.values(PROXY_AUTHENTICATE) == ['Digest realm="a"', 'Digest realm="b"']
    assert effect.response.values(AUTHENTICATE) == ['Digest realm="c"']


def test_one_challenge_goes_back_byte_for_byte() -> None:
    call = Call(PHONE)
    challenge = response(401, (AUTHENTICATE, 'Digest realm="c",   nonce="1"'))
    before = challenge.encode()
    assert call.context.responded(0, challenge) == [SendResponse(challenge)]
    assert challenge.encode() == before


def test_challenges_are_not_added_to_other_responses() -> None:
    call = Call(PHONE, DESK)
    call.gets(401, 0, (AUTHENTICATE, 'Digest realm="c"'), (AUTHENTICATE, 'Digest realm="d"'))
    [effect] = call.context.responded(1, response(603))
    assert isinstance(effect, SendResponse)
    assert not effect.response.count(AUTHENTICATE)


# Other ways


def test_a_lost_link_leads_to_each_other_server_once() -> None:
    call = Call(TWO_SERVERS)
    assert call.started == ["start 0 a.test"]
    assert call.loses() == ["start 1 b.test"]
    assert call.loses() == []
    assert call.loses(1) == ["reply 503"]


def test_request_whose_notifier_is_lost_is_decided_again_once() -> None:
    again = AnotherNotifier(BOB, None, frozenset({"a.test"}))
    call = Call(replace(ONE_SERVER, again=again), method="SUBSCRIBE")
    assert call.context.lost(0) == [DecideAgain(again)]
    assert (call.loses(), call.context.answered) == ([], True)


def test_a_lost_flow_leads_to_each_other_flow_of_the_device_once() -> None:
    call = Call(SPARED)
    assert call.loses() == ["start 1 2"]
    assert call.loses(1) == ["reply 480"]


@pytest.mark.parametrize("target", [TWO_SERVERS, SPARED])
def test_request_with_a_provisional_is_not_sent_again(target: Target) -> None:
    call = Call(target)
    call.gets(100)
    assert call.loses() == [f"reply {503 if target is TWO_SERVERS else 480}"]


def test_a_503_of_a_server_leads_to_the_next_and_goes_back_as_a_500() -> None:
    call = Call(TWO_SERVERS)
    call.gets(100)
    assert call.gets(503) == ["start 1 b.test"]
    assert call.gets(503, 1, ("retry-after", "60")) == ["reply 500"]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_a_503_of_a_partner_leads_to_another_address_of_it_once(method: str) -> None:
    """It drains, or has too much to do; its name may have more servers (RFC 3263 section 4.3)."""
    call = Call(A_PARTNER, method=method)
    assert call.gets(503, 0, ("retry-after", "60")) == ["start 1 partner.test elsewhere"]
    assert call.gets(503, 1) == ["reply 500"]
    reached = Call(A_PARTNER, method=method)
    reached.gets(503)
    assert reached.gets(200, 1) == ["reply 200"]
    alone = Call(A_PARTNER, method=method)
    alone.gets(503)
    assert alone.loses(1) == ["reply 500"]


def test_a_503_of_a_partner_to_a_call_that_was_cancelled_leads_nowhere() -> None:
    call = Call(A_PARTNER)
    call.cancels()
    assert call.gets(503) == ["reply 487"]


def test_a_503_of_the_server_of_a_flow_leads_to_the_spare_flow_of_the_device() -> None:
    """That server drains or has too much to do; what its phone answers with 503 comes from it as 500."""
    call = Call(replace(AFAR, spares=(PHONE,)))
    assert call.gets(503) == ["start 1 1"]
    assert call.gets(200, 1) == ["reply 200"]


def test_a_503_of_a_phone_leads_to_no_spare_flow() -> None:
    assert Call(SPARED).gets(503) == ["reply 500"]


@pytest.mark.parametrize(
    ("method", "before", "words"),
    [
        ("INVITE", [], ["reply 503"]),
        ("INVITE", [180], ["cancel 0", "reply 503"]),
        ("MESSAGE", [], ["reply 503"]),
        ("MESSAGE", [404], []),
        ("INVITE", [200], []),
    ],
)
def test_request_that_is_given_up_has_its_final_response_then(method: str, before: list[int], words: list[str]) -> None:
    """RFC 3261 section 21.5.4: its sender may try elsewhere at once. What is answered already gets nothing more."""
    call = Call(PHONE, method=method)
    for status in before:
        call.gets(status)
    effects = call.context.give_up("5")
    assert told(effects) == words
    assert [one.response.values("retry-after") for one in effects if isinstance(one, SendResponse)] in ([], [["5"]])
    assert call.gets(404) == []
    assert call.context.give_up("5") == []


@pytest.mark.parametrize(("target", "waits"), [(PHONE, []), (A_PARTNER, []), (AFAR, ["7"]), (ONE_SERVER, ["7"])])
def test_retry_after_counts_from_servers_of_ours_only(target: Target, waits: list[str]) -> None:
    """A 503 of a phone or a partner says nothing about the network."""
    call = Call(target, method="MESSAGE")
    effects = call.context.responded(0, response(503, ("retry-after", "7")))
    if target is A_PARTNER:
        effects = call.context.responded(1, response(503, ("retry-after", "7")))
    [sent] = [effect.response for effect in effects if isinstance(effect, SendResponse)]
    assert (sent.status, sent.values("retry-after")) == (500, waits)


@pytest.mark.parametrize("target", [PHONE, AFAR, ONE_SERVER])
def test_no_503_is_forwarded(target: Target) -> None:
    """The sender of the request would stop all requests to us because of one phone."""
    assert Call(target).gets(503) == ["reply 500"]


def test_user_is_looked_up_here_only_if_its_server_is_unreachable() -> None:
    """A phone that is too busy lives, and it alone knows which device the dialog is with."""
    target = ServerTarget(("a.test",), LinkKind.SERVER, BOB, instead=replace(PHONE, found=Found.DIALOG, past=1))
    call = Call(target)
    assert call.loses() == ["start 1 1"]
    assert call.loses(1) == ["reply 503"]
    assert Call(target).gets(503) == ["reply 500"]
    assert Call(target).gets(404) == ["reply 404"]


def test_a_430_of_another_server_of_the_pool_drops_the_row_and_tries_the_next_flow() -> None:
    """RFC 5626 section 5.3.1."""
    call = Call(replace(AFAR, spares=(PHONE,)))
    assert call.gets(430) == ["forget", "start 1 1"]
    assert call.loses(1) == ["reply 480"]


@pytest.mark.parametrize(("status", "goes_on"), [(408, True), (430, True), (404, False), (480, False), (486, False)])
def test_next_flow_of_a_device_is_tried_after_a_408_or_430_only(status: int, *, goes_on: bool) -> None:
    """RFC 5626 section 7. The servers of a name are no flows: the answer of one is that of all."""
    assert Call(SPARED).gets(status) == (["start 1 2"] if goes_on else [f"reply {status}"])
    assert Call(replace(AFAR, spares=(PHONE,))).gets(status)[-1] == ("start 1 1" if goes_on else f"reply {status}")
    assert Call(PHONE).gets(status) == [f"reply {status}"]
    assert Call(TWO_SERVERS).gets(status) == [f"reply {status}"]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_next_flow_of_a_device_is_tried_after_a_timeout(method: str) -> None:
    call = Call(SPARED, method=method)
    assert call.times_out() == ["start 1 2"]
    assert call.gets(200, 1) == ["reply 200"]


def test_phone_that_rings_is_not_called_again_on_its_other_flow() -> None:
    """Timer C: the request has arrived."""
    call = Call(SPARED)
    call.gets(180)
    assert call.times_out() == ["cancel 0"]
    assert call.gets(487) == ["reply 408"]


# Phones that answer nothing, while there is an answer without them


def test_busy_of_one_device_waits_a_moment_for_a_silent_one() -> None:
    """An old link, whose phone is gone: its branch would be answered after 32 s (RFC 3261 timer B)."""
    call = Call(PHONE, DESK)
    assert call.gets(486) == ["await silent"]
    assert call.leaves() == ["reply 486"]
    assert call.leaves() == []
    assert call.times_out(1) == []


def test_silent_phone_that_rings_in_time_is_waited_for() -> None:
    call = Call(PHONE, DESK)
    call.gets(486)
    assert call.gets(100, 1) == []
    assert call.leaves() == []
    assert call.gets(200, 1) == ["reply 200"]


@pytest.mark.parametrize(("late", "effects"), [(180, ["cancel 1"]), (200, ["reply 200"]), (486, [])])
def test_phone_that_was_left_as_silent_is_cancelled_when_it_rings(late: int, effects: list[str]) -> None:
    """Each 2xx to an INVITE is forwarded (RFC 3261 section 16.7 item 5)."""
    call = Call(PHONE, DESK)
    call.gets(486)
    call.leaves()
    assert call.gets(late, 1) == effects


@pytest.mark.parametrize("status", [408, 480])
def test_answer_of_ours_for_a_lost_flow_is_no_reason_to_hurry(status: int) -> None:
    call = Call(PHONE, DESK)
    assert call.gets(status) == []
    assert call.leaves() == []


def test_phone_that_rings_and_a_server_that_is_silent_are_waited_for() -> None:
    assert Call(PHONE, TWO_SERVERS).gets(486) == []
    call = Call(PHONE, DESK)
    call.gets(180, 1)
    assert call.gets(486) == []
    assert Call(PHONE, DESK, method="MESSAGE").gets(486) == []


def test_other_flow_of_a_silent_device_is_tried_before_it_is_left() -> None:
    call = Call(LAPTOP, SPARED)
    assert call.gets(486) == ["await silent"]
    assert call.leaves() == ["start 2 2", "await silent"]
    assert call.leaves() == ["reply 486"]


def test_next_group_is_called_once_the_silent_phones_are_left() -> None:
    call = Call(PHONE, DESK, replace(LAPTOP, q=0.5))
    call.gets(486)
    assert call.leaves() == ["start 2 3"]
    assert call.gets(180, 1) == ["reply 180"]
    assert call.gets(200, 2) == ["reply 200", "cancel 1"]


def test_caller_that_cancels_and_a_decline_wait_no_longer_for_a_silent_phone() -> None:
    call = Call(PHONE)
    assert call.cancels() == ["await silent"]
    assert call.leaves() == ["reply 487"]
    assert call.gets(180) == ["cancel 0"]
    declined = Call(PHONE, DESK)
    assert declined.gets(603) == ["await silent"]
    assert declined.leaves() == ["reply 603"]


def test_server_that_asks_for_a_flow_of_ours_gets_the_100_of_the_phone() -> None:
    """It has answered the caller, and counts a phone that sends none as silent."""
    call = Call(replace(PHONE, found=Found.TOKEN))
    assert (call.context.by_token, Call(PHONE).context.by_token) == (True, False)
    assert call.gets(100) == ["reply 100"]
    assert call.gets(180) == ["reply 180"]
    assert Call(PHONE).gets(100) == []


def test_the_row_that_is_forgotten_is_the_tried_one() -> None:
    other = RemoteFlowTarget(row("sip:bob@other", server=FE2), "sip:bob@other")
    context = ResponseContext.of(request(), (replace(AFAR, spares=(other,)),))
    context.start()
    context.responded(0, response(430))
    assert context.responded(1, response(430))[0] == Forget(other)


@pytest.mark.parametrize("end", ["cancel", "603", "200"])
@pytest.mark.parametrize("last", ["lost", "430", "503"])
def test_no_other_way_is_tried_once_the_search_has_ended(end: str, last: str) -> None:
    target: Target = TWO_SERVERS if last == "503" else replace(AFAR, spares=(PHONE,))
    call = Call(PHONE, target)
    call.takes(end)
    words = call.loses(1) if last == "lost" else call.gets(int(last), 1)
    assert not any(word.startswith("start") for word in words)


@pytest.mark.parametrize("late", [503, 430, 0])
def test_no_other_way_is_tried_once_the_time_has_run_out(late: int) -> None:
    call = Call(TWO_SERVERS if late == 503 else replace(AFAR, spares=(PHONE,)))
    call.gets(180)
    assert call.times_out() == ["cancel 0"]
    words = call.gets(late) if late else call.loses()
    assert [word for word in words if word != "forget"] == ["reply 408"]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (PHONE, 480),
        (AFAR, 480),
        (replace(PHONE, found=Found.TOKEN), 430),
        (replace(PHONE, found=Found.DIALOG), 430),
        (ONE_SERVER, 503),
    ],
)
def test_status_of_a_lost_way_depends_on_how_it_was_found(target: Target, status: int) -> None:
    assert Call(target).loses() == [f"reply {status}"]


# CANCEL and time


def test_cancel_ends_all_branches_with_the_senders_reasons() -> None:
    call = Call(PHONE, DESK, replace(LAPTOP, q=0.5))
    call.gets(180, 0)
    assert call.context.cancel(BUSY_REASON) == [Cancel(0, BUSY_REASON)]
    assert call.context.responded(1, response(100)) == [Cancel(1, BUSY_REASON)]
    assert call.gets(487, 0) == []
    assert call.gets(487, 1) == ["reply 487"]


def test_a_2xx_that_crosses_the_cancel_goes_back() -> None:
    call = Call(PHONE)
    call.gets(180)
    call.cancels()
    assert call.gets(200) == ["reply 200"]


def test_a_cancel_after_the_end_changes_nothing() -> None:
    call = Call(PHONE)
    call.gets(200)
    assert call.cancels() == []


def test_a_cancel_before_anything_started_is_answered_487() -> None:
    context = ResponseContext.of(request(), (PHONE,))
    context.cancel()
    assert told(context.start()) == ["reply 487"]


def test_a_branch_that_rings_too_long_is_cancelled_and_waited_for_once_more() -> None:
    """Timer C (RFC 3261 section 16.8)."""
    call = Call(PHONE)
    call.gets(180)
    assert call.times_out() == ["cancel 0"]
    assert call.context.branches[0].state is BranchState.CANCELLING
    assert call.times_out() == ["reply 408"]
    assert not call.context.running


def test_a_late_branch_makes_room_for_the_next_group() -> None:
    call = Call(PHONE, replace(LAPTOP, q=0.5))
    assert call.times_out() == ["start 1 3"]
    assert call.gets(200, 1) == ["reply 200"]


def test_a_real_answer_to_another_request_goes_before_silence() -> None:
    call = Call(PHONE, DESK, method="MESSAGE")
    assert call.times_out() == []
    assert call.gets(404, 1) == ["reply 404"]


def test_request_without_targets_is_a_local_error() -> None:
    with pytest.raises(LocalError, match="MESSAGE"):
        ResponseContext.of(request("MESSAGE"), ()).start()


# In all cases

targets = st.lists(
    st.sampled_from(
        [PHONE, DESK, replace(LAPTOP, q=0.5), SPARED, AFAR, replace(AFAR, spares=(PHONE,)), TWO_SERVERS, A_PARTNER]
    ),
    min_size=1,
    max_size=4,
)
happenings = st.lists(st.tuples(st.sampled_from([*INPUTS, "401", "430", "503", "302"]), st.integers(0, 7)), max_size=25)


@given(targets, happenings, st.sampled_from(["INVITE", "MESSAGE"]))
def test_one_final_answer_goes_back_and_each_way_is_tried_at_most_once(
    ways: list[Target], events: list[tuple[str, int]], method: str
) -> None:
    context = ResponseContext.of(request(method), tuple(ways))
    effects = context.start()
    for given_, number in events:
        effects += happened(context, given_, number % len(context.branches), method)
    for number in range(100):  # in the end every branch times out, twice
        effects += context.timed_out(number // 2) if number // 2 in context.branches else []
    finals = [one.response.status for one in effects if isinstance(one, SendResponse) and one.response.status >= 200]
    assert len([status for status in finals if status >= 300]) + sum(isinstance(one, Silence) for one in effects) <= 1
    assert context.answered
    assert not context.running
    most = sum(len(ways_to(way)) + (way is A_PARTNER) for way in ways)
    assert sum(isinstance(one, Start) for one in effects) <= most
    assert len({one.number for one in effects if isinstance(one, Cancel)}) == sum(
        isinstance(one, Cancel) for one in effects
    )
    if method != "INVITE":
        assert 408 not in finals
        assert len(finals) <= 1


def happened(context: ResponseContext, given_: str, number: int, method: str) -> list[Effect]:
    if given_.isdigit():
        return context.responded(number, response(int(given_), method=method))
    if given_ == "cancel":
        return context.cancel() if method == "INVITE" else []
    return context.lost(number) if given_ == "lost" else context.timed_out(number)


def test_refused_provisional_response_cancels_the_branch_and_counts_as_its_response() -> None:
    call = Call(PHONE, DESK)
    assert call.gets(180, 1) == ["reply 180"]
    assert told(call.context.refuse(0, response(488), BUSY_REASON)) == ["cancel 0"]
    assert told(call.context.refuse(0, response(488), BUSY_REASON)) == []
    assert call.gets(487, 0) == []
    assert call.gets(486, 1) == ["reply 488"]


def test_refused_provisional_response_of_a_branch_that_is_cancelled_needs_no_second_cancel() -> None:
    call = Call(PHONE)
    call.gets(180)
    assert call.cancels() == ["cancel 0"]
    assert told(call.context.refuse(0, response(488), BUSY_REASON)) == []
    assert call.gets(487) == ["reply 487"]
    assert told(call.context.refuse(0, response(488), BUSY_REASON)) == []


@pytest.mark.parametrize("first", ["404", "lost"])
def test_server_that_does_not_know_a_contact_says_nothing_about_it(first: str) -> None:
    """Whether it answers or is down: the answer of the phone at another server counts."""
    here, there = (ServerTarget((name,), LinkKind.SERVER, BOB, asks=True) for name in ("a.test", "b.test"))
    call = Call(here, there)
    assert call.takes(first) == []
    assert call.gets(486, 1) == ["reply 486"]
    nowhere = Call(here, there)
    nowhere.takes(first)
    assert nowhere.loses(1) == ["reply 404"]
    assert Call(ONE_SERVER).loses() == ["reply 503"]


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_call_that_a_trunk_cannot_carry_goes_to_the_next_one(status: int) -> None:
    call = Call(TWO_TRUNKS)
    assert call.started == ["start 0 first.test", "await silent"]
    assert call.gets(status) == ["start 1 second.test", "await silent again"]
    assert call.gets(200, 1) == ["reply 200"]


@pytest.mark.parametrize("status", [403, 404, 480, 486, 603])
def test_refusal_of_the_callee_ends_the_search_for_a_trunk(status: int) -> None:
    assert Call(TWO_TRUNKS).gets(status) == [f"reply {status}"]


def test_last_trunk_decides_how_the_call_ends() -> None:
    call = Call(TWO_TRUNKS)
    call.gets(504)
    assert call.gets(486, 1) == ["reply 486"]


def test_trunk_that_cannot_be_reached_is_passed_over() -> None:
    assert Call(TWO_TRUNKS).loses() == ["start 1 second.test"]


def test_silent_trunk_is_left_and_cancelled_if_it_answers_later() -> None:
    call = Call(TWO_TRUNKS)
    assert told(call.context.leave_silent()) == ["start 1 second.test", "await silent again"]
    assert told(call.context.leave_silent()) == []
    assert call.gets(180) == ["cancel 0"]
    assert call.gets(487) == []
    assert call.gets(200, 1) == ["reply 200"]


def test_trunk_that_rings_is_not_left() -> None:
    call = Call(TWO_TRUNKS)
    assert call.gets(180) == ["reply 180"]
    assert told(call.context.leave_silent()) == []


def test_call_that_was_cancelled_goes_to_no_other_trunk() -> None:
    call = Call(TWO_TRUNKS)
    call.gets(100)
    assert told(call.context.cancel()) == ["cancel 0"]
    assert call.gets(503) == ["reply 487"]


# What rings beside a user of another pool

CAROL_BESIDE = (Diversion(BOB, "sip:carol@example.test", Reason.FOLLOW_ME),)
FOLLOW_ME = ("diversion", f"<{BOB}>;reason=follow-me;counter=1")


def to_carol(expires: str = "") -> tuple[str, str]:
    return ("contact", f"<sip:carol@example.test>{expires}")


def beside() -> Forward:
    return Forward((LAPTOP,), None, CallHandling("sip:carol@example.test", NO_RULES, CAROL_BESIDE))


def ringing_beside(expires: str = "") -> tuple[Call, list[Effect]]:
    """A call to another pool, which has had carol ring beside; and what it has asked for."""
    call = Call(ONE_SERVER)
    asked = call.context.responded(0, response(181, FOLLOW_ME, to_carol(expires), method="INVITE"))
    assert told(call.context.diverted(beside())) == ["start 1 3"]
    return call, asked


@pytest.mark.parametrize(("expires", "seconds"), [("", []), (";expires=20", [23])])
def test_home_pool_has_others_ring_for_as_long_as_it_says(expires: str, seconds: list[int]) -> None:
    """A little longer: the home pool may have another target then. The caller gets no such response."""
    _, asked = ringing_beside(expires)
    assert isinstance(asked[0], Divert)
    assert [one.handling.ring_s for one in asked[1:] if isinstance(one, AwaitAnswer)] == seconds


@pytest.mark.parametrize("target", [PHONE, AFAR, A_PARTNER])
def test_no_other_side_has_others_ring(target: Target) -> None:
    call = Call(target)
    [sent] = call.context.responded(0, response(181, FOLLOW_ME, to_carol(), method="INVITE"))
    assert isinstance(sent, SendResponse)
    assert (sent.response.status, sent.response.has("diversion")) == (181, False)


@pytest.mark.parametrize(("reason", "waits"), [("user-busy", True), ("away", True), ("no-answer", False)])
def test_next_target_waits_for_what_rings_beside_unless_that_has_rung_in_vain(*, reason: str, waits: bool) -> None:
    call, _ = ringing_beside()
    call.gets(180, 1)
    diversion = ("diversion", f"<{BOB}>;reason={reason};counter=1")
    effects = call.context.responded(0, response(302, diversion, to_carol(), method="INVITE"))
    assert [isinstance(one, Divert) for one in effects] == ([] if waits else [False, True])
    assert told(effects) == ([] if waits else ["cancel 1"])
    if waits:
        [found] = call.context.responded(1, response(603, method="INVITE"))
        assert isinstance(found, Divert)


def test_what_rings_beside_ends_alone_once_its_time_is_over() -> None:
    call, asked = ringing_beside(";expires=20")
    call.gets(180, 1)
    [timer] = [one.handling for one in asked if isinstance(one, AwaitAnswer)]
    assert told(call.context.rung_out(timer)) == ["cancel 1"]
    assert call.context.rung_out(timer) == []
    assert call.gets(486) == []
    assert call.gets(487, 1) == ["reply 486"]


def test_first_server_has_others_ring_and_finds_what_comes_after_them() -> None:
    """What the home pool does that is not the first server."""
    rules = CallRules(also=("sip:carol@example.test",), busy="sip:dora@example.test", ring_s=20)
    context = ResponseContext.of(request("INVITE"), (PHONE,), CallHandling(BOB, rules))
    wanted = [one for one in context.begin() if isinstance(one, Divert)]
    assert [one.by_first for one in wanted] == [False]
    redirection = response(302, FOLLOW_ME, to_carol(), method="INVITE")
    [sent] = context.not_diverted(wanted[0], redirection)
    assert isinstance(sent, SendResponse)
    assert (sent.response.status, sent.response.values("contact")) == (181, ["<sip:carol@example.test>;expires=20"])
    [found] = context.responded(0, response(486, method="INVITE"))
    assert isinstance(found, Divert)
    assert found.by_first


def test_what_cannot_ring_beside_changes_nothing() -> None:
    call = Call(ONE_SERVER)
    [wanted] = call.context.responded(0, response(181, FOLLOW_ME, to_carol(), method="INVITE"))
    assert isinstance(wanted, Divert)
    assert call.context.not_diverted(wanted, response(403, method="INVITE")) == []
    assert call.gets(486) == ["reply 486"]


ONWARD = ToUser(BOB, None, is_screened=True)


@pytest.mark.parametrize(
    ("status", "passes", "wanted"),
    [
        (503, True, ["divert"]),
        (500, True, ["divert"]),
        (408, True, ["divert"]),
        (603, True, ["reply 603"]),
        (486, True, ["reply 486"]),
        (503, False, ["divert"]),
        (603, False, ["reply 603"]),
    ],
)
def test_call_goes_on_past_an_application_that_is_away(status: int, passes: bool, wanted: list[str]) -> None:  # noqa: FBT001
    """And only then: its refusal of the call counts. It lets no call on later. What it answers later changes nothing."""
    context = ResponseContext.of(request("INVITE"), (ONE_SERVER,), Screening(ONWARD, "bot.test", passes, "token"))
    assert told(context.start()) == ["start 0 a.test", "await silent again"]
    effects = context.responded(0, response(status))
    if not isinstance(effects[0], Divert):
        assert told([effects.pop(0)]) == ["end screening"]
    assert ["divert" if isinstance(effect, Divert) else told([effect])[0] for effect in effects] == wanted
    if not passes and isinstance(effects[0], Divert):
        why = "bot.test, which screens the calls to sip:bob@example.test, does not answer"
        assert effects[0].onward == Answer(500, headers=(("Retry-After", "5"),), why=why)
        assert told(context.not_diverted(effects[0], response(500))) == ["reply 500"]
    elif effects and isinstance(effects[0], Divert):
        assert effects[0].onward is ONWARD
        assert told(context.diverted(Forward((PHONE,), None))) == ["start 1 1"]
        assert told(context.responded(1, response(200))) == ["reply 200"]


def test_silent_application_is_away() -> None:
    context = ResponseContext.of(
        request("INVITE"), (ONE_SERVER,), Screening(ONWARD, "bot.test", passes=True, token="t")
    )
    context.start()
    [divert] = context.leave_silent()
    assert isinstance(divert, Divert)
    assert (divert.screening, divert.failed_with) == (Screening(ONWARD, "bot.test", passes=True, token="t"), 0)
    assert told(context.responded(0, response(180))) == ["cancel 0"]


@pytest.mark.parametrize(("status", "wanted"), [(180, ["cancel 0"]), (603, []), (503, [])])
def test_next_server_of_a_silent_application_decides(status: int, wanted: list[str]) -> None:
    """The first one lets no call on from now, and what it answers later does not count."""
    servers = ServerTarget(("a.test", "b.test"), LinkKind.SERVER, BOB, through="<sip:bot.test;lr>")
    screening = Screening(ONWARD, "bot.test", passes=True, token="t")
    context = ResponseContext.of(request("INVITE"), (servers,), screening)
    assert told(context.start()) == ["start 0 a.test", "await silent again"]
    effects = context.leave_silent()
    assert effects[0] == EndScreening(screening, "a.test")
    assert told(effects[1:]) == ["start 1 b.test", "await silent again"]
    assert told(context.responded(0, response(status))) == wanted
    assert told(context.responded(1, response(100))) == []
    assert told(context.leave_silent()) == []
    assert told(context.responded(1, response(486))) == (["end screening", "reply 486"] if status != 180 else [])
    if status == 180:
        assert told(context.responded(0, response(487))) == ["end screening", "reply 486"]


def test_silent_application_refuses_no_call_for_which_phones_ring() -> None:
    server = replace(ONE_SERVER, through="<sip:bot.test;lr>")
    context = ResponseContext.of(request("INVITE"), (server,), Screening(ONWARD, "bot.test", passes=True, token="t"))
    context.start()
    context.leave_silent()
    context.diverted(Forward((PHONE,), None))
    assert told(context.responded(1, response(180))) == ["reply 180"]
    assert told(context.responded(0, response(603))) == []
    assert told(context.responded(1, response(200))) == ["reply 200"]


def test_application_that_cannot_be_reached_is_one_for_the_other_servers_of_the_pool() -> None:
    """They may have a link to it: a server before us tries them after a 503."""
    context = ResponseContext.of(
        request("INVITE"), (ONE_SERVER,), Screening(ONWARD, "bot.test", passes=False, token="t")
    )
    context.start()
    divert = context.lost(0)[-1]
    assert isinstance(divert, Divert)
    assert isinstance(divert.onward, Answer)
    assert divert.onward.status == 503


@pytest.mark.parametrize(("status", "wanted"), [(100, ["cancel 0"]), (183, ["cancel 0"])])
def test_application_that_decides_nothing_is_not_awaited_after_its_cancel(status: int, wanted: list[str]) -> None:
    """After a 183 its final response is awaited: it may have let the call on. In no case do its later answers count."""
    context = ResponseContext.of(
        request("INVITE"), (ONE_SERVER,), Screening(ONWARD, "bot.test", passes=True, token="t")
    )
    context.start()
    context.responded(0, response(status))
    effects = context.timed_out(0)
    assert told(effects) == wanted
    assert isinstance(effects[-1], Divert) == (status == 100)
    assert told(context.responded(0, response(487))) == ([] if status == 100 else ["end screening", "reply 408"])


def test_answer_of_an_application_that_was_away_does_not_count_for_the_next_one() -> None:
    context = ResponseContext.of(
        request("INVITE"), (ONE_SERVER,), Screening(ONWARD, "bot.test", passes=True, token="t")
    )
    context.start()
    context.responded(0, response(100))
    context.timed_out(0)
    other = Screening(ONWARD, "other.test", passes=True, token="o")
    assert told(context.diverted(Forward((ONE_SERVER,), None, other))) == ["start 1 a.test", "await silent again"]
    context.responded(0, response(180))
    context.responded(1, response(100))
    assert told(context.timed_out(1)) == ["cancel 1"]


def test_application_lets_a_call_on_until_its_caller_takes_it_back() -> None:
    """It has accepted the call of the second row: a CANCEL that comes too late changes nothing."""
    for status, wanted in ((180, ["end screening", "cancel 0"]), (200, [])):
        context = ResponseContext.of(
            request("INVITE"), (ONE_SERVER,), Screening(ONWARD, "bot.test", passes=False, token="t")
        )
        context.start()
        context.responded(0, response(status))
        assert told(context.cancel()) == wanted


def test_forwarded_call_is_screened_with_its_history() -> None:
    """Its next user has an application too."""
    chain = (Diversion("sip:carol@example.test", BOB, Reason.NO_ANSWER),)
    context = ResponseContext.of(
        request("INVITE"), (PHONE,), CallHandling("sip:carol@example.test", CallRules(busy=BOB))
    )
    context.begin()
    assert isinstance(context.responded(0, response(486))[-1], Divert)
    screening = Screening(ToUser(BOB, None, chain=chain, is_screened=True), "bot.test", passes=True, token="t")
    [start, _] = context.diverted(Forward((ONE_SERVER,), None, screening))
    assert isinstance(start, Start)
    assert start.chain == chain
