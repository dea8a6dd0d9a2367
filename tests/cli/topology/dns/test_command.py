"""The records are printed for zone files; DNS is asked for each, and each fault is reported with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.topology.dns.dns_world import BOGUS, PLAIN, SECURE, knot, unbound
from cli.world import Organisation
from sipmesh.demo.ports import HOST


@pytest.fixture(name="three", scope="module")
def _three(organisation_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """Users of three SIP domains, an edge, and no servers of the zone example.com that DNS would be asked for."""
    made = organisation_model.copied(tmp_path_factory.mktemp("o") / "o")
    for zone in (SECURE, BOGUS, PLAIN):
        assert made.type("topology", "add", "domain", zone).code == 0
    assert made.type("topology", "rename", "fe1", f"fe1.{PLAIN}").code == 0
    assert made.type("topology", "apply", "-m", "three domains", "--force").code == 0
    return made


def zone_files(organisation: Organisation) -> dict[str, list[str]]:
    """The zones as `topology dns` prints them."""
    printed = organisation.type("topology", "dns", "--format", "bind")
    assert printed.code == 0, printed.err
    zones: dict[str, list[str]] = {}
    for line in printed.out.splitlines():
        if line.startswith("; zone "):
            zones[line.split()[2]] = held = []
        elif not line.startswith(";"):
            held.append(line.replace(" IN ", " "))
    return zones


@pytest.fixture(name="resolver", scope="module")
def _resolver(three: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A resolver for the zones with one missing, one stale and one wrong record, and a zone that does not validate."""
    zones = {zone: list(lines) for zone, lines in zone_files(three).items()}
    missing = [line for line in zones[SECURE] if "NAPTR" not in line]
    zones[SECURE] = [*missing, f"_sips._tcp.{SECURE}. 60 SRV 1 1 5061 gone.{SECURE}."]
    zones[PLAIN] = [line.replace("127.0.0.1", "192.0.2.9") for line in zones[PLAIN]]
    folder = tmp_path_factory.mktemp("dns")
    with knot(folder, zones) as authority, unbound(folder, authority, zones) as port:
        yield f"{HOST}:{port}", folder


@pytest.mark.peer("knot")
@pytest.mark.peer("unbound")
@pytest.mark.wide
def test_missing_stale_wrong_and_bogus_records_are_distinguished(
    three: Organisation, resolver: tuple[str, Path]
) -> None:
    checked = three.type("topology", "dns", "check", "--server", resolver[0], "--for", "phones", "--json")
    assert checked.code == 1
    found = {(one["name"], one["type"]): (one["state"], one["dnssec"]) for one in checked.json["findings"]}
    assert found[SECURE, "NAPTR"] == ("missing", "secure")
    assert found[f"_sips._tcp.{SECURE}", "SRV"] == ("wrong", "secure")
    assert found[f"_sips._tcp.{BOGUS}", "SRV"] == ("bogus", "bogus")
    assert found[f"_sips._tcp.{PLAIN}", "SRV"] == ("good", "insecure")
    assert found[f"fe1.{PLAIN}", "A"] == ("wrong", "insecure")
    told = three.type("topology", "dns", "check", "--server", resolver[0], "--for", "phones").out
    port = three.ports["fe1.example.com client"]
    for line in (
        f"✓ _sips._tcp.{PLAIN}. SRV: good (DNSSEC: insecure): 1 1 {port} fe1.{PLAIN}.",
        f"→ remove: _sips._tcp.{SECURE}. IN SRV 1 1 5061 gone.{SECURE}.",
        f"→ add: fe1.{PLAIN}. 3600 IN A 127.0.0.1",
        "or correct the DS record at its parent",
    ):
        assert line in told


@pytest.mark.peer("knot")
@pytest.mark.peer("unbound")
@pytest.mark.wide
def test_zones_as_printed_are_right(three: Organisation, tmp_path: Path) -> None:
    """The control of the test above."""
    zones = zone_files(three)
    zones.setdefault(BOGUS, [])
    good = {zone: zones[zone] for zone in (SECURE, PLAIN, "example.com")}
    with knot(tmp_path, good) as authority, unbound(tmp_path, authority, good) as port:
        server = ("--server", f"{HOST}:{port}")
        checked = three.type("topology", "dns", "check", *server, "--json")
    wrong = [one for one in checked.json["findings"] if one["state"] != "good" and not one["name"].endswith(BOGUS)]
    assert wrong == []
    assert {one["dnssec"] for one in checked.json["findings"] if one["name"].endswith(SECURE)} == {"secure"}


def test_formats_and_purposes(three: Organisation) -> None:
    script = three.type("topology", "dns", "--format", "nsupdate", "--for", "servers").out
    assert script.startswith("zone example.com.\nupdate delete mgmt.example.com. A\n")
    assert "_sips" not in script
    assert "_sips._tcp.plain.test" in three.type("topology", "dns").out
    told = three.type("topology", "dns", "--json", "--version", "1").json
    assert {record["name"] for record in told} >= {"_sips._tcp.example.com", "fe1.example.com"}


