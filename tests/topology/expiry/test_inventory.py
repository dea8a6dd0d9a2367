"""The inventory: everything that expires, what fails then, and which server fails first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sipmesh.topology.document.parts.pool import Pool
from sipmesh.topology.document.parts.server import Server
from sipmesh.topology.expiry.fetch_status import FetchStatus
from sipmesh.topology.expiry.inventory import Inventory, Side, sides, signer_files, take_stock
from sipmesh.topology.expiry.inventory_entry import ExpiringKind, InventoryEntry
from sipmesh.topology.expiry.server_use import Use
from sipmesh.topology.expiry.urgency import Urgency
from sipmesh.topology.expiry.validity import Chain, DatedItem
from sipmesh.trust.role import Role
from topology.world import NOON, Place

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded

DAY = timedelta(days=1)
FE1, FE2, FE3 = "fe1.example.test", "fe2.example.test", "fe3.example.test"
EDGE, BOT = "edge1.example.test", "bot.example.test"
ISSUING = DatedItem(
    "CN=Example Issuing CA,O=Example", "CN=Example Root CA,O=Example", "b", "b", NOON - DAY, NOON + 900 * DAY
)


def leaf(name: str, left: timedelta = 25 * DAY, number: str = "a") -> DatedItem:
    """A server's certificate with 30 days of life."""
    ends = NOON + left
    return DatedItem(f"CN={name}", ISSUING.subject, number, f"{number} {name}", ends - 30 * DAY, ends)


def chain(name: str, left: timedelta = 25 * DAY, number: str = "a", fault: str = "") -> Chain:
    return Chain(f"servers/{name}.pem", (leaf(name, left, number), ISSUING), fault)


def use(loaded: Loaded, name: str, shown: Chain, *, pid: int = 4711) -> Use:
    """A running server that has everything in force that lies on disk."""
    authorities = loaded.authorities
    anchors = tuple(DatedItem.of_certificate(one) for authority in authorities for one in authority.anchors)
    lists = tuple(DatedItem.of_list(one) for authority in authorities for one in authority.lists)
    return Use(name, pid, {False: shown}, anchors, lists)


def stock(place: Place, disk: dict[Side, Chain], *uses: Use, at: datetime = NOON) -> Inventory:
    return take_stock(place.load(), disk, uses, at=at)


def server(found: Inventory, name: str, *, outside: bool = False) -> InventoryEntry:
    wanted = (ExpiringKind.SERVER, name, outside)
    return next(one for one in found.entries if (one.what, one.name, one.outside) == wanted)


def test_certificate_for_clients_is_listed_by_the_first_end_in_its_chain(place: Place) -> None:
    """A public CA's certificate may outlive the certificate of its issuer."""
    public = Chain("public.pem", (leaf(FE1, 80 * DAY), replace(ISSUING, ends=NOON + 5 * DAY)))
    found = stock(place, {}, replace(use(place.load(), FE1, chain(FE1)), for_clients=(public,)))
    (entry,) = of(found, ExpiringKind.CLIENTS)
    assert (entry.name, entry.level, entry.urgent) == (FE1, Urgency.DAYS_7, True)
    assert entry.sentence(NOON).startswith(f"the certificate for the clients of {FE1} expires in 5 d")
    assert entry.command == "put a new certificate into public.pem, and its key beside it"


@pytest.mark.parametrize("in_use", [True, False])
def test_certificate_for_clients_that_is_rejected_is_listed_with_the_reason(place: Place, *, in_use: bool) -> None:
    public = Chain("public.pem", (leaf(FE1),) if in_use else (), "it has expired")
    found = stock(place, {}, replace(use(place.load(), FE1, chain(FE1)), for_clients=(public,)))
    (entry,) = of(found, ExpiringKind.CLIENTS)
    assert (entry.broken, "it has expired" in entry.notice) == (not in_use, True)


def of(found: Inventory, what: ExpiringKind) -> list[InventoryEntry]:
    return [one for one in found.entries if one.what is what]


def test_every_expiring_item_of_the_topology_is_listed(place: Place) -> None:
    found = stock(place, {(FE1, False): chain(FE1)})
    assert [one.name for one in of(found, ExpiringKind.SERVER)] == [FE1, FE2, FE3, EDGE, BOT]
    assert [one.name for one in of(found, ExpiringKind.ISSUING)] == [ISSUING.subject]
    assert [(one.owner, one.name) for one in of(found, ExpiringKind.ROOT)] == [
        ("Example", "CN=Example Root CA,O=Example")
    ]
    assert [one.owner for one in of(found, ExpiringKind.PARTNER)] == ["partner.test", "other.test"]
    assert [one.owner for one in of(found, ExpiringKind.LIST)] == [
        *["Example"] * 2,
        *["partner.test"] * 2,
        *["other.test"] * 2,
    ]


