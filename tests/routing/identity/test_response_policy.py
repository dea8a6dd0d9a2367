import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.messages import ALICE, BOB, BOBS, CAROL, FROM_BOT, FROM_PARTNER, OURS, PARTNERS, request
from sipmesh.errors import RemoteError
from sipmesh.routing.identity.border import Border
from sipmesh.routing.identity.realm import Realms
from sipmesh.routing.identity.response_policy import repeats, restore, settle
from sipmesh.sip.message import Response, respond
from sipmesh.sip.rows import TO, rows_of

BORDER = Border(Realms(OURS, PARTNERS), PARTNERS)
ASKED = request("MESSAGE", BOB)


def answered(status: int = 200, *headers: tuple[str, str]) -> Response:
    return respond(ASKED, status, headers=headers, to_tag="b")


def settled(response: Response) -> Response:
    settle(response, ASKED, BOBS, BORDER, "fe1.example.test")
    return response


def test_a_response_that_repeats_its_request_stays_byte_for_byte() -> None:
    before = answered().encode()
    assert repeats(answered(), ASKED)
    assert settled(answered()).encode() == before


def test_a_phone_may_write_the_fields_of_its_response_in_its_own_order() -> None:
    """PJSIP and baresip do: such a response passes as it came, and nothing of it is written again."""
    response = answered()
    response.keep(sorted(response.rows, key=lambda row: row.name))
    before = response.encode()
    assert repeats(response, ASKED)
    assert settled(response).encode() == before


@pytest.mark.parametrize("field", ["via", "from", "to", "call-id", "cseq"])
def test_a_response_without_a_field_or_with_two_of_it_does_not_repeat_its_request(field: str) -> None:
    without, twice = answered(), answered()
    without.remove(field)
    twice.append(field, answered().values(field)[0])
    assert not repeats(without, ASKED)
    assert not repeats(twice, ASKED)


def test_vias_in_another_order_do_not_repeat_those_of_the_request() -> None:
    asked = request("MESSAGE", BOB)
    asked.prepend("via", "SIP/2.0/TLS 192.0.2.9:5061;branch=z9hG4bKnext")
    turned = respond(asked, 200)
    vias = [row for row in turned.rows if row.name == "via"]
    turned.keep([*reversed(vias), *[row for row in turned.rows if row.name != "via"]])
    assert not repeats(turned, asked)
    assert repeats(respond(asked, 200), asked)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("from", f'"Boss" <{CAROL}>;tag=1'),
        ("to", f"<{CAROL}>;tag=b"),
        ("to", f'"Boss" <{BOB}>;tag=b'),
        ("via", "SIP/2.0/TLS 192.0.2.9:5061;branch=z9hG4bKother"),
    ],
)
def test_repeated_fields_are_restored_from_the_request(field: str, value: str) -> None:
    forged = answered()
    forged.replace(field, value)
    told = settled(forged)
    assert told.values("from") == ASKED.values("from")
    assert told.values("via") == ASKED.values("via")
    assert told.values("to") == [f"<{BOB}>;tag=b"]
    assert told.to.tag == "b"


@pytest.mark.parametrize(("status", "expected"), [(180, False), (200, True)])
def test_to_with_the_tag_of_a_final_response_is_expected_in_the_requests_of_its_dialog(
    status: int, *, expected: bool
) -> None:
    asked = request("INVITE", f"sip:bob{status}@example.test")
    ringing = respond(asked, status, to_tag="b")
    restore(ringing, asked)
    row = ringing.row(TO)
    assert (rows_of([row.line])[0] is row) is expected
    assert (row.address.uri, row.address.tag, row.address.is_sip) == (asked.to.uri, "b", True)


@pytest.mark.parametrize(("field", "value"), [("call-id", "x"), ("cseq", "9 MESSAGE"), ("from", f"<{ALICE}>;tag=9")])
def test_a_response_to_another_request_is_its_senders_fault(field: str, value: str) -> None:
    forged = answered()
    forged.replace(field, value)
    with pytest.raises(RemoteError):
        settled(forged)


def test_response_cannot_change_an_existing_to_tag() -> None:
    asked = request("BYE", BOB, to_tag="2")
    forged = respond(asked, 200)
    forged.replace("to", f"<{BOB}>;tag=9")
    restore(forged, asked)
    assert forged.to.tag == "2"


@pytest.mark.parametrize("status", [401, 407])
def test_removed_challenge_turns_401_into_403(status: int) -> None:
    field = "www-authenticate" if status == 401 else "proxy-authenticate"
    told = settled(answered(status, (field, 'Digest realm="example.test", nonce="n"')))
    assert (told.status, told.reason, told.has(field)) == (403, "Forbidden", False)
    assert "challenge" in (told.first("warning") or "")
    of_a_trunk = answered(status, (field, 'Digest realm="trunk.test", nonce="n"'))
    settle(of_a_trunk, ASKED, FROM_BOT, BORDER, "fe1.example.test")
    assert (of_a_trunk.status, of_a_trunk.has(field)) == (status, True)


@pytest.mark.parametrize("privacy", ["id", "none"])
@pytest.mark.parametrize("status", [401, 407, 183, 494])
def test_challenge_does_not_reach_the_sender_of_a_request_that_hides_it(status: int, privacy: str) -> None:
    """From no sender, and in no other response. The control hides no user."""
    asked = request("INVITE", BOB, ("privacy", privacy), sender="sip:anonymous@anonymous.invalid")
    for sender, realm in ((FROM_BOT, "trunk.test"), (FROM_PARTNER, "partner.test")):
        for field in ("www-authenticate", "proxy-authenticate"):
            told = respond(asked, status, headers=[(field, f'Digest realm="{realm}", nonce="n"')])
            settle(told, asked, sender, BORDER, "fe1.example.test")
            hides, refuses = privacy == "id", status in {401, 407}
            assert told.has(field) is not hides
            assert told.status == (433 if hides and refuses else status)
            assert told.has("warning") is (hides and refuses)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["from", "to", "via", "call-id", "cseq"]), st.text('<>sip:@x;tag=1, \t"', max_size=20)
        ),
        max_size=3,
    )
)
def test_any_response_repeats_its_request_or_is_refused(changes: list[tuple[str, str]]) -> None:
    forged = answered()
    for field, value in changes:
        forged.replace(field, value)
    try:
        told = settled(forged)
    except RemoteError:
        return
    assert [told.values(name) for name in ("from", "via", "call-id", "cseq")] == [
        ASKED.values(name) for name in ("from", "via", "call-id", "cseq")
    ]
    assert told.count("to") == 1
    assert (told.first("to") or "").startswith(f"<{BOB}>")
