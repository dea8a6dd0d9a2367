"""What the 200 to a REGISTER says: each field for the client that understands it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routing.messages import BOB, POOL, row
from sipmesh.routing.registrar.binding import NEVER, Binding
from sipmesh.routing.registrar.granted import FlowFacts, GruuMint, contact_value, granted_headers, is_outbound, offers
from sipmesh.routing.registrar.gruu import Gruus
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, build_request

PATH = "sip:token@fe1.example.test:5061;transport=tls;lr;ob"
ROUTE = "sip:example.test:5061;transport=tls;lr"
FLOW = FlowFacts("fe1.example.test", 7, 42, "token", PATH, ROUTE)
GRUUS = Gruus(b"key of the pool", POOL)
URN = "<urn:uuid:1>"
INSTANCE = f'<sip:bob@192.0.2.9>;+sip.instance="{URN}"'
ROW = row(instance=URN)


def register(contact: str = INSTANCE, **headers: str) -> Request:
    fixed = [("to", f"<{BOB}>"), ("contact", contact)]
    return build_request("REGISTER", "sip:example.test", [*fixed, *headers.items()])


def told(request: Request, *rows: Binding, flow: FlowFacts = FLOW, mint: GruuMint | None = None) -> dict[str, str]:
    return dict(granted_headers(request, BOB, rows, flow, 60, mint, at=0.0))


def params(value: str) -> dict[str, str | None]:
    return dict(NameAddr.parse(value).params)


@pytest.mark.parametrize(
    ("headers", "tags"),
    [
        ({}, set()),
        ({"supported": "Path, GRUU"}, {"path", "gruu"}),
        ({"require": "path", "supported": "outbound"}, {"path", "outbound"}),
    ],
)
def test_client_offers_what_it_supports_and_what_it_requires(headers: dict[str, str], tags: set[str]) -> None:
    assert offers(register(**headers)) == tags


def test_every_client_learns_its_route_its_address_and_what_we_support() -> None:
    """Service-Route (RFC 3608) and P-Associated-URI (RFC 7315) have no option tag."""
    assert told(register()) == {
        "service-route": f"<{ROUTE}>",
        "p-associated-uri": f"<{BOB}>",
        "supported": "gruu, outbound, path",
    }
    assert "service-route" not in told(register(), flow=replace(FLOW, service_route=""))


@pytest.mark.parametrize(("offered", "given"), [("path", True), ("outbound", False)])
def test_path_is_for_a_client_that_knows_it(offered: str, *, given: bool) -> None:
    """RFC 3327 section 5.3."""
    assert (told(register(supported=offered)).get("path") == f"<{PATH}>") is given


@pytest.mark.parametrize(
    ("contact", "offered", "used"),
    [
        (f"{INSTANCE};reg-id=1", "outbound", True),
        (f"{INSTANCE};reg-id=1", "path", False),
        (INSTANCE, "outbound", False),
        ("<sip:bob@192.0.2.9>;reg-id=1", "outbound", False),
    ],
)
def test_outbound_is_confirmed_where_it_is_used(contact: str, offered: str, *, used: bool) -> None:
    """RFC 5626 sections 6 and 4.4.1."""
    request = register(contact, supported=offered)
    headers = told(request)
    assert is_outbound(request, offers(request)) is used
    assert (headers.get("require"), headers.get("flow-timer")) == (("outbound", "60") if used else (None, None))


def test_no_flow_timer_is_given_if_the_limit_is_0() -> None:
    request = register(f"{INSTANCE};reg-id=1", supported="outbound")
    assert "flow-timer" not in dict(granted_headers(request, BOB, (), FLOW, 0, None, at=0.0))


@pytest.mark.parametrize(("offered", "given"), [("gruu", True), ("path", False)])
def test_gruus_are_for_a_client_that_knows_them(offered: str, *, given: bool) -> None:
    headers = told(register(supported=offered), ROW, mint=GruuMint(GRUUS, bytes(12)))
    names = params(headers["contact"])
    assert (names.get("pub-gruu") == f'"{BOB};gr=urn:uuid:1"') is given
    assert (str(names.get("temp-gruu")).startswith('"sip:tgruu.')) is given


def test_contact_without_an_instance_has_no_gruu() -> None:
    assert params(told(register(supported="gruu"), row(), mint=GruuMint(GRUUS, bytes(12)))["contact"]).keys() == {
        "expires"
    }


def test_two_temporary_gruus_are_made_with_entropy_of_their_own() -> None:
    """The nonce of a cipher is used once; without more entropy there are public GRUUs only."""
    mint = GruuMint(GRUUS, bytes(range(24)))
    first, second, third = (params(f"<sip:a@b>{mint.params(ROW, number)}") for number in range(3))
    assert first["temp-gruu"] != second["temp-gruu"]
    assert third.keys() == {"pub-gruu"}


@pytest.mark.parametrize(("expires_at", "left_s"), [(99.1, 100), (-1.0, 0), (NEVER, 600)])
def test_contact_has_the_seconds_that_are_left_rounded_up(expires_at: float, left_s: int) -> None:
    """Of a row of another server only the granted time is known."""
    held = replace(row(), expires_at=expires_at, interval_s=600)
    assert params(contact_value(held, 0.0))["expires"] == str(left_s)


@pytest.mark.parametrize("at", [424.4, 848.9, 1023.9])
def test_new_registration_is_granted_no_second_too_many(at: float) -> None:
    """The sum of two floats may be rounded up: on a monotonic clock, most often soon after the machine has started."""
    held = replace(row(), expires_at=at + 600, interval_s=600)
    assert held.expires_at - at > 600
    assert params(contact_value(held, at))["expires"] == "600"
