"""If servers get no answer from each other, the server that explains the most pairs is the cause."""

from __future__ import annotations

from sipmesh.server.management.sightings import NO_ANSWER, Sighting, sightings, strongest, tell_sightings
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerFault, PeerKind, ServerStatus

FE1, FE2, FE3, EDGE = "fe1", "fe2", "fe3", "edge1"


def unanswered(**names: tuple[str, ...]) -> dict[str, list[str]]:
    """The causes, each with the servers that it hurts, of servers that get no answer from others."""
    found = sightings((by, ServerStatus(number=3, unanswered=peers)) for by, peers in names.items())
    return {cause: [one.by for one in seen] for cause, seen in found.items()}


def test_peer_that_several_servers_get_no_answer_from_is_the_cause() -> None:
    assert unanswered(fe1=(FE2,), edge1=(FE2,)) == {FE2: [FE1, EDGE]}


def test_server_that_alone_gets_no_answer_from_several_is_the_cause() -> None:
    assert unanswered(fe1=(FE2, FE3, EDGE), fe2=()) == {FE1: [FE2, FE3, EDGE]}


def test_peer_that_is_known_to_have_a_fault_is_the_cause() -> None:
    found = sightings([(FE1, ServerStatus(number=3, unanswered=(FE2, FE3)))], [FE2, FE3])
    assert {cause: [one.by for one in seen] for cause, seen in found.items()} == {FE2: [FE1], FE3: [FE1]}


def test_of_one_pair_the_server_that_does_not_answer_is_the_cause() -> None:
    assert unanswered(fe1=(FE2,)) == {FE2: [FE1]}
    assert unanswered(fe1=(EDGE,)) == {EDGE: [FE1]}


def test_two_causes_are_two_faults() -> None:
    assert unanswered(fe1=(FE2,), edge1=(FE2, "fe4"), fe3=("fe4",)) == {FE2: [FE1, EDGE], "fe4": [EDGE, FE3]}


def test_verdict_comes_with_its_code_and_silence_beside_it_says_nothing() -> None:
    fault = PeerFault(peer=EDGE, kind=PeerKind.SERVER, why="revoked: x", code="revoked")
    seen = sightings([(FE1, ServerStatus(number=3, peer_faults=(fault,), unanswered=(EDGE,)))])[EDGE]
    assert strongest(seen) == {"revoked": [Sighting(FE1, "revoked: x", "revoked")]}


def test_sentence_about_a_missing_answer_names_the_servers_that_wait() -> None:
    assert tell_sightings({FE2, FE1}, [Sighting(FE1, NO_ANSWER, Cause.NO_ANSWER)]) == "it does not answer fe1, fe2"
