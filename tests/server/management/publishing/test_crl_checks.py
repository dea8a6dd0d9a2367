"""After a publication each server fetches the CRLs with a URL that it needs: those that the version adds."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.management.publishing.crl_checks import checked_crls, crl_checks, servers_of
from sipmesh.server.management.publishing.link_checks import Check
from sipmesh.server.management.replies import CrlsReply
from sipmesh.server.replication.server_status import FetchedCrl
from support.network import EDGE, FE1, FE2, PARTNER, copied, federate

URL, OURS = "http://crl.partner.test/root.crl", "http://crl.example.test/root.crl"
CHECK = Check(EDGE, URL)


def test_edges_fetch_those_of_a_new_partner_and_what_was_there_before_is_not_checked(
    example: Organisation, partner_model: Organisation, tmp_path: Path
) -> None:
    before = example.load()
    federate(example, copied(partner_model, tmp_path / "p"), crls=[URL])
    after = example.load()
    assert crl_checks(before) == []
    assert crl_checks(after, before) == [CHECK]
    assert crl_checks(after, after) == []


def test_our_own_are_fetched_by_front_ends_too(example: Organisation) -> None:
    authority = example.document["authority"]
    assert isinstance(authority, dict)
    authority["crls"] = [*authority["crls"], OURS]
    example.write()
    checks = crl_checks(example.load())
    assert servers_of(checks) == sorted([EDGE, FE1, FE2])
    assert {check.target for check in checks} == {OURS}


@pytest.mark.parametrize(
    ("reply", "passed", "told"),
    [
        (CrlsReply(EDGE, "", [FetchedCrl(url=URL, owner=PARTNER)]), True, f"the CRL of {PARTNER} can be used"),
        (
            CrlsReply(EDGE, "", [FetchedCrl(url=URL, owner=PARTNER, fault="answers 404")]),
            False,
            f"the CRL of {PARTNER} cannot be used: answers 404",
        ),
        (CrlsReply(EDGE, "", [FetchedCrl(url=URL, fault="x")]), False, "the CRL cannot be used: x"),
        (CrlsReply(EDGE, "", [FetchedCrl(url=OURS)]), False, "the server has not fetched it"),
        (CrlsReply(EDGE, "edge1 is not linked", ()), False, "edge1 is not linked"),
        (CrlsReply(FE1, "", [FetchedCrl(url=URL)]), False, "management has no result"),
    ],
)
def test_only_a_server_that_has_used_the_crl_passes(reply: CrlsReply, *, passed: bool, told: str) -> None:
    [result] = checked_crls([CHECK], [reply])
    assert (result.check, result.passed, result.told) == (CHECK, passed, told)
