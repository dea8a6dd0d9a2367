"""Presence across the federation: what a watcher of a partner sees under each policy, printed as a table for the page."""

from __future__ import annotations

import os

import pytest

from scenarios.test_presence_rules import ERIN, published, rule
from server.proxy.events.test_notifier import BOB, subscribe, sweeping, told
from sipmesh.sip.message import Request
from sipmesh.topology.document.watching import Watching
from support.checkout import DOCS
from support.network import FE2, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.tiers import wide_after

PAGE = DOCS / "howto/users.md"
FIRST, LAST = "<!-- partner presence: tests/scenarios/test_partner_presence.py -->", "<!-- end of partner presence -->"
HEAD = """
| `partners` | rule of bob for erin | SUBSCRIBE of erin | she sees | when bob has left |
| --- | --- | --- | --- | --- |"""
WRITES = "SIPMESH_WRITE_PAGES"
"""A variable of the environment: with it, the tests write their rows into the page."""
CASES = (
    ("block", None),
    ("polite-block", None),
    ("allow", None),
    ("block", Watching.ALLOW),
    ("allow", Watching.POLITE_BLOCK),
    ("allow", Watching.BLOCK),
)


def seen_in(notify: Request) -> str:
    """What a person sees of a NOTIFY."""
    basic = notify.body.partition(b"<basic>")[2].partition(b"</basic>")[0].decode()
    note = notify.body.partition(b"<note")[2].partition(b">")[2].partition(b"</note>")[0].decode()
    return ", ".join(filter(None, (basic, note)))


async def watched(erin: Peer, bob: Peer) -> tuple[str, str, str]:
    """Subscribe, and let bob leave; gives the status, and what erin sees before and after."""
    granted = await erin.ask(subscribe(erin, BOB))
    if granted.status != 200:
        return str(granted.status), "-", "-"
    first = seen_in(await told(erin))
    await bob.__aexit__()
    if first == "closed":
        await erin.silent()
        return "200", first, "no change"
    return "200", first, seen_in(await told(erin))


def check_page(row: str) -> None:
    """The page has the row, as it was seen now."""
    print(row)  # noqa: T201 - shown with -s
    before, _, rest = PAGE.read_text().partition(FIRST)
    rows, _, after = rest.partition(LAST)
    if WRITES in os.environ and row not in rows:
        kept = [line for line in rows.split(HEAD)[-1].splitlines() if line]
        PAGE.write_text("\n".join([before + FIRST, HEAD, *kept, row, "", LAST]) + after)
        return
    assert row in rows, f"write the page again: {WRITES}=1 pytest -n 0 tests/scenarios/test_partner_presence.py"


@pytest.mark.parametrize(("policy", "own"), wide_after(3, CASES))
@on_loop
async def test_partner_sees_what_the_page_says(federation: Network, policy: str, own: Watching | None) -> None:
    """Through both edges. Bob has published that he is busy."""
    federation.organisations[0].document["presence"] = {"partners": policy}
    federation.organisations[0].write()
    async with sweeping(federation):
        bob, erin = await published(federation, FE2), await federation.phone("erin", PARTNER_FE)
        if own is not None:
            await rule(federation, ERIN, own)
        cells = await watched(erin, bob)
    check_page(f"| `{policy}` | {f'`{own}`' if own else 'none'} | {' | '.join(cells)} |")
