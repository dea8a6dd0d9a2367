"""Partners come, and are blocked; the operator's comments stay."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.world import Organisation, sipmesh
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.topology.document.load import load
from sipmesh.trust.code import Code
from sipmesh.trust.role import Role
from support.tiers import wide_after


def credentials(theirs: Path) -> tuple[str | Path, ...]:
    lists = (theirs / "root.crl", theirs / "issuing.crl")
    return ("--ca", theirs / "root.pem", "--crl", lists[0], "--crl", lists[1])


def test_trunk_is_added_behind_its_gateway(open_: Organisation, theirs: Path) -> None:
    """The plus sign of the numbers survives YAML."""
    assert open_.type("topology", "add", "pool", "--role", "gateway", "--address", "127.0.0.1").code == 0
    options = ("--gateway", "gw.example.com", "--asserts", "+49", "--carries", "+", "--carries", "+4989")
    added = open_.type("partner", "add", "sbc.test", *options, *credentials(theirs))
    assert "sbc.test is a trunk, through gw.example.com" in added.out
    [trunk] = load(open_.file).topology.federation.trunks_of("gw.example.com")
    assert trunk.trunk is not None
    assert (trunk.trunk.asserts, trunk.trunk.carries) == (("+49",), ("+", "+4989"))


def test_trunk_is_added_with_each_key_that_was_said_and_changed_later(open_: Organisation, theirs: Path) -> None:
    assert open_.type("topology", "add", "pool", "--role", "gateway", "--address", "127.0.0.1").code == 0
    given = (
        "channels=30",
        "ping=30",
        "login.user='493012340'",
        "login.realm=provider.example",
        "main_number=+493012345",
    )
    keys = [word for one in (*given, "login.secret_file=secrets/provider") for word in ("--set", f"trunk.{one}")]
    added = open_.type("partner", "add", "sbc.test", "--gateway", "gw.example.com", *keys, *credentials(theirs))
    assert "sbc.test is a trunk" in added.out
    changed = open_.type("partner", "change", "sbc.test", "trunk.channels=20", "trunk.carries+=+4989", "trunk.ping=")
    assert "sbc.test is changed" in changed.out
    [partner] = load(open_.file).topology.federation.trunks_of("gw.example.com")
    trunk = partner.trunk
    assert trunk is not None
    assert (trunk.channels, trunk.ping, trunk.carries, trunk.main_number) == (20, None, ("+4989",), "+493012345")
    assert trunk.login is not None
    assert (trunk.login.user, trunk.login.realm) == ("493012340", "provider.example")


@pytest.mark.parametrize(
    ("key", "says"), [("trunk.chanels=3", "channels"), ("tunk.channels=3", "trunk"), ("trunk.channels", "KEY=VALUE")]
)
def test_wrong_key_of_a_trunk_changes_nothing_and_the_nearest_is_named(
    open_: Organisation, theirs: Path, key: str, says: str
) -> None:
    assert open_.type("topology", "add", "pool", "--role", "gateway", "--address", "127.0.0.1").code == 0
    before = open_.file.read_text()
    options = ("--gateway", "gw.example.com", "--set", key)
    left = open_.type("partner", "add", "sbc.test", *options, *credentials(theirs))
    assert left.code != 0
    assert says in left.err
    assert open_.file.read_text() == before


@pytest.mark.wide
def test_a_partner_is_added_with_all_that_was_said(open_: Organisation, theirs: Path) -> None:
    options = ("--edge", "sip.partner.test:5061", "--client-usage", "server-ok")
    added = open_.type("partner", "add", "partner.test", *options, *credentials(theirs))
    assert added.code == 0
    (held,) = open_.type("partner", "list", "--json").json["partners"]
    assert (held["domains"], held["edge"], held["client_usage"]) == (
        ["partner.test"],
        "sip.partner.test:5061",
        "server-ok",
    )
    assert held["left_s"] > 0
    assert "partner.test" in open_.type("partner", "list").out


def test_comments_stay_when_a_partner_comes(open_: Organisation, theirs: Path) -> None:
    before = [line for line in open_.file.read_text().splitlines() if "#" in line]
    open_.type("partner", "add", "partner.test", *credentials(theirs))
    assert [line for line in open_.file.read_text().splitlines() if "#" in line] == before


def test_a_partner_without_an_edge_of_ours_changes_nothing(organisation: Organisation, theirs: Path) -> None:
    before = organisation.file.read_text()
    left = organisation.type("partner", "add", "partner.test", *credentials(theirs))
    assert left.code == 1
    assert "no `route`" in left.err
    assert organisation.file.read_text() == before


def test_a_partner_that_claims_our_domain_changes_nothing(open_: Organisation, theirs: Path) -> None:
    before = open_.file.read_text()
    left = open_.type("partner", "add", "example.com", *credentials(theirs))
    assert left.code == 1
    assert "is a name of our own" in left.err
    assert open_.file.read_text() == before


def test_missing_crl_is_reported_at_once(open_: Organisation, theirs: Path) -> None:
    """One list of the two: each peer under the other would be refused."""
    added = open_.type("partner", "add", "partner.test", "--ca", theirs / "root.pem", "--crl", theirs / "issuing.crl")
    assert added.code == 0
    assert "no usable CRL" in added.out
    assert "no CRL in force" in open_.type("partner", "list").out


def test_a_file_beside_the_topology_is_named_by_its_place_there(open_: Organisation, theirs: Path) -> None:
    """The whole folder may then move."""
    home = open_.folder / "partners"
    home.mkdir()
    for file in theirs.glob("*.[pc]*"):
        if file.suffix in {".pem", ".crl"}:
            (home / file.name).write_bytes(file.read_bytes())
    assert open_.type("partner", "add", "partner.test", *credentials(home)).code == 0
    assert open_.type("partner", "list", "--json").json["partners"][0]["anchors"] == ["partners/root.pem"]


def test_a_blocked_partner_is_no_partner_any_more(open_: Organisation, theirs: Path) -> None:
    open_.type("partner", "add", "partner.test", "--edge", "sip.partner.test", *credentials(theirs))
    assert open_.type("partner", "block", "partner.test").code == 0
    told = open_.type("partner", "list", "--json").json
    assert (told["partners"], sorted(told["blocked"])) == ([], ["partner.test", "sip.partner.test"])


def test_our_own_domain_cannot_be_blocked(open_: Organisation) -> None:
    before = open_.file.read_text()
    assert open_.type("partner", "block", "example.com").code == 1
    assert open_.file.read_text() == before


def test_a_file_that_is_not_there_is_a_usage_error(open_: Organisation, tmp_path: Path) -> None:
    nothing = ("--ca", tmp_path / "none.pem", "--crl", tmp_path / "none.crl")
    assert open_.type("partner", "add", "partner.test", *nothing).code == 2
    (tmp_path / "none.pem").write_text("a root")
    assert open_.type("partner", "add", "partner.test", *nothing).code == 2
    assert not (open_.folder / "partners").exists(), "nothing was copied"


def newest(organisation: Organisation) -> tuple[int, str]:
    last = organisation.type("topology", "history", "--json").json[-1]
    return last["version"], last["why"]


def test_a_partner_is_in_force_by_the_one_command(open_: Organisation, theirs: Path) -> None:
    """It publishes by itself, with a reason of its own, and what servers elsewhere get lies below the folder."""
    number, _ = newest(open_)
    added = open_.type("partner", "add", "Partner.test", *credentials(theirs))
    assert added.code == 0, added.out + added.err
    assert newest(open_) == (number + 1, "Partner.test is a partner")
    assert (open_.folder / "partners" / "partner.test" / "issuing.crl").read_bytes()
    assert open_.type("topology", "check", "--json").json["unpublished"] == []


def begin_another_change(organisation: Organisation) -> None:
    """An operator is editing the draft."""
    text = organisation.file.read_text()
    organisation.file.write_text(text.replace("sip_domains: [example.com]", "sip_domains: [example.com, example.net]"))


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.wide
def test_block_is_in_force_though_the_draft_holds_other_changes(
    open_: Organisation, theirs: Path, *, runs: bool
) -> None:
    """An emergency does not wait for other work: the draft keeps earlier changes, unpublished, and the command says so."""
    assert open_.type("partner", "add", "partner.test", "--edge", "sip.partner.test", *credentials(theirs)).code == 0
    if runs:
        open_.serve("mgmt.example.com")
    number, _ = newest(open_)
    begin_another_change(open_)
    wait = ("--wait", "0") if runs else ()
    blocked = open_.type("partner", "block", "Partner.test", *wait)
    assert blocked.code == 0, blocked.out + blocked.err
    assert "example.net" in blocked.out.partition("not published:")[2]
    told = open_.type("partner", "list", "--json").json
    assert (told["partners"], sorted(told["blocked"])) == ([], ["partner.test", "sip.partner.test"])
    assert newest(open_) == (number + 1, "partner.test is blocked")
    assert "block" in [line["act"] for line in audit(open_)][-2:]
    left = open_.type("topology", "check", "--json").json["unpublished"]
    assert len(left) == 1
    assert "example.net" in left[0]


def test_block_is_in_force_though_the_draft_is_broken(open_: Organisation) -> None:
    """And the operator learns that this draft would undo it."""
    number, _ = newest(open_)
    open_.file.write_text(open_.file.read_text() + "nonsense: [\n")
    blocked = open_.type("partner", "block", "evil.test")
    assert blocked.code == 0, blocked.out + blocked.err
    assert newest(open_) == (number + 1, "evil.test is blocked")
    assert "would undo the block" in blocked.out
    again = open_.type("partner", "block", "evil.test")
    assert (again.code, newest(open_)[0]) == (0, number + 1)
    assert f"blocked already, in version {number + 1}" in again.out


@pytest.mark.parametrize(
    "name", wide_after(3, ["x: [y", "evil.test]\nsip_domains: [x.test", "*", "", "\x1b[2J", "example.com", "evil"])
)
def test_what_is_no_domain_is_not_blocked(open_: Organisation, name: str) -> None:
    """Neither by way of YAML; nothing is published, and the draft stays as it was."""
    number, before = newest(open_)[0], open_.file.read_text()
    left = open_.type("partner", "block", name)
    assert left.code == 1, left.out
    assert newest(open_)[0] == number
    assert open_.file.read_text() == before


def test_partner_that_is_added_waits_for_the_draft(open_: Organisation, theirs: Path) -> None:
    """To accept a partner is no emergency: nothing is published that the operator has not begun."""
    number, _ = newest(open_)
    begin_another_change(open_)
    left = open_.type("partner", "add", "partner.test", *credentials(theirs))
    assert left.code == 1
    assert "NOT in force" in left.out
    assert newest(open_)[0] == number


def audit(organisation: Organisation) -> list[dict[str, Any]]:
    return [json.loads(line) for line in organisation.type("audit", "--json").out.splitlines()]


def test_a_crl_may_be_named_by_its_url(open_: Organisation, theirs: Path) -> None:
    """It is no problem that it has not come to this machine; a file that is not in the topology is one."""
    url = "http://crl.partner.test/issuing.crl"
    given = ("--ca", theirs / "root.pem", "--crl", theirs / "root.crl", "--crl", url)
    added = open_.type("partner", "add", "partner.test", *given)
    assert added.code == 0
    assert "cannot be used" not in added.out
    (held,) = open_.type("partner", "list", "--json").json["partners"]
    assert held["crls"][1] == url
    assert open_.type("topology", "check").code == 0
    assert open_.type("partner", "add", "other.test", *given[:-1], "no.crl").code == 2


def test_prepared_root_is_of_no_use_to_a_partner_without_its_crl(open_: Organisation, theirs: Path) -> None:
    """Certificates that the new CA issues lead to the old root too, and are still refused where no list speaks for them."""
    assert open_.type("partner", "add", "partner.test", *credentials(theirs)).code == 0
    prepared = open_.type("ca", "root", "prepare")
    assert prepared.code == 0, prepared.err
    assert f"Give {open_.folder / 'ca' / '2' / 'issuing.crl'} to partners now" in prepared.out


@pytest.mark.wide
def test_a_partner_that_changes_its_root_is_accepted_once_the_next_crl_is_named(
    open_: Organisation, tmp_path: Path
) -> None:
    """Its new certificate leads to the old root, and is refused all the same while no list speaks for the next issuing CA."""
    assert sipmesh("init", "other.test", "--dir", tmp_path / "o").code == 0
    generations, at = CaGenerations(tmp_path / "o" / "ca"), datetime.now(UTC)
    assert (
        open_.type("partner", "add", "other.test", "--edge", "sip.other.test", *credentials(generations.folder)).code
        == 0
    )
    following = generations.prepare(at)
    file = tmp_path / "edge.pem"
    generations.activate().issue(("sip.other.test",), Role.EDGE, at, timedelta(days=1)).write(
        file, tmp_path / "edge.key"
    )
    assert open_.type("explain", file, "--json").json["verdict"]["code"] == Code.REVOCATION_UNKNOWN
    named = "partners/other.test/issuing.crl"
    (open_.folder / "partners/other.test/next.crl").write_bytes((following.folder / "issuing.crl").read_bytes())
    open_.file.write_text(open_.file.read_text().replace(named, f"{named}, partners/other.test/next.crl"))
    open_.publish("the next list of other.test")
    assert open_.type("explain", file, "--json").json["verdict"]["code"] == Code.ACCEPTED
