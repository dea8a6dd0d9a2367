"""A call to a number is explained step by step: typed, whose, who may, which trunks."""

from __future__ import annotations

import pytest

from cli.world import Organisation, sipmesh
from support.tiers import wide_after

ALICE, NUMBER = "alice@example.com", "+493012345"
NUMBERS = """
numbers:
  country: '49'
  emergency: ['112']
  classes:
    - {name: premium, numbers: ['+49900'], users: [alice@example.com]}
    - {name: austria, numbers: ['+43'], everyone: true, hours: '08:00-18:00', per_user: {calls: 2, minutes: 60}}
  time_zone: Europe/Berlin
  per_user: {minutes: 600}
  routes:
    - {name: night, numbers: ['+4989'], trunks: [sbc.test], hours: '18:00-08:00'}
  sites:
    - site: paris
      users: [bob@example.com]
      country: '33'
      emergency: ['15']
      location: https://lis.example.com/7731
      callback: '+33123456700'
sites: [paris]
"""


@pytest.fixture(name="site", scope="module")
def _site(organisation_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """A gateway with a provider that takes emergency calls, and a PBX with a main number; nothing runs."""
    made = organisation_model.copied(tmp_path_factory.mktemp("o") / "o")
    assert made.type("topology", "add", "pool", "--role", "gateway", "--address", "127.0.0.1").code == 0
    theirs = tmp_path_factory.mktemp("p") / "p"
    assert sipmesh("init", "sbc.test", "--dir", theirs).code == 0
    text = made.file.read_text()
    entry = "anchors: [{0}/root.pem], crls: [{0}/root.crl, {0}/issuing.crl], third_party: true".format("partners/t")
    (made.file.parent / "partners" / "t").mkdir(parents=True)
    for name in ("root.pem", "root.crl", "issuing.crl"):
        (made.file.parent / "partners" / "t" / name).write_bytes((theirs / "ca" / name).read_bytes())
    trunks = (
        ("sbc.test", "carries: ['+'], emergency: true"),
        ("pbx.test", "carries: ['+4989'], main_number: '+4989123400'"),
    )
    lines = [
        f"    - {{domains: [{name}], {entry}, trunk: {{gateway: gw.example.com, {keys}}}}}" for name, keys in trunks
    ]
    made.file.write_text(f"{text}{NUMBERS}federation:\n  partners:\n" + "\n".join(lines) + "\n")
    for user, alias in (("alice", NUMBER), ("bob", "42")):
        made.add_user(user)
        assert made.type("user", "alias", "add", user, alias).code == 0
    return made


NOON = "2027-01-04T12:00+01:00"


def explained(site: Organisation, user: str, typed: str, at: str = NOON) -> tuple[int, str]:
    told = site.type("topology", "simulate", "--call", user, typed, "--at", at)
    return told.code, told.out


@pytest.mark.parametrize("typed", wide_after(1, ["+4989123499", "08912 3499".replace(" ", ""), "004989123499"]))
def test_trunks_are_named_in_the_order_in_which_they_are_tried(site: Organisation, typed: str) -> None:
    code, out = explained(site, "alice", typed)
    assert code == 0
    assert "the number: accepted" in out
    assert out.index("trunk pbx.test, tried as number 1") < out.index("trunk sbc.test, tried as number 2")
    assert f"the caller is {NUMBER}" in out


def test_number_of_a_user_and_an_extension_go_to_the_user(site: Organisation) -> None:
    assert "+493012345 is a number of alice@example.com" in explained(site, "bob", "004930" + "12345")[1]
    assert "42 is a name of bob@example.com" in explained(site, "alice", "42")[1]


def test_rules_of_the_callee_are_explained(site: Organisation) -> None:
    def rules(*arguments: str) -> None:
        assert site.type("user", "rules", *arguments).code == 0

    assert "rules" not in explained(site, "alice", "bob")[1]
    rules("set", "bob", "--no-answer", "alice")
    assert (
        "the phones of bob@example.com ring: no-answer alice@example.com; ring-s 20"
        in explained(site, "alice", "bob")[1]
    )
    rules("set", "bob", "--always", "+4989123499")
    assert "bob@example.com forwards the call to +4989123499: unconditional" in explained(site, "alice", "bob")[1]
    rules("caller", "bob", "alice", "block")
    code, out = explained(site, "alice", "bob")
    assert (code, "a rule of the callee blocks the caller; the caller gets 603" in out) == (1, True)
    rules("clear", "bob")


def test_application_that_screens_the_call_is_explained(site: Organisation) -> None:
    """Before the rules of the callee, and not for a call that leaves the network."""
    before = site.file.read_text()
    assert (
        site.type("topology", "add", "application", "screen", "--screens", "bob@example.com", "--pass-if-away").code
        == 0
    )
    code, out = explained(site, "alice", "bob")
    assert code == 0
    assert "screen.example.com gets the call first" in " ".join(out.split())
    assert "while it does not answer, the phones ring" in " ".join(out.split())
    assert "gets the call first" not in explained(site, "bob", "alice")[1]
    site.file.write_text(before)


def test_class_of_a_number_is_explained(site: Organisation) -> None:
    assert explained(site, "alice", "0900123456")[0] == 0
    code, out = explained(site, "bob", "+49900123456")
    assert code == 1
    assert "+49900123456 is of the class premium, which bob@example.com may not call" in out


def test_simulate_names_country_and_kind_of_a_number(site: Organisation) -> None:
    assert "a number of JM" in explained(site, "alice", "+18765551234")[1]
    assert "a premium number of DE" in explained(site, "alice", "09001234567")[1]
    assert "a number of a country that is not known" in explained(site, "alice", "+9991234567")[1]


def test_emergency_call_of_a_user_without_a_number_is_carried(site: Organisation) -> None:
    """He is in Paris: he calls 15 there, and the call says where."""
    code, out = explained(site, "bob", "15")
    assert code == 0
    assert "the emergency number 15" in out
    assert "trunk sbc.test, tried as number 1" in out
    assert "its location is https://lis.example.com/7731" in out
    assert "the caller is +33123456700" in out
    assert "paris, which names the caller" in out
    assert explained(site, "bob", "112")[0] == 1
    assert "the emergency number 112" in explained(site, "alice", "112")[1]


def test_emergency_service_is_explained_by_its_number_at_the_site(site: Organisation) -> None:
    assert "urn:service:sos is the emergency number 15" in explained(site, "bob", "urn:service:sos")[1]
    code, out = explained(site, "alice", "URN:service:sos.police")
    assert code == 0
    assert "urn:service:sos.police is the emergency number 112" in out
    assert "trunk sbc.test, tried as number 1" in out


@pytest.mark.parametrize(
    ("user", "typed", "why"),
    [
        ("alice", "urn:service:counseling", "urn:service:counseling is no emergency service of this site"),
        ("alice", "43", "43 is neither a user nor a whole number"),
        ("bob", "+4312345678", "bob@example.com has no number, and the trunk has no main_number"),
    ],
)
def test_call_that_fails_says_why(site: Organisation, user: str, typed: str, why: str) -> None:
    code, out = explained(site, user, typed)
    assert code == 1
    assert why in " ".join(out.split())


def test_call_and_links_are_not_simulated_at_once(site: Organisation) -> None:
    assert (
        site.type("topology", "simulate", "--call", "alice", "112", "--from", "phone", "--to", "fe1.example.com").code
        == 2
    )
    assert site.type("topology", "simulate").code == 2
    told = site.type("topology", "simulate", "--call", "alice", "sip:@@")
    assert told.code == 1
    assert "cannot be called" in told.err


@pytest.mark.parametrize(
    ("typed", "remedy"), [("nobody", "sipmesh user alias list"), ("43", "sipmesh user alias add USER 43")]
)
def test_name_or_extension_that_no_user_has_gets_its_own_remedy(site: Organisation, typed: str, remedy: str) -> None:
    """Only national numbers want a `country`, and it is set here."""
    code, out = explained(site, "alice", typed)
    assert (code, "the caller gets 404" in out, remedy in out, "country" in out) == (1, True, True, False)


@pytest.mark.parametrize(
    ("at", "route", "first"),
    [(NOON, "none: each trunk that carries it", "pbx.test"), ("2027-01-04T17:00", "night: only sbc.test", "sbc.test")],
)
def test_route_is_that_of_the_time(site: Organisation, at: str, route: str, first: str) -> None:
    """A time without an offset is in UTC: 18:00 in Berlin."""
    code, out = explained(site, "alice", "+4989123499", at)
    assert (code, route in out, f"trunk {first}, tried as number 1" in out) == (0, True, True)


def test_bounds_are_explained_and_a_class_is_closed_outside_of_its_hours(site: Organisation) -> None:
    code, out = explained(site, "alice", "+4312345678")
    told = " ".join(out.split())
    assert code == 0
    assert (
        "each user: 600 minutes in 24 hours; each user, to austria numbers: 2 calls at the same time, 60 minutes"
        in told
    )
    assert "calls of 240 minutes at most" in told
    code, out = explained(site, "alice", "+4312345678", "2027-01-04T20:00+01:00")
    assert (code, "where it is 20:00: closed; the caller gets 403" in " ".join(out.split())) == (1, True)