def test_one_server_may_be_asked_for_alone(place: Place) -> None:
    """So that a server of a large network does not look at all the others every minute."""
    found = take_stock(place.load(), {(FE1, False): chain(FE1)}, at=NOON, only=FE1)
    assert [one.name for one in of(found, ExpiringKind.SERVER)] == [FE1]
    assert len(of(found, ExpiringKind.LIST)) == 6
    assert found.countdown is not None
    assert (found.countdown.server, found.countdown.others) == (FE1, ())


def test_certificate_in_use_counts_and_a_newer_one_on_disk_is_reported_with_the_command(place: Place) -> None:
    loaded = place.load()
    old = use(loaded, FE1, chain(FE1, DAY / 2))
    entry = server(stock(place, {(FE1, False): chain(FE1, number="c")}, old), FE1)
    assert (entry.level, entry.item, entry.on_disk) == (Urgency.DAY_1, leaf(FE1, DAY / 2), leaf(FE1, number="c"))
    assert entry.notice == "the certificate in use differs from the file; reload: kill -HUP 4711"


def test_certificate_in_use_that_is_on_disk_has_no_note(place: Place) -> None:
    entry = server(stock(place, {(FE1, False): chain(FE1)}, use(place.load(), FE1, chain(FE1))), FE1)
    assert (entry.notice, entry.level, entry.in_use) == ("", Urgency.FINE, entry.on_disk)


def test_refused_rotation_is_reported_with_its_reason(place: Place) -> None:
    shown = replace(chain(FE1), fault="expired: so it is")
    entry = server(stock(place, {(FE1, False): chain(FE1, -DAY, "c")}, use(place.load(), FE1, shown)), FE1)
    assert entry.notice == f"the certificate on disk is not in use: expired: so it is; sipmesh ca issue {FE1}"
    assert not entry.urgent


def test_server_whose_file_is_elsewhere_is_not_an_alarm(place: Place) -> None:
    found = stock(place, {})
    assert server(found, FE2).notice == "unknown: its file is on another machine"
    assert not found.urgent


@pytest.mark.parametrize(("fault", "alarm"), [("contains no readable certificate", True), ("", False)])
def test_file_that_cannot_be_used_is_an_alarm(place: Place, fault: str, *, alarm: bool) -> None:
    laid = Chain("servers/x.pem", fault=fault) if fault else chain(FE1)
    entry = server(stock(place, {(FE1, False): laid}), FE1)
    assert entry.urgent is alarm
    assert (fault in entry.notice) is alarm or not fault


@pytest.mark.parametrize(("days", "urgent"), [(8, False), (7, True), (-1, True)])
def test_alarm_is_raised_in_the_last_week(place: Place, days: int, *, urgent: bool) -> None:
    assert stock(place, {(FE1, False): chain(FE1, days * DAY)}).urgent is urgent


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (FE1, "phones and servers refuse it; pool1.example.test continues with fe2.example.test"),
        (FE3, "phones and servers refuse it; the users of pool2.example.test cannot log in"),
        (EDGE, "our servers and partners refuse it; 2 partners are cut off: partner.test, other.test"),
        (BOT, "our servers refuse it; bot.example.test has no other server"),
    ],
)
def test_entry_says_what_fails_without_a_server(place: Place, name: str, told: str) -> None:
    assert server(stock(place, {}), name).stops == told


def test_entry_of_the_last_server_names_pools_behind_it(place: Place) -> None:
    place.spoil(("      - {name: fe2.example.test, address: 127.0.0.2}\n", ""))
    assert server(stock(place, {}), FE1).stops == (
        "phones and servers refuse it; the users of pool1.example.test cannot log in; "
        "2 pools lose their next hop: sip.example.test, bot.example.test"
    )


def test_edge_with_a_certificate_for_partners_has_two(place: Place) -> None:
    place.spoil(
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, outside: {certificate: servers/o.pem, key: servers/o.key}}]",
        )
    )
    assert dict(sides(place.load().topology))[EDGE, True] == "servers/o.pem"
    found = stock(place, {(EDGE, True): Chain("servers/o.pem", (leaf(EDGE),))})
    assert server(found, EDGE).stops == "our servers refuse it; our users cannot reach partners"
    outside = server(found, EDGE, outside=True)
    assert outside.stops == "partners refuse it; 2 partners are cut off: partner.test, other.test"
    assert outside.command == "install a new certificate and its key in servers/o.pem"


