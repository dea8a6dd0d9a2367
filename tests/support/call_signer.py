"""A front end that signs calls: its certificate, with the SIP domain in it, and its key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sipmesh.demo.forge import Forge, Wish

FORGE = Forge(datetime(2026, 11, 24, 12, tzinfo=UTC))
SIGNER = FORGE.forge(
    Wish("fe1.example.test", dns=("example.test",), ends=timedelta(days=90)), FORGE.organisation("Example")
)
