"""A plan says what follows from a draft, and why a part of it is not known. No network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.management.publishing.offline_publish import plan_at_rest
from sipmesh.server.management.publishing.plan_report import Planned, planned
from sipmesh.server.replication.topology_source import published_in
from support.managed import Managed, build_managed, second_pool, servers_of
from support.network import FE1, FE2, FE3, FE4, POOL, POOL2


@pytest.fixture(name="network")
def _network(tmp_path: Path) -> Managed:
    """A network with two pools, whose version 1 is published; nothing runs."""
    return Managed(build_managed(tmp_path / "o", second_pool()), tmp_path / "s")


def no_ca() -> CaGenerations:
    raise OperatorError("there is no CA here")


def plan_of(organisation: Organisation, generations: Callable[[], CaGenerations] | None = None) -> Planned:
    before = published_in(organisation.folder)
    assert before is not None
    ours = generations or (lambda: CaGenerations(organisation.folder / CA))
    return planned(plan_at_rest(organisation.file), before, organisation.load(), ours)


def test_plan_of_the_version_in_force_leads_to_nothing(network: Managed) -> None:
    report = plan_of(network.organisation).report
    assert (report.base, report.changes, report.links_appear, report.links_die, report.homes) == (1, [], [], [], [])
    assert (report.certificates, report.dns_needed, report.dns_unused, report.revoked) == ([], [], [], [])
    assert report.users_unread == report.tlsa_unknown == ""


def test_removed_pool_takes_its_servers_links_records_and_the_homes_of_its_users(network: Managed) -> None:
    network.organisation.add_users("carol", pool=POOL2)
    network.edit(lambda document: document.update(pools=[p for p in document["pools"] if p["name"] != POOL2]))
    made = plan_of(network.organisation)
    report = made.report
    assert report.revoked == [FE3, FE4]
    assert {link.opener for link in report.links_die} >= {FE3, FE4}
    assert {FE3, FE4} <= {record.name for record in report.dns_unused}
    assert [(home.before, home.after, home.users) for home in report.homes] == [(POOL2, "", ["carol@example.test"])]
    assert (made.publication.revoked, made.publication.digest) == (report.revoked, report.digest)


def test_changed_port_takes_a_restart_and_is_no_change_twice(network: Managed) -> None:
    network.edit(lambda document: servers_of(document, POOL)[0]["ports"].update(client=5071))
    report = plan_of(network.organisation).report
    [restart] = report.restarts
    assert restart.startswith(f"{FE1} must be restarted")
    assert restart not in report.changes


def test_users_who_cannot_be_read_are_no_reason_to_refuse_a_plan(network: Managed) -> None:
    (network.organisation.folder / "users.db").write_bytes(b"no database")
    report = plan_of(network.organisation).report
    assert report.users_unread
    assert report.homes == ()


def test_machine_without_the_ca_knows_no_tlsa_records_and_no_certificates(network: Managed) -> None:
    network.edit(lambda document: document.update(dane=True))
    known = {record.type for record in plan_of(network.organisation).report.dns_needed}
    report = plan_of(network.organisation, no_ca).report
    unknown = {record.type for record in report.dns_needed}
    assert ("TLSA" in known, "TLSA" in unknown, report.tlsa_unknown) == (True, False, "there is no CA here")
    assert FE2 in [need.server for need in report.certificates]


def test_draft_that_changes_meanwhile_is_not_compared(network: Managed) -> None:
    organisation = network.organisation
    before, plan = published_in(organisation.folder), plan_at_rest(organisation.file)
    assert before is not None
    with pytest.raises(OperatorError, match="has changed while they were compared"):
        planned(replace(plan, digest="0" * 64), before, organisation.load(), no_ca)
    with pytest.raises(OperatorError, match="has changed while they were compared"):
        planned(replace(plan, base=7), before, organisation.load(), no_ca)
