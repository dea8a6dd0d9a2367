"""A certificate file, judged as a server would judge a peer with that certificate."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.cli.diagnosis.offline_judge import ConnectsAs, judge_file
from sipmesh.demo.forge import Forge
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.managed import servers_of
from support.network import EDGE, EDGES, FE1, FE2, PARTNER_EDGE, POOL, copied, federate


@pytest.fixture(name="partner")
def _partner(example: Organisation, partner_model: Organisation, tmp_path: Path) -> Organisation:
    """partner.test, a partner of example.test."""
    partner = copied(partner_model, tmp_path / "p")
    federate(example, partner)
    return partner


def certificate(organisation: Organisation, server: str) -> Path:
    return organisation.credentials(server)[0]


@pytest.mark.parametrize("comes_as", [None, ConnectsAs.SERVER, ConnectsAs.FRONT_END])
def test_server_of_ours_is_judged_by_the_first_front_end(example: Organisation, comes_as: ConnectsAs | None) -> None:
    judged = judge_file(certificate(example, FE2), example.load(), comes_as, "")
    assert (judged.server, judged.kind, judged.verdict.code, judged.good) == (
        FE1,
        LinkKind.SERVER,
        Code.ACCEPTED,
        True,
    )


def test_front_end_is_not_judged_by_itself(example: Organisation) -> None:
    assert judge_file(certificate(example, FE1), example.load(), None, "").server == FE2


def test_named_server_judges_also_itself(example: Organisation) -> None:
    loaded, file = example.load(), certificate(example, FE2)
    assert judge_file(file, loaded, None, EDGE).server == EDGE
    itself = judge_file(file, loaded, None, FE2)
    assert (itself.server, itself.verdict.code, itself.good) == (FE2, Code.ROLE_NOT_ALLOWED, False)


@pytest.mark.parametrize("comes_as", [None, ConnectsAs.PARTNER])
def test_partner_is_judged_by_the_edge(
    example: Organisation, partner: Organisation, comes_as: ConnectsAs | None
) -> None:
    """The names in the certificate say that it is a partner's."""
    judged = judge_file(certificate(partner, PARTNER_EDGE), example.load(), comes_as, "")
    assert (judged.server, judged.kind, judged.verdict.code) == (EDGE, LinkKind.PARTNER, Code.ACCEPTED)


@pytest.mark.usefixtures("partner")
def test_server_of_ours_is_no_partner(example: Organisation) -> None:
    judged = judge_file(certificate(example, FE1), example.load(), ConnectsAs.PARTNER, "")
    assert (judged.server, judged.verdict.accepted) == (EDGE, False)


@pytest.mark.parametrize(("comes_as", "good"), [(ConnectsAs.EDGE, True), (ConnectsAs.FRONT_END, False)])
def test_other_role_than_the_topology_has_is_a_surprise(
    example: Organisation, comes_as: ConnectsAs, *, good: bool
) -> None:
    judged = judge_file(certificate(example, EDGE), example.load(), comes_as, "")
    assert judged.verdict.accepted
    assert judged.good is good
    expected = f"it would be accepted, but as edge: that is the role of {EDGE} in the topology"
    assert judged.surprise == ("" if good else expected)


@pytest.mark.parametrize("ours", [True, False])
def test_openssl_judges_a_file_too(example: Organisation, tmp_path: Path, *, ours: bool) -> None:
    """A file is judged by both engines, as a handshake would be."""
    forge = Forge(datetime.now(UTC))
    forged = forge.server(forge.organisation("Mallory"), FE2).write(tmp_path, "x")[0]
    judged = judge_file(certificate(example, FE2) if ours else forged, example.load(), None, "")
    assert {one.check: one.passed for one in judged.verdict.findings}["engine"] is ours
    assert judged.verdict.code is (Code.ACCEPTED if ours else Code.UNTRUSTED_ISSUER)


def test_only_front_end_has_no_other_to_connect_to(example: Organisation) -> None:
    servers_of(example.document, POOL)[:] = servers_of(example.document, POOL)[:1]
    example.write()
    with pytest.raises(OperatorError, match=f"{FE1} would connect to itself"):
        judge_file(certificate(example, FE1), example.load(), None, "")
    assert judge_file(certificate(example, EDGE), example.load(), None, "").good


def test_partner_needs_an_edge(example: Organisation, partner: Organisation) -> None:
    pools = example.document["pools"]
    assert isinstance(pools, list)
    example.document["pools"] = [pool for pool in pools if pool["name"] != EDGES]
    del example.document["federation"]
    example.write()
    with pytest.raises(OperatorError, match="no edge to which a partner could connect"):
        judge_file(certificate(partner, PARTNER_EDGE), example.load(), ConnectsAs.PARTNER, "")


def test_file_without_a_certificate_is_refused(example: Organisation) -> None:
    with pytest.raises(OperatorError) as left:
        judge_file(example.file, example.load(), None, "")
    [problem] = left.value.problems
    assert (problem.file, "no readable certificate" in problem.reason) == (example.file, True)


def test_server_that_is_not_in_the_topology_cannot_judge(example: Organisation) -> None:
    with pytest.raises(OperatorError, match="fe9"):
        judge_file(certificate(example, FE1), example.load(), None, "fe9.example.test")