def test_entry_of_an_issuing_ca_names_its_servers(place: Place) -> None:
    [entry] = of(stock(place, {(FE2, False): chain(FE2), (FE1, False): chain(FE1)}), ExpiringKind.ISSUING)
    assert entry.stops == f"every certificate of this CA is refused, even before its own end: {FE1}, {FE2}"


def test_crls_show_which_server_refuses_which_peer(place: Place) -> None:
    ours, _, theirs, *_ = of(stock(place, {}), ExpiringKind.LIST)
    assert ours.stops.startswith("every server refuses new links under CN=")
    assert ours.command == "sipmesh ca crl"
    assert theirs.stops.startswith("our edges refuse new links with partner.test under CN=")
    assert "partner.test" in theirs.command


def test_crl_that_a_server_has_not_read_is_reported(place: Place) -> None:
    running = replace(use(place.load(), FE1, chain(FE1)), lists=())
    entries = of(stock(place, {}, running), ExpiringKind.LIST)
    assert {one.notice for one in entries} == {f"not in force on {FE1}; reload: kill -HUP 4711"}
    assert {one.in_use for one in entries} == {None}


def test_missing_crl_is_an_alarm(place: Place) -> None:
    (place.file.parent / "ca" / "issuing.crl").write_text("spoilt")
    found = stock(place, {})
    assert found.urgent
    [broken, *_] = [one for one in found.entries if one.broken]
    assert "issuing.crl" in broken.notice
    assert "sipmesh ca crl" in broken.command


def test_countdown_names_the_first_server_and_the_others(place: Place) -> None:
    """CRLs expire first if the CA is down: after 7 days no new link is accepted."""
    told = stock(place, {}).countdown
    assert told is not None
    assert (told.server, told.others) == (FE1, (FE2, FE3, EDGE, BOT))
    assert told.sentence(NOON) == (
        "If the CA renews nothing any more, fe1.example.test stops first, in 7 d (2026-12-01 12:00:00Z), when the "
        "CRL of CN=Example Issuing CA,O=Example expires. At the same time: fe2.example.test, fe3.example.test, "
        "edge1.example.test, bot.example.test."
    )


def test_server_whose_certificate_expires_before_the_crls_stops_first(place: Place) -> None:
    told = stock(place, {(FE1, False): chain(FE1), (FE2, False): chain(FE2, 2 * DAY)}).countdown
    assert told is not None
    assert (told.server, told.ends, told.because, told.others) == (FE2, NOON + 2 * DAY, "its certificate", ())


def test_sentence_says_when_what_stops_and_what_to_do(place: Place) -> None:
    ended = server(stock(place, {(FE1, False): chain(FE1, -5 * DAY)}), FE1)
    assert ended.sentence(NOON) == (
        "the certificate of fe1.example.test expired 5 d ago (2026-11-19 12:00:00Z): phones and servers refuse it; "
        "pool1.example.test continues with fe2.example.test; to correct it: sipmesh ca issue fe1.example.test"
    )
    near = server(stock(place, {(FE1, False): chain(FE1, 5 * DAY)}), FE1)
    assert "expires in 5 d (2026-11-29 12:00:00Z); then phones" in near.sentence(NOON)


MG1, MG2 = "mg1.example.test", "mg2.example.test"


def managed(place: Place, *names: str) -> Loaded:
    """The same network with management servers."""
    loaded = place.load()
    pool = Pool(name="mgmt.example.test", role=Role.MANAGEMENT, servers=tuple(Server(name=name) for name in names))
    return replace(loaded, topology=loaded.topology.model_copy(update={"pools": (*loaded.topology.pools, pool)}))


def signer(left: timedelta = 80 * DAY) -> Chain:
    return Chain(f"servers/{MG1}.signer.pem", (leaf(MG1, left), ISSUING))


def test_signer_is_listed_with_what_stops(place: Place) -> None:
    found = take_stock(managed(place, MG1), {}, at=NOON, signers={MG1: signer(5 * DAY)})
    (entry,) = of(found, ExpiringKind.SIGNER)
    assert (entry.name, entry.level, entry.on_disk) == (MG1, Urgency.DAYS_7, leaf(MG1, 5 * DAY))
    assert entry.stops == "no version can be published; the published version stays in force"
    assert entry.sentence(NOON).startswith(f"the document signer of {MG1} expires in 5 d")
    assert entry.command == f"sipmesh ca issue {MG1}"
    assert [one.name for one in of(found, ExpiringKind.ISSUING)] == [ISSUING.subject]