@pytest.mark.peer("knot")
@pytest.mark.peer("unbound")
@pytest.mark.wide
def test_tlsa_records_are_compared_with_their_dnssec_status(organisation_model: Organisation, tmp_path: Path) -> None:
    """A right record, a missing, a wrong and a stale one, a bogus one, and one in a zone that is not signed."""
    made = organisation_model.copied(tmp_path / "o")
    hosts = [f"right.{SECURE}", f"missing.{SECURE}", f"wrong.{SECURE}", f"stale.{SECURE}", f"x.{BOGUS}", f"x.{PLAIN}"]
    for zone in (SECURE, BOGUS, PLAIN):
        assert made.type("topology", "add", "domain", zone).code == 0
    for host in hosts:
        assert made.type("topology", "add", "server", host, "--pool", "pool1").code == 0
    assert made.type("topology", "change", "network", "dane=true").code == 0
    assert "TLSA records are needed in DNS" in made.type("topology", "apply", "-m", "DANE", "--force").out
    zones = {zone: list(map(spoilt, lines)) for zone, lines in zone_files(made).items() if zone != "example.com"}
    zones[SECURE].append(next(line for line in zones[SECURE] if "stale" in line and "TLSA" in line)[:-64] + "ab" * 32)
    with knot(tmp_path, zones) as authority, unbound(tmp_path, authority, zones) as port:
        server = ("--server", f"{HOST}:{port}", "--for", "phones", "--json")
        findings = made.type("topology", "dns", "check", *server).json["findings"]
    found = {one["name"].split(".", 2)[2]: (one["state"], one["dnssec"]) for one in findings if one["type"] == "TLSA"}
    assert {host: found[host] for host in hosts} == {
        f"right.{SECURE}": ("good", "secure"),
        f"missing.{SECURE}": ("missing", "secure"),
        f"wrong.{SECURE}": ("wrong", "secure"),
        f"stale.{SECURE}": ("wrong", "secure"),
        f"x.{BOGUS}": ("bogus", "bogus"),
        f"x.{PLAIN}": ("unsigned", "insecure"),
    }


STRANGERS = (
    (SECURE, '0 issue "stranger.test"', "another CA"),
    (SECURE, '0 issue "ca.test; accounturi=https://ca.test/acct/666"', "another account"),
    (SECURE, '0 issuewild "ca.test"', "wildcards"),
    (
        f"fe1.{SECURE}",
        '0 issue "stranger.test"',
        "another CA, for one host: it counts in place of the record of the domain",
    ),
)


@pytest.mark.peer("knot")
@pytest.mark.peer("unbound")
@pytest.mark.wide
def test_caa_records_of_strangers_are_found_and_removed(organisation_model: Organisation, tmp_path: Path) -> None:
    """What is printed is right; then each record of a stranger is a fault, whose remedy is followed."""
    made = organisation_model.copied(tmp_path / "o")
    assert made.type("topology", "add", "domain", SECURE).code == 0
    assert made.type("topology", "rename", "fe1", f"fe1.{SECURE}").code == 0
    made.file.write_text(f"{made.file.read_text()}\ncaa: [{{issuer: ca.test, account: 'https://ca.test/acct/7'}}]\n")
    assert made.type("topology", "apply", "-m", "CAA", "--force").code == 0
    zones = zone_files(made) | {PLAIN: []}
    assert findings_of_caa(made, tmp_path / "right", zones) == {}
    added = [f"{name}. 60 CAA {data}" for name, data, _ in STRANGERS]
    mend = findings_of_caa(made, tmp_path / "wrong", zones | {SECURE: [*zones[SECURE], *added]})
    assert [f"remove: {name}. IN CAA {data}" in mend[name] for name, data, _ in STRANGERS] == [True] * len(STRANGERS)


def findings_of_caa(made: Organisation, folder: Path, zones: dict[str, list[str]]) -> dict[str, list[str]]:
    """Serve *zones*, and check: the remedies of each name whose CAA records are not right."""
    folder.mkdir()
    with knot(folder, zones) as authority, unbound(folder, authority, zones) as port:
        checked = made.type("topology", "dns", "check", "--server", f"{HOST}:{port}", "--json")
    caa = [one for one in checked.json["findings"] if one["type"] == "CAA"]
    assert caa
    return {one["name"]: one["mend"] for one in caa if one["state"] != "good"}


def spoilt(line: str) -> str:
    """A line of a zone file, with another TLSA record where the name says so."""
    if "TLSA" not in line:
        return line
    if "missing" in line:
        return f"; {line}"
    return line[:-64] + "cd" * 32 if "wrong" in line else line
