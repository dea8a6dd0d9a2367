"""Which requests are for the notifier, and which for phones."""

from __future__ import annotations

import pytest

from routing.messages import ALICE, BOB, request
from sipmesh.routing.events.packages import PRESENCE, is_for_notifier, package_of


@pytest.mark.parametrize(
    ("method", "event", "identity", "is_ours"),
    [
        ("SUBSCRIBE", "presence", ALICE, True),
        ("SUBSCRIBE", "Presence ;id=2", ALICE, True),
        ("SUBSCRIBE", "reg", ALICE, True),
        ("SUBSCRIBE", "dialog", ALICE, False),
        ("SUBSCRIBE", "dialog", BOB, True),
        ("SUBSCRIBE", "presence.winfo", ALICE, False),
        ("SUBSCRIBE", "", ALICE, False),
        ("PUBLISH", "dialog", ALICE, True),
        ("MESSAGE", "presence", BOB, False),
        ("NOTIFY", "presence", BOB, False),
    ],
)
def test_packages_of_ours_publications_and_what_a_user_asks_itself_are_for_the_notifier(
    method: str,
    event: str,
    identity: str,
    *,
    is_ours: bool,
) -> None:
    headers = (("event", event),) if event else ()
    assert is_for_notifier(request(method, BOB, *headers), BOB, identity) is is_ours


def test_package_is_found_by_its_name() -> None:
    assert package_of(request("SUBSCRIBE", BOB, ("event", "PRESENCE;id=1"))) is PRESENCE
    assert package_of(request("SUBSCRIBE", BOB)) is None
