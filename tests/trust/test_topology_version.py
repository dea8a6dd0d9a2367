"""A server that is not in this version may be in a newer one: the refusal names the version."""

from __future__ import annotations

import pytest

from sipmesh.trust.judgement.explain import explain
from sipmesh.trust.topology_version import NO_EDITION, TopologyVersion
from sipmesh.trust.verdict import Verdict
from trust.network import FE2, Network, finding, verdict_on

STRANGER = "fe9.example.test"


def judged(net: Network, name: str, edition: TopologyVersion) -> Verdict:
    """The verdict about one of our servers, by a server that has *edition*."""
    return verdict_on(net.forge.server(net.ours, name), net.policy(edition=edition))


@pytest.mark.parametrize(
    ("edition", "told", "behind"),
    [
        (TopologyVersion(12), "this server has version 12", False),
        (TopologyVersion(12, 12), "this server has version 12", False),
        (TopologyVersion(12, 13), "this server has version 12, and version 13 exists", True),
    ],
)
def test_refusal_says_which_version_is_held_and_whether_a_newer_one_exists(
    net: Network, edition: TopologyVersion, told: str, *, behind: bool
) -> None:
    verdict = judged(net, STRANGER, edition)
    assert verdict.code == "not-in-topology"
    assert finding(verdict, "topology").saw.endswith(told)
    assert any("does not have version 13 yet" in remedy for remedy in verdict.remedies) is behind
    assert any(told in line for line in explain(verdict))


def test_control_is_accepted_by_the_same_version(net: Network) -> None:
    verdict = judged(net, FE2, TopologyVersion(12, 13))
    assert verdict.accepted
    assert not any("13" in one.saw for one in verdict.findings)


def test_refusal_names_no_version_if_there_are_none(net: Network) -> None:
    verdict = judged(net, STRANGER, NO_EDITION)
    assert verdict.code == "not-in-topology"
    assert "version" not in " ".join((*verdict.remedies, finding(verdict, "topology").saw))


def test_document_without_versions_is_called_the_topology() -> None:
    assert [str(one) for one in (NO_EDITION, TopologyVersion(3), TopologyVersion(3, 4))] == [
        "the topology",
        "version 3",
        "version 3, and version 4 exists",
    ]
