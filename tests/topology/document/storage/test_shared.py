"""A pool whose servers run on different machines shares no file, so a topology that says so is refused."""

from __future__ import annotations

import pytest

from topology.world import Place

FE2 = "{name: fe2.example.test, address: 127.0.0.2}"
REGISTRATIONS = "its registrations are in a file"
MESSAGES = "its stored messages are in a file"


def told(place: Place) -> list[tuple[str, str]]:
    """The problems of a document: places and reasons."""
    return [(problem.field, problem.reason) for problem in place.problems()]


@pytest.mark.parametrize(
    "server",
    [
        "{name: fe2.example.test, address: 192.0.2.2}",
        "{name: fe2.example.test, bind: 192.0.2.2}",
        "{name: fe2.example.test, address: 127.0.0.2, machine: another}",
        "fe2.example.test",
    ],
)
def test_pool_on_two_machines_with_files_is_refused(place: Place, server: str) -> None:
    place.spoil((FE2, server))
    problems = told(place)
    assert [field for field, _ in problems] == 2 * ["pools[0].servers"]
    assert {what for what in (REGISTRATIONS, MESSAGES) for _, reason in problems if what in reason} == {
        REGISTRATIONS,
        MESSAGES,
    }


@pytest.mark.parametrize(
    "server",
    [
        FE2,
        "{name: fe2.example.test, address: '::1'}",
        "{name: fe2.example.test, bind: 0.0.0.0, machine: loopback}",
        "{name: fe2.example.test, address: 192.0.2.2, machine: loopback}",
    ],
)
def test_pool_on_one_machine_shares_its_files(place: Place, server: str) -> None:
    place.spoil((FE2, server))
    assert place.load()


def test_pool_of_edges_shares_nothing_and_may_run_anywhere(place: Place) -> None:
    place.spoil(("servers: [edge1.example.test]", "servers: [edge1.example.test, edge2.example.test]"))
    assert place.load()


@pytest.mark.parametrize(
    "kept",
    [
        "messages: {per_user: 0}",
        "storage: {messages: 'postgresql+psycopg://db.example.test/messages?sslmode=verify-full&sslrootcert=ca/root.pem'}",
    ],
)
def test_messages_are_no_problem_in_a_database_that_all_reach_or_if_none_are_stored(place: Place, kept: str) -> None:
    place.spoil((FE2, "{name: fe2.example.test, address: 192.0.2.2}"), ("federation:\n", f"{kept}\nfederation:\n"))
    [(_, reason)] = told(place)
    assert REGISTRATIONS in reason


def test_remedy_says_how_to_declare_one_machine(place: Place) -> None:
    place.spoil((FE2, "{name: fe2.example.test, address: 192.0.2.2}"))
    assert "give each the same `machine`" in place.problems()[0].remedy
