"""The claims are compared with the request that carries them, and a token counts for one request."""

from __future__ import annotations

import pytest

from routing.messages import ALICE, CAROL, request
from sipmesh.errors import RemoteError
from sipmesh.routing.passport.claims import claims_of
from sipmesh.routing.passport.verification import FRESH_S, MOST_REMEMBERED, PassportUse, Replays, call_of, check_claims
from sipmesh.sip.message import Request
from sipmesh.sip.text_cache import LONGEST_KEY
from support.descriptions import CRYPTO, DTLS, FINGERPRINT, SDES, SDP, multipart, with_body

NOW = 1_700_000_000
OTHER = FINGERPRINT.replace(b"AB", b"CD")


def signed() -> Request:
    return with_body(request(), DTLS)


def status(checked: Request, now: int = NOW) -> int:
    """Check the claims of the signed request against another one."""
    try:
        check_claims(claims_of(signed(), NOW, "example.test"), checked, now)
    except RemoteError as refused:
        return refused.status
    return 0


@pytest.mark.parametrize(("late", "refused"), [(-61, 403), (-60, 0), (0, 0), (FRESH_S, 0), (FRESH_S + 1, 403)])
def test_claims_are_fresh_for_a_minute(late: int, refused: int) -> None:
    assert status(signed(), NOW + late) == refused


@pytest.mark.parametrize(
    ("checked", "refused"),
    [
        (with_body(request(), DTLS), 0),
        (with_body(request(), DTLS.replace(b"AB", b"AC", 1)), 438),
        (with_body(request(), SDES), 438),
        (with_body(request(), DTLS + OTHER.replace(b"fingerprint", b"Fingerprint")), 438),
        (with_body(request(), DTLS + OTHER.replace(b"fingerprint", b"fingerprint ")), 438),
        (with_body(request(), DTLS + OTHER.replace(b"a=", b"a=acap:1 ")), 438),
        (with_body(request(), DTLS.replace(b"UDP/TLS/RTP/SAVPF", b"RTP/SAVP") + CRYPTO), 438),
        (with_body(request(), DTLS.replace(b"UDP/TLS/RTP/SAVPF", b"RTP/SAVP") + b"a=acap:1 " + CRYPTO[2:]), 438),
        (with_body(request(), DTLS + b"m=audio 5006 RTP/SAVP 0\r\n" + CRYPTO), 438),
        (with_body(request(), DTLS.replace(b"UDP/TLS/RTP/SAVPF", b"RTP/AVP")), 438),
        (with_body(request(), multipart((SDP, DTLS), (SDP, SDES)), "multipart/alternative;boundary=b1"), 438),
        (with_body(request(), multipart((SDP, DTLS), ("text/plain", b"hi")), "multipart/mixed;boundary=b1"), 0),
        (with_body(request(), DTLS + b"m=audio 0 RTP/AVP 0\r\n"), 0),
        (request(), 438),
        (with_body(request(sender=CAROL), DTLS), 438),
        (with_body(request(to=ALICE), DTLS), 438),
        (with_body(request("INVITE", ALICE), DTLS), 438),
        (with_body(request("INVITE", "sip:bob@192.0.2.9", to_tag="2"), DTLS), 0),
    ],
)
def test_claims_are_those_of_one_call(checked: Request, refused: int) -> None:
    """Inside a dialog the Request-URI is a Contact, which is not signed."""
    assert status(checked) == refused


CALL = call_of(request())


def test_token_counts_for_one_request_which_may_come_again() -> None:
    replays = Replays()
    other = call_of(replace_call_id(request()))
    assert not replays.is_replayed("a", CALL, NOW)
    assert not replays.is_replayed("a", CALL, NOW + 1)
    assert replays.is_replayed("a", other, NOW + 1)
    assert not replays.is_replayed("b", other, NOW + 1)


def test_long_call_id_is_distinguished_and_not_kept() -> None:
    """A partner chooses the Call-ID of each call that it signs, and 10,000 of them are remembered."""
    one, other = (call_of(replace_call_id(request(), 30_000 * letter)) for letter in "ab")
    assert one != other
    assert max(len(one), len(other)) <= LONGEST_KEY


def replace_call_id(changed: Request, call_id: str = "another") -> Request:
    changed.replace("call-id", call_id)
    return changed


def test_full_memory_refuses_until_old_tokens_are_no_longer_fresh() -> None:
    replays = Replays()
    for number in range(MOST_REMEMBERED):
        assert not replays.is_replayed(str(number), CALL, NOW)
    assert replays.is_replayed("one more", CALL, NOW + 2 * FRESH_S)
    assert not replays.is_replayed("one more", CALL, NOW + 2 * FRESH_S + 1)


def test_token_of_another_process_counts_for_its_request_alone_until_it_is_no_longer_fresh() -> None:
    """It takes no place of ours, and a process that starts gets it too."""
    replays, use = Replays(), PassportUse("sbc.test", "a", CALL, NOW)
    assert not replays.used_elsewhere(use)
    assert not replays.is_replayed("a", CALL, NOW)
    assert replays.is_replayed("a", "another", NOW)
    assert list(replays.uses("sbc.test")) == [use]
    later = use._replace(mark="b", at=NOW + 2 * FRESH_S + 1)
    assert not replays.used_elsewhere(later)
    assert list(replays.uses("sbc.test")) == [later]


def test_token_is_known_after_this_or_another_process_has_accepted_it() -> None:
    replays = Replays()
    replays.is_replayed("a", CALL, NOW)
    replays.used_elsewhere(PassportUse("sbc.test", "b", CALL, NOW))
    assert [replays.knows(mark) for mark in "abc"] == [True, True, False]


def test_token_that_two_processes_accept_in_the_same_instant_is_noticed() -> None:
    replays = Replays()
    assert not replays.is_replayed("a", CALL, NOW)
    assert not replays.used_elsewhere(PassportUse("sbc.test", "a", CALL, NOW))
    assert replays.used_elsewhere(PassportUse("sbc.test", "a", "another", NOW))


def test_token_without_a_request_that_may_come_again_counts_once() -> None:
    replays, use = Replays(), PassportUse("bot.test", "a", "", NOW)
    assert not replays.is_replayed("a", "", NOW)
    assert replays.is_replayed("a", "", NOW)
    assert replays.used_elsewhere(use)
    other = Replays()
    assert not other.used_elsewhere(use)
    assert other.is_replayed("a", "", NOW)


def test_tokens_of_this_server_are_all_remembered_for_two_minutes() -> None:
    """Each is made for one call: no caller takes a place from another one."""
    replays = Replays()
    for number in range(MOST_REMEMBERED + 1):
        assert not replays.is_replayed(str(number), "", NOW)
    for number in (0, MOST_REMEMBERED):
        assert replays.is_replayed(str(number), "", NOW + 2 * FRESH_S)
    assert not replays.is_replayed("later", "", NOW + 2 * FRESH_S + 1)
    assert [use.mark for use in replays.uses("bot.test")] == ["later"]


@pytest.mark.parametrize("call", ["", CALL])
def test_clock_that_was_ahead_leaves_no_tokens_behind(call: str) -> None:
    """A token of that time is not fresh any longer: see `check_claims`."""
    replays = Replays()
    assert not replays.is_replayed("ahead", call, NOW + 86_400)
    assert not replays.is_replayed("now", call, NOW)
    assert [use.mark for use in replays.uses("bot.test")] == ["now"]
