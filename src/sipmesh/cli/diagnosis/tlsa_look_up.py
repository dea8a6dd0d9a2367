"""The TLSA records of partners for a command that judges: it asks DNS once, as a server does each minute."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sipmesh.server.refresh.tlsa_sources import judged_answer, records_name, tlsa_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sipmesh.topology.document.load import Loaded


def ask_for_tlsa(loaded: Loaded, names: Collection[str], at: datetime) -> None:
    """Give each partner of *loaded* that has one of *names* its TLSA records, if they count for it."""
    settings = loaded.topology.dns
    for partner, authority in zip(loaded.topology.federation.partners, loaded.partners, strict=True):
        name = records_name(partner)
        if name and settings is not None and not set(names).isdisjoint(partner.identities):
            authority.use_tlsa(judged_answer(name, asyncio.run(tlsa_of(name, settings, at))))
