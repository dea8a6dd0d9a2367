"""Decisions about SUBSCRIBE and PUBLISH, before any state is looked at."""

from __future__ import annotations

import pytest

from routing.messages import ALICE, BOB, request
from sipmesh.routing.events.packages import PACKAGES, PRESENCE
from sipmesh.routing.events.subscribe import (
    LARGEST_DOCUMENT,
    MAX_EXPIRES_S,
    MIN_EXPIRES_S,
    Granted,
    decide_publish,
    decide_subscribe,
)
from sipmesh.sip.message import Request
from sipmesh.topology.document.watching import Watching

CONTACT = ("contact", "<sip:alice@192.0.2.1>")
EVENT = ("event", "presence")


def subscribe(*headers: tuple[str, str], watching: Watching = Watching.ALLOW, who: str | None = ALICE) -> int:
    made = decide_subscribe(request("SUBSCRIBE", BOB, *headers), BOB, who, watching)
    return made.expires_s if isinstance(made, Granted) else made.status


@pytest.mark.parametrize(
    ("expires", "granted"),
    [
        ("0", 0),
        (str(MIN_EXPIRES_S - 1), 423),
        (str(MIN_EXPIRES_S), MIN_EXPIRES_S),
        (str(MAX_EXPIRES_S), MAX_EXPIRES_S),
        (str(MAX_EXPIRES_S + 1), MAX_EXPIRES_S),
    ],
)
def test_time_is_granted_between_the_limits(expires: str, granted: int) -> None:
    assert subscribe(EVENT, CONTACT, ("expires", expires)) == granted


def test_time_that_is_not_asked_for_is_that_of_the_package() -> None:
    assert subscribe(EVENT, CONTACT) == PRESENCE.default_expires_s


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((("event", "conference"), CONTACT), 489),
        ((("event", f"presence;id={'x' * 400}"), CONTACT), 489),
        ((CONTACT,), 489),
        ((EVENT,), 400),
        ((EVENT, ("contact", "<sip:a@192.0.2.1>, <sip:b@192.0.2.1>")), 400),
        ((EVENT, ("contact", "<tel:+15551234>")), 400),
        ((EVENT, CONTACT, ("require", "eventlist")), 420),
        ((EVENT, CONTACT, ("accept", "text/plain")), 406),
    ],
)
def test_what_cannot_be_granted_is_refused(headers: tuple[tuple[str, str], ...], status: int) -> None:
    assert subscribe(*headers) == status


def test_watcher_is_refused_if_it_is_blocked_and_not_if_it_is_blocked_politely() -> None:
    assert subscribe(EVENT, CONTACT, watching=Watching.BLOCK) == 403
    assert subscribe(EVENT, CONTACT, watching=Watching.POLITE_BLOCK) == PRESENCE.default_expires_s
    assert subscribe(EVENT, CONTACT, who=None) == 403


@pytest.mark.parametrize("name", [name for name, package in PACKAGES.items() if package.is_private])
def test_private_packages_are_for_their_user(name: str) -> None:
    assert subscribe(("event", name), CONTACT) == 403
    assert subscribe(("event", name), CONTACT, who=BOB) == PACKAGES[name].default_expires_s


def publish(*headers: tuple[str, str], body: bytes = b"", who: str = BOB) -> int:
    asked: Request = request("PUBLISH", BOB, *headers)
    asked.body = body
    made = decide_publish(asked, BOB, who)
    return 200 if isinstance(made, Granted) else made.status


def test_publication_is_of_its_user_with_a_document_that_we_read() -> None:
    kind = ("content-type", "application/pidf+xml;charset=utf-8")
    assert publish(EVENT, kind, body=b"x") == publish(EVENT) == 200
    assert publish(EVENT, kind, body=b"x", who=ALICE) == 403
    assert publish(EVENT, ("content-type", "text/plain"), body=b"x") == 415
    assert publish(EVENT, kind, ("content-encoding", "Identity"), body=b"x") == 200
    assert publish(EVENT, kind, ("content-encoding", "gzip"), body=b"x") == 415
    assert publish(("event", "dialog"), kind, body=b"x") == 489
    assert publish(EVENT, ("require", "x"), body=b"") == 420
    assert publish(EVENT, kind, body=b"x" * LARGEST_DOCUMENT) == 200
    assert publish(EVENT, kind, body=b"x" * (LARGEST_DOCUMENT + 1)) == 413
