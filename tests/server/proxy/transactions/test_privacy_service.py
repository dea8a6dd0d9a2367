"""What is hidden of a sender, and for whom. What others can learn all the same is in `attacks/test_privacy`."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from routing.messages import ALICE, BOB, CONTACT, TOKENS, request, response
from sipmesh.cli.versions import built
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.media.origin import AnonymousBody
from sipmesh.routing.target import FlowTarget
from sipmesh.server.proxy.transactions.answerers import Answerers
from sipmesh.server.proxy.transactions.privacy_service import PrivacyService
from sipmesh.sip.message import Request
from sipmesh.trust.evidence import LinkKind

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")

ANONYMOUS = "sip:anonymous@anonymous.invalid"
SERVICE = PrivacyService(TOKENS, Answerers(TOKENS))
OF_CLIENT: Any = SimpleNamespace(link=SimpleNamespace(kind=LinkKind.CLIENT))
OF_SERVER: Any = SimpleNamespace(link=SimpleNamespace(kind=LinkKind.SERVER))
TO_ALICE = FlowTarget(1, owner_hash(ALICE), CONTACT)


def invite(sender: str = ANONYMOUS, *headers: tuple[str, str]) -> Request:
    """An INVITE with a Contact."""
    return request("INVITE", BOB, ("contact", f"<{CONTACT}>"), ("user-agent", "alices phone"), *headers, sender=sender)


@pytest.mark.parametrize(
    ("kind", "tells"), [(LinkKind.CLIENT, False), (LinkKind.PARTNER, False), (LinkKind.SERVER, True)]
)
def test_sender_who_hides_shows_nothing_but_to_our_own_servers(kind: LinkKind, *, tells: bool) -> None:
    """They need what is removed: the next one of them hides it from phones and partners."""
    copy = invite()
    SERVICE.hide_sender(copy, OF_CLIENT, ALICE, kind, AnonymousBody(copy))
    assert copy.has("user-agent") is tells
    assert CONTACT not in copy.values("contact")[0]
    assert len(copy.items("via")) == 1


def test_sender_who_does_not_hide_keeps_everything() -> None:
    copy = invite(ALICE)
    before = copy.encode()
    SERVICE.hide_sender(copy, OF_CLIENT, ALICE, LinkKind.CLIENT, AnonymousBody(copy))
    assert copy.encode() == before


def test_request_without_an_identity_has_no_contact_then() -> None:
    """No user could get it back."""
    copy = invite()
    SERVICE.hide_sender(copy, OF_CLIENT, None, LinkKind.CLIENT, AnonymousBody(copy))
    assert not copy.has("contact")


def test_contact_that_another_server_has_hidden_stays() -> None:
    copy = invite()
    SERVICE.hide_sender(copy, OF_SERVER, ALICE, LinkKind.CLIENT, AnonymousBody(copy))
    assert copy.values("contact") == [f"<{CONTACT}>"]


@pytest.mark.parametrize(("owner", "opened"), [(ALICE, True), (BOB, False)])
def test_hidden_contact_is_opened_for_its_owner_only(owner: str, *, opened: bool) -> None:
    copy = invite()
    SERVICE.hide_sender(copy, OF_CLIENT, ALICE, LinkKind.CLIENT, AnonymousBody(copy))
    back = request("BYE", copy.contacts[0].uri)
    SERVICE.open_contact(back, replace(TO_ALICE, owner=owner_hash(owner)), None)
    assert (back.uri == CONTACT) is opened


def sent(begun: Request, *owners: str, made: Request | None = None) -> Any:
    """A branch of the request *begun*, to a link of the users *owners*."""
    flow = SimpleNamespace(owners={owner_hash(owner): None for owner in owners})
    return SimpleNamespace(proxied=SimpleNamespace(request=begun), request=made or begun, flow=flow)


def inside(uri: str, to: str = BOB) -> Request:
    """A request inside a dialog."""
    return request("BYE", uri, to=to, to_tag="2")


def test_answer_of_the_only_user_of_a_link_is_hidden_as_that_users() -> None:
    answer = response(200, ("contact", f"<{CONTACT}>"), ("privacy", "header"))
    SERVICE.hide_answer(sent(inside(CONTACT), BOB), answer)
    back = request("BYE", answer.contacts[0].uri)
    SERVICE.open_contact(back, replace(TO_ALICE, owner=owner_hash(BOB)), None)
    assert back.uri == CONTACT


def test_answer_of_a_link_of_two_users_has_no_contact_where_it_is_not_known_whose_it_is() -> None:
    answer = response(200, ("contact", f"<{CONTACT}>"), ("privacy", "header"))
    SERVICE.hide_answer(sent(inside(CONTACT), ALICE, BOB), answer)
    assert not answer.has("contact")


def test_answer_in_a_dialog_with_a_hidden_contact_is_of_the_user_who_can_open_it() -> None:
    copy = invite()
    SERVICE.hide_sender(copy, OF_CLIENT, ALICE, LinkKind.CLIENT, AnonymousBody(copy))
    answer = response(200, ("contact", f"<{CONTACT}>"), ("privacy", "header"))
    SERVICE.hide_answer(sent(inside(copy.contacts[0].uri), BOB, ALICE), answer)
    back = request("BYE", answer.contacts[0].uri)
    SERVICE.open_contact(back, TO_ALICE, None)
    assert back.uri == CONTACT


def test_answer_to_a_new_call_without_a_token_has_no_contact() -> None:
    answer = response(200, ("contact", f"<{CONTACT}>"), ("privacy", "header"))
    SERVICE.hide_answer(sent(invite(ALICE, ("record-route", "<sip:no-token@fe1.example.test;lr>")), BOB), answer)
    assert not answer.has("contact")


def test_answer_of_a_user_who_does_not_hide_stays() -> None:
    answer = response(200, ("contact", f"<{CONTACT}>"))
    before = answer.encode()
    SERVICE.hide_answer(sent(inside(CONTACT), BOB), answer)
    assert answer.encode() == before
