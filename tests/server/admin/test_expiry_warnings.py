"""What a running server says of what ends: at start, each day, and at each step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.expiry_warnings import ExpiryWarnings, concerning, stock_of, tell
from sipmesh.server.running.running_server import RunningServer
from sipmesh.topology.expiry.inventory import Inventory
from sipmesh.topology.expiry.inventory_entry import ExpiringKind, InventoryEntry
from sipmesh.topology.expiry.urgency import Urgency
from sipmesh.topology.expiry.validity import DatedItem
from sipmesh.topology.view import certificate_names
from sipmesh.trust.role import Role
from support.network import EDGE, FE1, Network
from support.running import on_loop, until
from support.service import serving_here
from support.telling import Told

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def stock(level: Urgency, at: datetime, *, broken: bool = False) -> Inventory:
    return Inventory(
        at, (InventoryEntry(ExpiringKind.SERVER, FE1, "example.test", level, "all", "this", broken=broken),), None
    )


def said(endings: ExpiryWarnings, *times: tuple[Urgency, timedelta]) -> list[bool]:
    """Whether something is said at each of these levels and times."""
    return [bool(endings.due(stock(level, NOON + after))) for level, after in times]


def test_each_step_is_said_once_and_again_every_day() -> None:
    assert said(
        ExpiryWarnings(),
        (Urgency.FINE, 0 * DAY),
        (Urgency.DAYS_14, 0 * DAY),
        (Urgency.DAYS_14, MINUTE),
        (Urgency.DAYS_14, DAY - MINUTE),
        (Urgency.DAYS_14, DAY),
        (Urgency.DAYS_7, DAY + MINUTE),
        (Urgency.DAYS_7, 2 * DAY),
        (Urgency.PAST, 2 * DAY),
    ) == [False, True, False, False, True, True, False, True]


def test_what_was_renewed_is_forgotten() -> None:
    assert said(ExpiryWarnings(), (Urgency.DAY_1, 0 * DAY), (Urgency.FINE, MINUTE), (Urgency.DAY_1, 2 * MINUTE)) == [
        True,
        False,
        True,
    ]


def test_what_cannot_be_used_is_reported_at_any_time() -> None:
    assert ExpiryWarnings().due(stock(Urgency.FINE, NOON, broken=True))


@pytest.mark.parametrize(
    ("level", "broken", "severity", "event"),
    [
        (Urgency.DAYS_7, False, "warning", "expires soon"),
        (Urgency.DAY_1, False, "error", "expires soon"),
        (Urgency.PAST, False, "error", "has expired"),
        (Urgency.FINE, True, "error", "cannot be used"),
    ],
)
def test_last_day_is_an_error_and_more_is_a_warning(level: Urgency, severity: str, event: str, *, broken: bool) -> None:
    told = Told()
    tell(told.log, stock(level, NOON, broken=broken).entries[0], NOON)
    [line] = told.lines
    assert (line["level"], line["event"]) == (severity, event)


@on_loop
async def test_server_speaks_of_its_own_certificate_and_of_what_it_judges_by(federation: Network) -> None:
    """After 60 days everything but roots and issuing CAs has ended; partners' lists are for edges to tell."""
    async with federation:
        for name, partners in ((FE1, False), (EDGE, True)):
            node = federation.nodes[name]
            at = datetime.now(UTC) + 60 * DAY
            told = list(concerning(node, ExpiryWarnings().due(stock_of(node, at))))
            assert [one.name for one in told if one.what is ExpiringKind.SERVER] == [name]
            assert any(one.what is ExpiringKind.LIST and one.owner == "example.test" for one in told)
            assert any(one.owner == "partner.test" for one in told) is partners


@pytest.mark.parametrize("over", [False, True])
@on_loop
@pytest.mark.wide
async def test_server_whose_certificate_ended_while_it_was_off_says_so_and_takes_a_new_one(
    example: Organisation, *, over: bool
) -> None:
    """It serves all the same: the new certificate comes into use without another start."""
    lay(example, ended=over)
    told = Told()
    async with serving_here(example, told) as node:
        example.file.write_text(example.file.read_text() + "# looked at\n")
        await until(lambda: list(told.events("topology in force")))
        ended = list(told.events("has expired"))
        assert [(one["level"], one["name"], one["remedy"]) for one in ended] == (
            [("error", FE1, f"sipmesh ca issue {FE1}")] if over else []
        )
        if over:
            assert ended[0]["why"].startswith(f"the certificate of {FE1} expired 3 min")
            assert ended[0]["why"].endswith(f"to correct it: sipmesh ca issue {FE1}")
            example.issue(FE1)
            await until(lambda: list(told.events("new certificate in use")))
            assert shown(node).ends > datetime.now(UTC)


def lay(example: Organisation, *, ended: bool) -> None:
    """Give fe1 a certificate, a valid one or one expired three minutes ago."""
    names = certificate_names(example.load().topology, FE1)
    at, life = (datetime.now(UTC) - 4 * MINUTE, MINUTE) if ended else (datetime.now(UTC), 30 * DAY)
    made = example.ca.issue(names, Role.FRONT_END, at, life)
    servers: Path = example.folder / "servers"
    made.write(servers / f"{FE1}.pem", servers / f"{FE1}.key")


def shown(node: RunningServer) -> DatedItem:
    """What it shows now."""
    leaf = node.use().shown[False].leaf
    assert leaf is not None
    return leaf


def test_crl_that_was_not_made_again_is_a_warning_each_day() -> None:
    item = DatedItem("CN=a", "CN=a", "7", "7", NOON - 2 * DAY, NOON + 5 * DAY)
    entry = InventoryEntry(
        ExpiringKind.LIST, "CN=a", "example.test", Urgency.FINE, "all", "this", on_disk=item, old=True
    )
    endings = ExpiryWarnings()
    due = [bool(endings.due(Inventory(NOON + after, (entry,), None))) for after in (0 * DAY, MINUTE, DAY)]
    assert due == [True, False, True]
    told = Told()
    tell(told.log, entry, NOON)
    [line] = told.lines
    assert (line["level"], line["event"]) == ("warning", "is old")
    assert "a new CRL is due each day" in line["why"]
