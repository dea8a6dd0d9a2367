"""Which links must work after a publication, and which of them count as broken by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sipmesh.demo.organisation import Organisation
from sipmesh.server.management.publishing.link_checks import (
    Check,
    Checked,
    broken,
    checks_for,
    is_here,
    out_of_contact,
    touched_by,
    worse_reports,
)
from sipmesh.server.management.replies import MemberReply
from sipmesh.topology.builder.link_changes import AllowedLink
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.network import BOT, EDGE, FE1, FE2, PARTNER, Network

MGMT = "mgmt.example.test"


def test_each_link_of_a_touched_server_is_probed_from_both_ends(example: Organisation) -> None:
    loaded = example.load()
    checks = [check for check in checks_for(loaded, (), [EDGE]) if check.opener]
    ends = {(check.opener, check.target_name) for check in checks}
    assert {(FE1, EDGE), (FE2, EDGE), (EDGE, FE1), (EDGE, FE2)} == ends
    assert checks_for(loaded, (), ()) == []


def test_link_that_appears_is_probed_from_its_opener(example: Organisation) -> None:
    appear = [AllowedLink(FE1, EDGE, LinkKind.SERVER)]
    port = example.ports[EDGE][LinkKind.SERVER]
    assert checks_for(example.load(), appear, ()) == [Check(FE1, f"{EDGE}:{port}")]


def test_application_is_an_opener_only_where_its_key_is(example: Organisation) -> None:
    """Management asks front ends and edges for links from other machines, but no application."""
    loaded = example.load()
    assert BOT in {check.opener for check in checks_for(loaded, (), [BOT])}
    for server in (BOT, FE1):
        example.credentials(server)[1].unlink()
    openers = {check.opener for check in checks_for(loaded, (), [BOT, FE1])}
    assert (is_here(loaded, BOT), BOT in openers, FE1 in openers) == (False, False, True)


def test_touched_front_end_is_probed_as_a_phone_does(example: Organisation) -> None:
    example.document["sip_domains"] = ["example.test", "example.net"]
    example.write()
    client = f"{FE1}:{example.ports[FE1][LinkKind.CLIENT]}"
    phones = [check for check in checks_for(example.load(), (), [FE1]) if not check.opener]
    assert phones == [Check("", client, "example.net"), Check("", client, "example.test")]
    assert str(phones[0]) == f"a phone → {client} as example.net"


def test_partner_is_probed_from_an_edge_that_changes(federation: Network) -> None:
    loaded = federation.organisations[0].load()
    edge = f"sip.{PARTNER}"
    assert edge in {check.target_name for check in checks_for(loaded, (), [EDGE]) if check.opener == EDGE}
    appear = [AllowedLink(view(loaded, EDGE).partners[0].peer.name, EDGE, LinkKind.PARTNER)]
    assert [(check.opener, check.target_name) for check in checks_for(loaded, appear, ())] == [(EDGE, edge)]


def test_server_whose_entry_changes_is_touched(example: Organisation) -> None:
    before = example.load()
    pools: Any = example.document["pools"]
    pools[0]["servers"][1]["address"] = "127.0.0.2"
    example.write()
    after = example.load()
    assert touched_by(before, after, (), ()) == {FE2}
    assert touched_by(before, after, [FE1], [AllowedLink(FE2, EDGE, LinkKind.SERVER)]) == {FE1, FE2, EDGE}


def test_change_of_our_authority_touches_every_server(example: Organisation) -> None:
    before = example.load()
    authority: Any = example.document["authority"]
    authority["grace"] = 1
    example.write()
    assert touched_by(before, example.load(), (), ()) == {FE1, FE2, EDGE, BOT}


def test_change_of_federation_touches_the_edges_on_the_way(federation: Network) -> None:
    after = federation.organisations[0].load()
    federation_part = after.topology.federation.model_copy(update={"blocked": ()})
    before = replace(after, topology=after.topology.model_copy(update={"federation": federation_part}))
    assert touched_by(before, after, (), ()) == {EDGE}


def test_link_that_failed_before_is_not_broken_by_the_change() -> None:
    one, two, three = (Check(FE1, f"{name}:5062") for name in (FE2, EDGE, MGMT))
    before = [Checked(one, passed=False, told="refused"), Checked(two, passed=True, told="200")]
    after = [Checked(check, passed=False, told="refused") for check in (one, two, three)]
    assert [checked.check for checked in broken(before, after)] == [two, three]
    assert broken(before, before) == []


def member(server: str, error: str = "", *unanswered: str) -> MemberReply:
    """What management knows of a server that reports *error*, and the servers that do not answer it."""
    return MemberReply(
        server=server,
        role=Role.FRONT_END,
        pool="pool1.example.com",
        faults=(),
        linked=True,
        why_not="",
        reached=True,
        error=error,
        unanswered=unanswered,
    )


def test_report_counts_where_it_is_worse_than_before() -> None:
    before = [member(FE1, "", FE2), member(EDGE, "old")]
    assert worse_reports(before, before) == []
    assert worse_reports(before, [member(FE1, "", FE2, MGMT)]) == []  # no link to it before
    assert worse_reports(before, [member(FE1, "", FE2, EDGE), member(EDGE, "new"), member(FE2, "bad")]) == [
        f"{FE1} gets no answer from {EDGE}",
        f"{EDGE} reports: new",
        f"{FE2} reports: bad",
    ]


def stopped(server: str) -> MemberReply:
    return member(server).model_copy(update={"linked": False, "reached": False})


def test_server_without_contact_before_and_since_need_not_confirm() -> None:
    """A server that was in contact must confirm, and so must a server that comes into contact meanwhile."""
    up, down = member(FE1), stopped(FE2)
    missing = [FE1, FE2]
    assert out_of_contact([up, down], [up, down], missing) == [FE2]
    assert out_of_contact([up, down], [up, member(FE2)], missing) == []
    assert out_of_contact([up, member(FE2)], [up, down], missing) == []
    assert out_of_contact([up, down], [up, down], []) == []


def test_each_server_has_to_confirm_if_there_was_contact_with_none() -> None:
    """Then nothing shows whether the version works: management itself may be cut off."""
    down = [stopped(name) for name in (FE1, FE2)]
    assert out_of_contact(down, down, [FE1, FE2]) == []


def test_reports_do_not_count_that_are_of_an_unreached_server_or_about_it() -> None:
    before, after = [member(FE1), member(FE2), member(EDGE)], [member(FE1, "", FE2, EDGE), member(FE2, "old")]
    assert worse_reports(before, after, [FE2]) == [f"{FE1} gets no answer from {EDGE}"]
