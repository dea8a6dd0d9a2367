"""The server of events and stored messages."""

from __future__ import annotations

from sipmesh.demo.organisation import Organisation
from support.network import EDGE, FE1
from support.running import on_loop
from support.server_parts import server_parts


@on_loop
async def test_events_use_the_stores_and_the_outages_of_the_server(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        parts.events.begin()
        assert parts.setup.stores.messages.waiting == 0


@on_loop
async def test_notifier_follows_users_whose_rules_have_changed(example: Organisation) -> None:
    """There are no subscriptions yet."""
    async with server_parts(example, FE1) as parts:
        parts.events.notifier.rules_changed(frozenset({"sip:alice@example.test"}))


@on_loop
async def test_change_of_many_users_looks_only_at_those_with_event_state(example: Organisation) -> None:
    """A table of 100,000 users changes in one turn of the event loop."""
    async with server_parts(example, FE1) as parts:
        notifier = parts.events.notifier
        notifier._publications._of["sip:bob@example.test"] = []
        changed = frozenset(f"sip:{name}@example.test" for name in ("alice", "bob", "carol"))
        assert notifier._concerned(changed) == {"sip:bob@example.test"}
        notifier.rules_changed(changed)


@on_loop
async def test_missing_turn_secret_is_reported_in_the_log_that_is_limited(example: Organisation) -> None:
    example.document["turn"] = {"servers": ["turn:turn.example.test"], "secret_file": "secrets/turn"}
    example.write()
    async with server_parts(example, EDGE) as parts:
        parts.events.notifier._own._profile.document("sip:alice@example.test", None)
        [line] = parts.told.events("no secret for TURN")
        assert "secrets/turn" in line["why"]
