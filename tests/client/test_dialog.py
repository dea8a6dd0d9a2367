from itertools import product

import pytest

from sipmesh.client.dialog import TABLE, Dialog, DialogState, Happened, follow, key_of
from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.message import Request, Response, build_request, respond

ROUTES = ("<sip:fe1.example.test;lr>", "<sip:fe2.example.test;lr>")


def invite(*routes: str, contact: str = "<sip:alice@127.0.0.1:4000;transport=tls>") -> Request:
    headers = [
        ("via", "SIP/2.0/TLS 127.0.0.1:4000;branch=z9hG4bK1"),
        ("from", "<sip:alice@example.test>;tag=a"),
        ("to", "<sip:bob@example.test>"),
        ("call-id", "one"),
        ("cseq", "7 INVITE"),
        ("contact", contact),
    ]
    return build_request("INVITE", "sip:bob@example.test", [*headers, *[("record-route", route) for route in routes]])


def ok(request: Request, *contacts: str, tag: str = "b") -> Response:
    routes = [("record-route", value) for value in request.values("record-route")]
    headers = [*routes, *[("contact", contact) for contact in contacts]]
    return respond(request, 200, headers=headers, to_tag=tag)


def both(*routes: str) -> tuple[Dialog, Dialog]:
    """The two ends of one dialog."""
    asked = invite(*routes)
    return Dialog.of_caller(asked, ok(asked, "<sip:bob@127.0.0.1:5000>")), Dialog.of_callee(asked, "b")


def test_every_pair_of_the_table_ends_in_a_state_or_is_our_bug() -> None:
    impossible = {(DialogState.CALLING, Happened.BYE)}
    for pair in product(DialogState, Happened):
        if pair in impossible:
            with pytest.raises(LocalError, match=f"{pair[1].name} is impossible in {pair[0].name}"):
                follow(*pair)
        else:
            assert follow(*pair) in DialogState
    assert set(TABLE) | impossible == set(product(DialogState, Happened))


def test_terminated_call_stays_terminated() -> None:
    assert {follow(DialogState.TERMINATED, happened) for happened in Happened} == {DialogState.TERMINATED}


def test_both_ends_have_the_same_dialog_identifiers() -> None:
    caller, callee = both()
    assert caller.key == ("one", "a", "b")
    assert callee.key == ("one", "b", "a")


def test_a_request_names_the_dialog_of_its_receiver() -> None:
    caller, callee = both()
    headers = [("from", caller.local), ("to", caller.remote), ("call-id", "one"), ("cseq", "8 BYE")]
    assert key_of(build_request("BYE", caller.target, headers)) == callee.key


def test_each_end_sends_to_the_contact_of_the_other_by_the_routes_in_its_own_order() -> None:
    caller, callee = both(*ROUTES)
    assert caller.aim() == ("sip:bob@127.0.0.1:5000", tuple(reversed(ROUTES)))
    assert callee.aim() == ("sip:alice@127.0.0.1:4000;transport=tls", ROUTES)


def test_a_strict_router_gets_the_request_uri_and_the_target_goes_last() -> None:
    """RFC 3261 12.2.1.1, the example of RFC 2543 proxies."""
    _, callee = both("<sip:old.example.test>", ROUTES[1])
    assert callee.aim() == (
        "sip:old.example.test",
        (ROUTES[1], "<sip:alice@127.0.0.1:4000;transport=tls>"),
    )


def test_cseq_rises_except_for_an_ack() -> None:
    caller, callee = both()
    assert [caller.next_cseq(method) for method in ("ACK", "BYE", "BYE")] == [7, 8, 9]
    assert callee.next_cseq("BYE") == 1


@pytest.mark.parametrize(("number", "method", "taken"), [(8, "BYE", True), (7, "BYE", False), (7, "ACK", True)])
def test_request_out_of_order_is_refused(number: int, method: str, *, taken: bool) -> None:
    _, callee = both()
    request = build_request(method, "sip:bob@127.0.0.1", [("cseq", f"{number} {method}")])
    assert callee.accept_cseq(request) is taken


def test_reinvite_may_change_the_remote_target() -> None:
    caller, callee = both()
    callee.refresh(invite(contact="<sip:alice@127.0.0.1:4001>"))
    caller.refresh(ok(invite()))
    assert callee.aim()[0] == "sip:alice@127.0.0.1:4001"
    assert caller.aim()[0] == "sip:bob@127.0.0.1:5000"


@pytest.mark.parametrize(
    "contacts", [(), ("<sip:bob@127.0.0.1>", "<sip:bob@127.0.0.2>"), ("<mailto:bob@example.test>",)], ids=str
)
def test_2xx_without_exactly_one_contact_makes_no_dialog(contacts: tuple[str, ...]) -> None:
    with pytest.raises(RemoteError):
        Dialog.of_caller(invite(), ok(invite(), *contacts))


def test_a_2xx_without_a_tag_makes_no_dialog() -> None:
    response = ok(invite(), "<sip:bob@127.0.0.1>")
    response.replace("to", "<sip:bob@example.test>")
    with pytest.raises(RemoteError, match="To tag"):
        Dialog.of_caller(invite(), response)


def test_a_broken_record_route_makes_no_dialog() -> None:
    with pytest.raises(RemoteError):
        Dialog.of_callee(invite("<mailto:nobody>"), "b")
