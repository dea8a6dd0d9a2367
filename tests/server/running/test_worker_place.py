"""Which process of a server this is: its names in the stores, its numbers, its share of limits."""

from __future__ import annotations

from sipmesh.routing.authentication.backoff import FailureLimits
from sipmesh.routing.registrar.binding import Binding
from sipmesh.server.running.worker_place import ALONE, LINKS_OF_A_START, PER_PROCESS, STARTS, WAITING, WorkerPlace
from sipmesh.transport.limits import Limits


def test_server_of_one_process_is_what_it_was() -> None:
    """The same names and the same limits as without workers."""
    place = ALONE.begun()
    assert place.is_alone
    assert not place.is_supervisor
    assert place.name_of("fe1.example.test") == "fe1.example.test"
    assert (place.lease, place.branches, place.first_link) == (place.incarnation, place.incarnation, 0)
    limits, failures = Limits(), FailureLimits()
    assert place.share(limits) is limits
    assert place.share_of_waits(failures) is failures


def test_processes_of_a_server_have_nothing_in_common_but_its_incarnation() -> None:
    supervisor = WorkerPlace(count=2).begun()
    places = [supervisor, WorkerPlace(1, 2, 1, supervisor.incarnation), WorkerPlace(1, 2, 3, supervisor.incarnation)]
    assert supervisor.is_supervisor
    assert not any(place.is_supervisor or place.is_alone for place in places[1:])
    assert len({place.lease for place in places}) == 3
    assert len({place.branches for place in places}) == 3
    assert places[2].branches == supervisor.incarnation * STARTS + 3
    assert places[2].first_link == 3 * LINKS_OF_A_START
    assert places[1].begun() is places[1]


def test_row_of_a_worker_names_its_server() -> None:
    """Other servers of the pool send requests to the server, and not to a process of it."""
    name = WorkerPlace(2, 2, 2, 5).name_of("fe1.example.test")
    row = Binding("sip:a@b", "sip:a@192.0.2.1", None, None, 1.0, "c", 1, name, 1, 1, "t", 1.0)
    assert (row.server, row.host) == ("fe1.example.test#2", "fe1.example.test")


def test_worker_has_its_share_of_what_is_not_counted_over_all() -> None:
    place, limits, failures = WorkerPlace(1, 3, 1, 5), Limits(), FailureLimits()
    shared, waits = place.share(limits), place.share_of_waits(failures)
    for name in PER_PROCESS:
        assert getattr(shared, name) * 3 >= getattr(limits, name) > (getattr(shared, name) - 1) * 3
    for name in WAITING:
        assert getattr(waits, name) * 3 >= getattr(failures, name)
    assert shared.links_per_user == limits.links_per_user
