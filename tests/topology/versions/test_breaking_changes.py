"""What needs ``--force``: each danger with the change beside it that looks alike and breaks nothing."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.demo.forge import Forge, Wish
from sipmesh.topology.document.load import Loaded, load_text
from sipmesh.topology.expiry.validity import DatedItem
from sipmesh.topology.versions.breaking_changes import dangers
from topology.world import NOON, PARTNER_ENTRY, TOPOLOGY, Place

MANAGED = TOPOLOGY.replace(
    "federation:\n", "  - {name: mgmt.example.test, role: management, servers: [mg1.example.test]}\nfederation:\n", 1
)
POOL2 = "  - name: pool2.example.test\n    role: front-end\n    servers: [fe3.example.test]\n"
MANAGEMENT = "  - {name: mgmt.example.test, role: management, servers: [mg1.example.test]}\n"
BOT = (
    "  - name: bot.example.test\n    role: application\n    servers: [bot.example.test]\n"
    "    next_hop: pool1.example.test\n    speaks_for: [example.test]\n"
)


def loaded(place: Place, *changes: tuple[str, str]) -> Loaded:
    text = MANAGED
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return load_text(text.encode(), place.file)


def told(place: Place, *changes: tuple[str, str], **facts: Any) -> list[str]:
    return list(dangers(loaded(place), loaded(place, *changes), **facts))


def marks(*found: Loaded) -> set[str]:
    """All anchors, each of them in use."""
    authorities = [authority for one in found for authority in (one.authority, *one.partners)]
    return {DatedItem.of_certificate(anchor).mark for authority in authorities for anchor in authority.anchors}


def everything(place: Place) -> dict[str, Any]:
    """A network in which all that can be in use is in use."""
    return {
        "in_use": marks(loaded(place)),
        "domains": {"example.test"},
        "homes": {"pool1.example.test", "pool2.example.test"},
    }


@pytest.mark.parametrize(
    "change",
    [
        (
            "servers: [fe3.example.test]",
            "servers: [{name: fe3.example.test, machine: a}, {name: fe4.example.test, machine: a}]",
        ),
        ("      - {name: fe2.example.test, address: 127.0.0.2}\n", ""),
        ("address: 127.0.0.2", "address: 127.0.0.3"),
        ("sip_domains: [example.test]", "sip_domains: [example.test, example.org]"),
        ("blocked: [evil.test]", "blocked: [evil.test, bad.test]"),
        (
            "internal_name: edge-int.example.test\n    next_hop: pool1",
            "internal_name: edge-int.example.test\n    next_hop: pool2",
        ),
        ("name: mgmt.example.test", "name: management.example.test"),
        ("partners/b/root.pem", "partners/b/renamed.pem"),
        ("# ours", "# still ours"),
    ],
)
def test_safe_change_needs_no_force(place: Place, change: tuple[str, str]) -> None:
    folder = place.file.parent
    (folder / "partners" / "b" / "renamed.pem").write_bytes((folder / "partners" / "b" / "root.pem").read_bytes())
    assert told(place, change, **everything(place)) == []


def test_a_pool_with_users_that_goes_is_a_danger(place: Place) -> None:
    (danger,) = told(place, (POOL2, ""), homes={"pool2.example.test"})
    assert danger.startswith("pool pool2.example.test is removed: it is the home pool of users, who cannot log in")
    assert told(place, (POOL2, ""), homes={"pool1.example.test"}) == []


def test_a_pool_with_users_that_gets_another_role_is_left_without_front_end(place: Place) -> None:
    change = (POOL2, POOL2.replace("role: front-end", "role: application\n    next_hop: pool1.example.test"))
    (danger,) = told(place, change, homes={"pool2.example.test"})
    assert danger.startswith("pool pool2.example.test becomes application: it is the home pool of users")


def test_a_pool_all_of_whose_servers_are_replaced_at_once_is_a_danger(place: Place) -> None:
    (danger,) = told(place, ("servers: [fe3.example.test]", "servers: [fe4.example.test]"))
    assert danger == (
        "all servers of pool pool2.example.test are replaced: until fe4.example.test are reachable, the users of "
        "pool2.example.test cannot log in"
    )


def test_last_server_of_a_next_hop_or_of_the_route_is_reported_with_who_needs_it(place: Place) -> None:
    one = ("name: fe1.example.test", "name: fe7.example.test")
    two = ("name: fe2.example.test", "name: fe8.example.test")
    assert told(place, one) == []
    (danger,) = told(place, one, two)
    assert "2 pools lose their next hop: sip.example.test, bot.example.test" in danger
    (danger,) = told(place, ("servers: [edge1.example.test]", "servers: [edge2.example.test]"))
    assert danger.endswith("2 partners are cut off: partner.test, other.test")
    (danger,) = told(place, ("servers: [bot.example.test]", "servers: [bot2.example.test]"))
    assert danger.endswith("until bot2.example.test are reachable, requests to it are not delivered")


def test_replaced_edge_of_partners_is_reported(place: Place) -> None:
    other = (
        ("- name: sip.example.test", "- name: edge.example.test"),
        ("route: sip.example.test", "route: edge.example.test"),
    )
    (danger,) = told(place, *other)
    assert danger.startswith("pool sip.example.test is removed: partners connect to this edge")
    assert danger.endswith("partner.test, other.test cannot reach us")
    text = MANAGED[MANAGED.index("  partners:") : MANAGED.index("  # never again")]
    assert told(place, *other, (text, "")) == [], "without partners nobody knows it"


def test_an_application_that_goes_is_reported(place: Place) -> None:
    assert told(place, (BOT, "")) == ["pool bot.example.test is removed: requests to it are not delivered"]


def test_without_any_front_end_nothing_can_be_published_at_all(place: Place) -> None:
    """Such a network is allowed by its document: it might be a management server alone."""
    text = MANAGED[MANAGED.index("  - name: pool1") : MANAGED.index("  - {name: mgmt")]
    federation = MANAGED[MANAGED.index("federation:") :]
    found = told(place, (text, ""), (federation, ""), homes=())
    assert [one for one in found if "no front end is left" in one]


def test_management_that_goes_is_a_danger_and_management_that_comes_is_none(place: Place) -> None:
    (danger,) = told(place, (MANAGEMENT, ""))
    assert danger.startswith("management is removed: no later version can be published")
    assert dangers(loaded(place, (MANAGEMENT, "")), loaded(place)) == []


def test_management_on_a_server_of_another_name_is_a_danger(place: Place) -> None:
    (danger,) = told(place, ("[mg1.example.test]", "[mg2.example.test]"))
    assert danger.startswith(
        "the management server changes from mg1.example.test to mg2.example.test: servers then reject signatures of mg1"
    )


def test_a_domain_with_users_that_goes_is_a_danger(place: Place) -> None:
    more = ("sip_domains: [example.test]", "sip_domains: [example.test, example.org]")
    old, new = loaded(place, more), loaded(place)
    (danger,) = dangers(old, new, domains={"example.org"})
    assert danger.startswith("example.org is removed from our SIP domains")
    assert dangers(old, new, domains={"example.test"}) == []
    assert dangers(new, old, domains={"example.org"}) == []


def test_move_of_users_without_a_home_is_reported(place: Place) -> None:
    pool1 = MANAGED[MANAGED.index("  - name: pool1") : MANAGED.index("  - name: pool2")]
    turned = ((pool1, ""), (POOL2, POOL2 + pool1))
    (danger,) = told(place, *turned, homes={"pool1.example.test"})
    assert danger.startswith("users without an explicit home pool move from pool1.example.test to pool2.example.test")
    assert told(place, *turned, homes={"pool2.example.test"}) == []


# Anchors


def replaced(place: Place, file: str, content: bytes) -> tuple[Loaded, Loaded]:
    """Before and after *file* got other content."""
    old = loaded(place)
    (place.file.parent / file).write_bytes(content)
    return old, loaded(place)


@pytest.mark.parametrize(
    ("file", "told_of"),
    [("ca/root.pem", "our anchor CN=Example Root CA"), ("partners/b/root.pem", "anchor CN=Partner Root CA")],
)
def test_an_anchor_in_use_that_leaves_is_a_danger(place: Place, file: str, told_of: str) -> None:
    old, new = replaced(place, file, Forge(NOON).root("New Root").pem_chain)
    (danger,) = dangers(old, new, in_use=marks(old))
    assert danger.startswith(told_of)
    assert "is removed" in danger
    assert dangers(old, new, in_use=marks(new) - marks(old)) == [], "nothing stands on it"
    assert dangers(new, new, in_use=marks(old)) == []


@pytest.mark.parametrize("file", ["ca/root.pem", "partners/b/root.pem"])
def test_an_anchor_that_joins_beside_that_in_use_is_none(place: Place, file: str) -> None:
    """The rotation of a CA: the new root is added first, and the old root is removed when no certificate needs it."""
    both = (place.file.parent / file).read_bytes() + Forge(NOON).root("New Root").pem_chain
    old, new = replaced(place, file, both)
    assert dangers(old, new, in_use=marks(old)) == []


def test_root_renewed_with_its_old_key_is_no_danger(place: Place) -> None:
    forge = Forge(NOON)
    first = forge.root("Old Root")
    again = forge.forge(Wish("Old Root", ca=True, usages=()), reuse=first.key)
    other = forge.forge(Wish("Old Root", ca=True, usages=()))
    (place.file.parent / "partners" / "b" / "root.pem").write_bytes(first.pem_chain)
    old, new = replaced(place, "partners/b/root.pem", again.pem_chain)
    assert marks(old) != marks(new)
    assert dangers(old, new, in_use=marks(old)) == []
    old, new = replaced(place, "partners/b/root.pem", other.pem_chain)
    assert len(dangers(old, new, in_use=marks(old))) == 1, "the name alone vouches for nothing"


OURS = "crls: [ca/root.crl, ca/issuing.crl]"


def test_crl_of_our_ca_that_leaves_is_a_danger(place: Place) -> None:
    """Without it, no certificate of the CA is accepted, so no later version is either."""
    (danger,) = told(place, (OURS, "crls: [ca/root.crl]"))
    assert danger.startswith("our CA CN=")
    assert "Issuing CA" in danger
    assert danger.endswith("servers and management refuse its certificates")
    by_ocsp = "crls: [ca/root.crl], ocsp: ['http://ocsp.example.test/'], revocation: ocsp"
    assert "without an OCSP response" in told(place, (OURS, by_ocsp))[0]


def test_crl_of_our_ca_in_another_file_or_fetched_from_now_on_is_none(place: Place) -> None:
    folder = place.file.parent
    (folder / "ca/other.crl").write_bytes((folder / "ca/issuing.crl").read_bytes())
    for crls in ("ca/other.crl, ca/root.crl", "ca/root.crl, 'http://crl.example.test/issuing.crl'"):
        assert told(place, (OURS, f"crls: [{crls}]")) == []


def test_crl_that_leaves_with_the_anchor_of_its_ca_is_none(place: Place) -> None:
    """The end of a rotation: nothing in use depends on the old root."""
    old = loaded(place)
    (place.file.parent / "ca/root.pem").write_bytes(Forge(NOON).root("New Root").pem_chain)
    assert dangers(old, loaded(place, (OURS, "crls: [ca/root.crl]"))) == []


def test_a_partner_that_goes_with_links_up_is_reported(place: Place) -> None:
    (danger,) = told(place, (PARTNER_ENTRY, ""), in_use=marks(loaded(place)))
    assert "of partner partner.test is removed with the partner, and links use it" in danger
    assert told(place, (PARTNER_ENTRY, "")) == []


def test_a_partner_that_is_blocked_is_meant_to_lose_its_links(place: Place) -> None:
    """Blocking a partner is one command. A partner with half of its names blocked was only removed."""
    used = marks(loaded(place))
    all_of_it = ("blocked: [evil.test]", "blocked: [evil.test, partner.test, sip.partner.test]")
    assert told(place, (PARTNER_ENTRY, ""), all_of_it, in_use=used) == []
    half = ("blocked: [evil.test]", "blocked: [evil.test, sip.partner.test]")
    assert len(told(place, (PARTNER_ENTRY, ""), half, in_use=used)) == 1


def test_a_partner_under_another_first_domain_keeps_its_anchor(place: Place) -> None:
    turned = ("domains: [other.test, second.test]", "domains: [second.test, other.test]")
    assert told(place, turned, in_use=marks(loaded(place))) == []


def test_an_anchor_that_passes_to_another_partner_leaves_the_first(place: Place) -> None:
    """An anchor that moves to another scope: the links of the first scope are closed."""
    moved = (
        ("partners/b/root.pem", "x"),
        ("partners/c/root.pem", "partners/b/root.pem"),
        ("[x]", "[partners/c/root.pem]"),
    )
    found = told(place, *moved, in_use=marks(loaded(place)))
    assert [one.split(" of ")[1].split(" ")[1] for one in found] == ["partner.test", "other.test"]


def test_all_dangers_are_reported_together(place: Place) -> None:
    found = told(place, (MANAGEMENT, ""), (POOL2, ""), (BOT, ""), (PARTNER_ENTRY, ""), **everything(place))
    assert len(found) == 4
