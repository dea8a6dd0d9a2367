"""What `sipmesh explain HOST:PORT` probes: the listener, the name that is expected, and who connects."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.cli.diagnosis.probe_target import Target, aim, known_at
from sipmesh.cli.place import Place
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, EDGES, EXAMPLE, FE1, FE2, PARTNER, PARTNER_EDGES, copied, federate

HOST = "127.0.0.1"


@pytest.fixture(name="place")
def _place(example: Organisation, partner_model: Organisation, tmp_path: Path) -> Place:
    federate(example, copied(partner_model, tmp_path / "p"))
    return Place(example.file)


def at(organisation: Organisation, server: str, kind: LinkKind) -> str:
    host, port = organisation.address(server, kind)
    return f"{host}:{port}"


def target(what: str, speaker: str = "", *names: str, anchors: tuple[Path, ...] = ()) -> Target:
    return Target(what, speaker, names, anchors)


@pytest.mark.parametrize(("what", "split"), [("h.test:5061", ("h.test", 5061)), ("h.test", ("h.test", None))])
def test_target_is_a_host_and_perhaps_a_port(what: str, split: tuple[str, int | None]) -> None:
    assert target(what).split == split


@pytest.mark.parametrize("what", ["h.test:0", "h.test:65536", "h.test:http"])
def test_target_that_cannot_be_read_is_refused(what: str) -> None:
    with pytest.raises(OperatorError, match="is not a host:port, link or file"):
        _ = target(what).split


@pytest.mark.parametrize(("server", "kind"), [(FE1, LinkKind.CLIENT), (FE2, LinkKind.SERVER), (EDGE, LinkKind.PARTNER)])
def test_port_of_the_topology_is_known(example: Organisation, server: str, kind: LinkKind) -> None:
    port = example.ports[server][kind]
    known = known_at(example.load(), HOST, port)
    assert known is not None
    assert (known.server, known.kind, known.address) == (server, kind, (HOST, port))


def test_name_without_a_port_means_the_first_listener(example: Organisation) -> None:
    loaded = example.load()
    found = [known_at(loaded, name, None) for name in (FE1, EDGE, EDGES)]
    assert [one.kind for one in found if one] == [LinkKind.CLIENT, LinkKind.SERVER, LinkKind.PARTNER]
    assert known_at(loaded, FE1, 9) is None
    assert known_at(loaded, "fe9.example.test", None) is None


def test_client_expects_a_sip_domain_or_the_server_at_a_known_port(place: Place, example: Organisation) -> None:
    what = at(example, FE1, LinkKind.CLIENT)
    aimed, told = aim(target(what), place)
    assert told == f"{what} (client port of {FE1}), as a client that expects {EXAMPLE} or {FE1}"
    assert (aimed.hop.name, aimed.hop.kind, aimed.domain) == (EXAMPLE, LinkKind.CLIENT, EXAMPLE)
    assert aimed.resolver is None, "an IP address needs no look-up"


@pytest.mark.parametrize(
    ("server", "kind", "advice"),
    [
        (FE1, LinkKind.SERVER, f"--as {FE2}"),
        (EDGE, LinkKind.SERVER, f"--as {FE1}"),
        (EDGE, LinkKind.PARTNER, "sipmesh explain FILE --as partner"),
    ],
)
def test_client_at_a_port_for_servers_sees_who_may_open_it(
    place: Place, example: Organisation, server: str, kind: LinkKind, advice: str
) -> None:
    aimed, _ = aim(target(at(example, server, kind)), place)
    assert f"is the {kind} port of {server}" in aimed.advice[0]
    assert aimed.advice[1].endswith(advice)


def test_server_without_a_certificate_here_is_not_advised(place: Place, example: Organisation) -> None:
    for name in (FE2, EDGE, "bot.example.test"):
        example.credentials(name)[0].unlink()
    aimed, _ = aim(target(at(example, FE1, LinkKind.SERVER)), place)
    assert aimed.advice[1].endswith("--as NAME")


def test_unknown_server_is_expected_to_have_its_own_name(tmp_path: Path, example: Organisation) -> None:
    """Without a topology a root has to be named."""
    nowhere = Place(tmp_path / "none" / "topology.yaml")
    aimed, told = aim(target("SIP.Other.test", anchors=(example.root,)), nowhere)
    assert (aimed.hop.name, aimed.hop.addresses) == ("sip.other.test", (("SIP.Other.test", 5061),))
    assert "a server that is not in the topology" in told
    assert aimed.resolver is not None
    assert "is a port for servers" in aimed.advice[0]
    with pytest.raises(OperatorError, match="add --ca FILE"):
        aim(target("sip.other.test"), nowhere)


def test_unknown_address_needs_the_name_that_is_expected(place: Place) -> None:
    with pytest.raises(OperatorError, match="an IP address proves no identity"):
        aim(target("192.0.2.1:5061"), place)
    aimed, told = aim(target("192.0.2.1:5061", "", EXAMPLE), place)
    assert aimed.hop.name == EXAMPLE
    assert told.endswith(f"as a client that expects {EXAMPLE}")


def test_server_expects_the_name_of_the_other(place: Place, example: Organisation) -> None:
    what = at(example, FE2, LinkKind.SERVER)
    aimed, told = aim(target(what, FE1), place)
    assert told == f"{what} (server link to {FE2}), as {FE1}"
    assert (aimed.hop.name, aimed.hop.kind, aimed.advice) == (FE2, LinkKind.SERVER, ())
    assert aim(target(what, FE1, "other.test"), place)[0].hop.name == "other.test"


def test_server_has_no_use_for_a_client_port(place: Place, example: Organisation) -> None:
    with pytest.raises(OperatorError, match="leave out --as"):
        aim(target(at(example, FE1, LinkKind.CLIENT), FE2), place)


def test_edge_finds_a_partner_by_its_entry_in_the_topology(place: Place) -> None:
    aimed, _ = aim(target(PARTNER, EDGE), place)
    assert (aimed.hop.name, aimed.hop.kind) == (PARTNER_EDGES, LinkKind.PARTNER)
    assert aimed.hop.service is None
    assert aimed.resolver is not None


def test_partner_without_an_edge_is_found_by_its_service(
    place: Place, example: Organisation, partner_model: Organisation
) -> None:
    example.federate(EDGES, [partner_model.as_partner()])
    example.write()
    aimed, _ = aim(target(PARTNER, EDGE), place)
    assert (aimed.hop.name, aimed.hop.service, aimed.hop.addresses) == (PARTNER, "sipfederationtls", None)


@pytest.mark.parametrize(("speaker", "kind"), [(EDGE, LinkKind.PARTNER), (FE1, LinkKind.SERVER)])
def test_unknown_address_is_a_partner_to_an_edge_only(place: Place, speaker: str, kind: LinkKind) -> None:
    aimed, _ = aim(target("192.0.2.1:5070", speaker, "x.test"), place)
    assert (aimed.hop.name, aimed.hop.kind, aimed.hop.addresses) == ("x.test", kind, (("192.0.2.1", 5070),))
    assert aim(target("Y.test", speaker), place)[0].hop.addresses == (("Y.test", 5061),)


def test_speaker_has_to_be_a_server_of_the_topology(place: Place) -> None:
    with pytest.raises(OperatorError, match="fe9"):
        aim(target("h.test", "fe9.example.test"), place)


@pytest.mark.parametrize(
    ("server", "kind", "names"), [(FE1, LinkKind.CLIENT, f"{EXAMPLE} or {FE1}"), (FE1, LinkKind.SERVER, FE1)]
)
def test_server_port_proves_its_server_and_a_client_port_the_domain_too(
    place: Place, example: Organisation, server: str, kind: LinkKind, names: str
) -> None:
    """An application, which has a server port alone, proves no SIP domain."""
    aimed, told = aim(target(at(example, server, kind)), place)
    assert told.endswith(f"as a client that expects {names}")
    assert aimed.hop.name == names.partition(" or ")[0]