def test_signer_of_another_management_server_goes_on(place: Place) -> None:
    found = take_stock(managed(place, MG1, MG2), {}, at=NOON, signers={MG1: signer()})
    first, second = of(found, ExpiringKind.SIGNER)
    assert first.stops == f"{MG1} cannot publish; {MG2} can"
    assert (second.item, second.notice) == (None, "unknown: its file is on another machine")
    assert not second.broken


def test_signer_that_cannot_be_used_is_an_alarm(place: Place) -> None:
    broken = Chain(f"servers/{MG1}.signer.pem", fault="contains no readable certificate")
    (entry,) = of(take_stock(managed(place, MG1), {}, at=NOON, signers={MG1: broken}), ExpiringKind.SIGNER)
    assert entry.broken
    assert entry.notice == f"servers/{MG1}.signer.pem contains no readable certificate; sipmesh ca issue {MG1}"


def test_signer_of_one_server_may_be_asked_for_alone(place: Place) -> None:
    found = take_stock(managed(place, MG1, MG2), {}, at=NOON, only=MG2)
    assert [one.name for one in of(found, ExpiringKind.SIGNER)] == [MG2]
    assert list(signer_files(managed(place, MG1, MG2).topology, FE1)) == []


def old(found: Inventory) -> list[str]:
    return [one.name for one in found.entries if one.old]


def test_own_crl_without_renewal_for_36_hours_is_old(place: Place) -> None:
    """Long before it expires: the CA is down, or cannot sign. How often partners renew their CRLs is not our concern."""
    assert old(stock(place, {}, at=NOON + 1.4 * DAY)) == []
    late = stock(place, {}, at=NOON + 1.6 * DAY)
    assert old(late) == [ISSUING.subject]
    assert not late.urgent
    [entry] = [one for one in late.entries if one.old]
    told = entry.sentence(NOON + 1.6 * DAY)
    assert "was signed 1 d 14 h ago" in told
    assert "from 2026-12-01 12:00:00Z on every server refuses new links" in told
    assert "sipmesh ca crl" in told


# Sources


def sourced(place: Place, held: DatedItem | None, **facts: Any) -> tuple[Inventory, InventoryEntry]:
    """The edge fetches from one source of a partner, which does as *facts* say."""
    supply = FetchStatus("http://crl.partner.test/", "partner.test", held, **facts)
    found = stock(place, {}, replace(use(place.load(), EDGE, chain(EDGE)), supplies=(supply,)))
    [entry] = of(found, ExpiringKind.SOURCE)
    return found, entry


def held_for(left: timedelta) -> DatedItem:
    return DatedItem("CN=Partner", "CN=Partner", "7", "7", NOON - DAY, NOON + left)


def test_working_source_is_listed_with_the_expiry_of_its_data(place: Place) -> None:
    _, entry = sourced(place, held_for(3 * DAY))
    assert (entry.level, entry.broken, entry.notice) == (Urgency.FINE, False, "")
    assert entry.item == held_for(3 * DAY)


@pytest.mark.parametrize(
    ("left", "level", "told"),
    [
        (3 * DAY, Urgency.DAYS_7, "is valid for 3 d"),
        (DAY, Urgency.DAY_1, "is valid for"),
        (-DAY, Urgency.PAST, "has expired"),
    ],
)
def test_source_that_is_an_alarm_counts_down_and_is_urgent(
    place: Place, left: timedelta, level: Urgency, told: str
) -> None:
    """The control fails too, but is not an alarm yet."""
    failing: dict[str, Any] = {"failing_since": NOON - DAY, "why": "answers 500"}
    found, entry = sourced(place, held_for(left), **failing, alarming=True)
    assert (entry.level, entry.urgent, found.urgent) == (level, True, True)
    assert told in entry.sentence(NOON)
    assert "(answers 500): check from edge1.example.test that the URL answers" in entry.sentence(NOON)
    _, quiet = sourced(place, held_for(left), **failing)
    assert quiet.level is Urgency.FINE


def test_source_without_data_is_awaited_until_it_fails(place: Place) -> None:
    _, awaited = sourced(place, None)
    assert (awaited.broken, awaited.notice[:30]) == (False, "no data was fetched yet; check")
    _, failed = sourced(place, None, failing_since=NOON, why="answers 404", alarming=True)
    assert failed.broken
    assert "answers 404" in failed.sentence(NOON)
