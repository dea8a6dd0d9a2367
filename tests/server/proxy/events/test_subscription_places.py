"""The places of subscriptions: of a watcher, of a user, and of both; a user's own take no place of others."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.server.proxy.events import subscription_places
from sipmesh.server.proxy.events.subscription_places import SubscriptionPlaces
from sipmesh.server.quotas.usage import Usage

ALICE, BOB, CAROL = (f"sip:{name}@example.test" for name in ("alice", "bob", "carol"))
ZOE, YVES = "sip:zoe@partner.test", "sip:yves@partner.test"


@pytest.fixture(name="places")
def _places() -> SubscriptionPlaces:
    """Places of a server with one partner."""
    uses: dict[str, Usage] = {}
    return SubscriptionPlaces(
        lambda domain: "partner" if domain == "partner.test" else "",
        lambda name, most: uses.setdefault(name, Usage("watcher", name, most, 1)),
    )


def add(places: SubscriptionPlaces, watcher: str, aor: str) -> None:
    places.add(places.principal_of(watcher), watcher, aor)


def remove(places: SubscriptionPlaces, watcher: str, aor: str) -> None:
    places.remove(places.principal_of(watcher), watcher, aor)


def test_watcher_is_full_at_its_limit_until_a_place_is_free(places: SubscriptionPlaces) -> None:
    places.most_of_watcher = 2
    add(places, ALICE, BOB)
    assert not places.is_full(CAROL, ALICE)
    add(places, ALICE, CAROL)
    assert places.is_full(CAROL, ALICE)
    assert not places.is_full(ALICE, CAROL)
    remove(places, ALICE, BOB)
    assert not places.is_full(CAROL, ALICE)


def test_partner_answers_for_all_its_users(places: SubscriptionPlaces) -> None:
    places.most_of_pair = 1
    add(places, ZOE, BOB)
    assert places.is_full(BOB, YVES)
    assert not places.is_full(CAROL, YVES)
    assert not places.is_full(BOB, ALICE)


@pytest.mark.parametrize("watcher", [ZOE, "sip:Zoe@partner.test", "sip:%7Aoe@partner.test"])
def test_one_user_of_a_partner_leaves_places_to_the_others(places: SubscriptionPlaces, watcher: str) -> None:
    places.most_of_one, places.most_of_one_pair = 3, 2
    add(places, ZOE, BOB)
    assert not places.is_full(BOB, watcher)
    add(places, watcher, BOB)
    assert places.is_full(BOB, watcher)
    assert not places.is_full(BOB, YVES)
    add(places, ZOE, CAROL)
    assert places.is_full(ALICE, watcher)
    assert not places.is_full(CAROL, YVES)
    remove(places, watcher, BOB)
    assert not places.is_full(BOB, ZOE)


def test_users_of_ours_have_the_places_of_a_watcher(places: SubscriptionPlaces) -> None:
    places.most_of_one = places.most_of_one_pair = 1
    add(places, ALICE, BOB)
    assert not places.is_full(BOB, ALICE)


def test_own_subscriptions_take_no_place_of_others_and_always_have_one(places: SubscriptionPlaces) -> None:
    places.most_of_user = 1
    add(places, BOB, BOB)
    assert not places.is_full(BOB, ALICE)
    add(places, ALICE, BOB)
    assert places.is_full(BOB, CAROL)
    assert not places.is_full(BOB, BOB)


@pytest.mark.skipif(built() == "compiled", reason="compiled code has the number in itself")
def test_server_is_full_at_its_limit(places: SubscriptionPlaces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription_places, "MOST", 1)
    assert not places.is_full(BOB, ALICE)
    add(places, ALICE, BOB)
    assert places.is_full(CAROL, CAROL)


def test_nothing_is_left_of_what_was_removed(places: SubscriptionPlaces) -> None:
    add(places, ALICE, BOB)
    remove(places, ALICE, BOB)
    assert len(places) == 0
    add(places, ZOE, BOB)
    remove(places, ZOE, BOB)
    assert not places._of_one_pair
    assert all(use.idle for use in (places._use_of(ZOE, 1), places._use_of("partner partner", 1)))
