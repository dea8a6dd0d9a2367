"""The draft is edited by name: typed as an operator types it, on an organisation as `sipmesh init` makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.world import FE1, Organisation
from sipmesh.topology.document.load import load
from sipmesh.topology.document.model import Topology
from support.tiers import wide_after


def topology(organisation: Organisation) -> Topology:
    return load(organisation.file).topology


def servers(organisation: Organisation, pool: str) -> list[str]:
    found = topology(organisation).pool(pool)
    return [server.name for server in found.servers] if found else []


def test_draft_grows_by_commands_and_keeps_its_comments(organisation: Organisation) -> None:
    comments = [line for line in organisation.file.read_text().splitlines() if line.strip().startswith("#")]
    for line in (
        "add site berlin",
        "add domain example.net",
        "add pool --role front-end --site berlin --server fe7 --server fe8 --address 127.0.0.1 --address 127.0.0.2",
        "add pool --role edge --next-hop pool1 --address 127.0.0.3 --outside 192.0.2.1",
        "add server --pool pool1 --address 127.0.0.4",
        "add application bot --speaks-for example.net --next-hop pool1",
        "change fe1.example.com site=berlin",
        "rename berlin paris",
        "rename pool2 main",
        "remove fe8.example.com",
    ):
        typed = organisation.type("topology", *line.split())
        assert typed.code == 0, f"{line}\n{typed.out}{typed.err}"
        assert "sipmesh topology publish" in typed.out
    made = topology(organisation)
    assert (made.sites, made.sip_domains) == (("paris",), ("example.com", "example.net"))
    assert servers(organisation, "main.example.com") == ["fe7.example.com"]
    assert servers(organisation, "pool1.example.com") == ["fe1.example.com", "fe9.example.com"]
    assert made.federation.route == "sip.example.com"
    assert [line for line in organisation.file.read_text().splitlines() if line.strip().startswith("#")] == comments


def test_server_of_a_machine_with_several_addresses_gets_its_machine_by_an_option(organisation: Organisation) -> None:
    """Without the option, the pool would have its registrations in two files; the error names the option."""
    given = ("topology", "add", "server", "--pool", "pool1", "--address", "192.0.2.4")
    refused = organisation.type(*given)
    assert (refused.code, "--machine NAME for a server that is added" in refused.err) == (1, True)
    assert organisation.type("topology", "change", FE1, "machine=host1").code == 0
    assert organisation.type(*given, "--machine", "host1").code == 0
    pool = topology(organisation).pool("pool1.example.com")
    assert pool is not None
    assert [server.machine for server in pool.servers] == ["host1", "host1"]


def test_dry_run_prints_the_difference_and_writes_nothing(organisation: Organisation) -> None:
    before = organisation.file.read_bytes()
    shown = organisation.type("topology", "add", "server", "--pool", "pool1", "--dry-run")
    assert shown.code == 0
    assert "+      - {name: fe2.example.com, address: 127.0.0.1" in shown.out
    assert "The new draft would be valid" in shown.out
    assert organisation.file.read_bytes() == before


def test_json_says_what_was_written(organisation: Organisation) -> None:
    told = organisation.type("topology", "add", "domain", "example.net", "--json").json
    assert (told["written"], told["published"] > 0) == (True, True)
    assert told["unpublished"] == ["example.net is added to our SIP domains"]
    assert "+sip_domains: [example.com, example.net]" in told["diff"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("add pool --role edge --next-hop pool9", "is not a pool of this topology"),
        ("add server fe1", "is already the name of"),
        ("add server fe_1 --pool pool1", "is not a host name"),
        ("add pool --role front-end --site berlin", "sipmesh topology add site berlin"),
        ("add application bot --speaks-for partner.test", "is not a SIP domain of the topology"),
        ("add pool --role management", "is management already"),
        ("change fe1.example.com ports.client=5070 ports.server=5070", "port 5070 on 127.0.0.1 is taken by"),
        ("change fe1.example.com address=example.com", "is not an IP address"),
        ("remove pool1.example.com --kind pool", "sipmesh topology remove"),
        ("rename fe1.example.com example.com", "is a SIP domain"),
        ("rename fe1.example.com mgmt.example.com.signer", "is one of 'mgmt.example.com' already"),
        (
            "change fe1.example.com certificate=servers/mgmt.example.com.signer.pem",
            "is one of 'mgmt.example.com' already",
        ),
    ],
)
def test_what_validation_refuses_is_refused_with_the_same_sentence(
    organisation: Organisation, line: str, reason: str
) -> None:
    if line.startswith("remove"):
        organisation.type("topology", "add", "pool", "--role", "edge")
        reason = "is not a pool of this topology"
    before = organisation.file.read_bytes()
    refused = organisation.type("topology", *line.split())
    assert refused.code == 1
    assert reason in refused.err
    assert "→" in refused.err
    assert organisation.file.read_bytes() == before


def test_no_server_gets_a_certificate_in_place_of_that_of_the_signer_of_publications(
    organisation: Organisation,
) -> None:
    """Management could sign nothing afterwards. The control is a name that no file has."""
    signer = organisation.folder / "servers/mgmt.example.com.signer.key"
    text, before = organisation.file.read_text(), signer.read_bytes()
    organisation.file.write_text(text.replace("fe1.example.com", "mgmt.example.com.signer"))
    refused = organisation.type("ca", "issue", "mgmt.example.com.signer")
    assert (refused.code, signer.read_bytes()) == (1, before)
    assert "is one of 'mgmt.example.com' already" in refused.err
    organisation.file.write_text(text.replace("fe1.example.com", "fe9.example.com"))
    assert organisation.type("ca", "issue", "fe9.example.com").code == 0


@pytest.mark.parametrize(
    "name",
    wide_after(
        3, ["x: [y", "a.test]\nsip_domains: [x.test", "*", "\x1b[2J", "a.test\u2028b: c", "{a: b}", "!!python/object x"]
    ),
)
def test_text_that_is_no_name_changes_nothing(organisation: Organisation, name: str) -> None:
    """A name is written as one YAML value, with any characters."""
    before = organisation.file.read_bytes()
    for command in (("add", "domain", name), ("add", "site", name), ("rename", "fe1.example.com", name)):
        assert organisation.type("topology", *command).code == 1
    assert organisation.file.read_bytes() == before


def test_network_without_management_takes_the_change_at_once(tmp_path: Path, organisation: Organisation) -> None:
    """Its servers read the file: nothing is to be published."""
    text = organisation.file.read_text()
    begin, end = text.index("  # The management server signs"), text.index("  # Front ends.")
    folder = tmp_path / "o"
    folder.mkdir()
    (folder / "ca").symlink_to(organisation.folder / "ca")
    (folder / "topology.yaml").write_text(text[:begin] + text[end:])
    typed = Organisation(folder).type("topology", "add", "domain", "example.net")
    assert (typed.code, typed.err) == (0, "")
    assert "No server runs here." in typed.out
    assert "publish" not in typed.out
