"""Each fault of management itself has its remedy, and is shown once."""

from __future__ import annotations

from sipmesh.server.management.peer_statuses import MANAGEMENT_DATABASE
from sipmesh.server.replication.crl_store import LARGEST_GIVEN
from sipmesh.storage.seen_users import GO_ON
from support.control_plane import Plane
from support.managed import Managed
from support.running import on_loop


@on_loop
async def test_crl_that_is_too_large_to_be_sent_is_a_fault(managed: Managed) -> None:
    with Plane(managed) as plane:
        file = managed.organisation.folder / "ca" / "root.crl"
        with file.open("ab") as opened:
            opened.truncate(LARGEST_GIVEN)
        assert plane.controller.own_faults.of_pool() == []
        with file.open("ab") as opened:
            opened.truncate(LARGEST_GIVEN + 1)
        [fault] = plane.controller.own_faults.of_pool()
        assert "ca/root.crl has 4,900,001 octets, and is not sent to servers" in fault.what
        assert "name its URL in `crls`" in fault.remedy


@on_loop
async def test_management_server_alone_has_no_pool_and_no_fault(managed: Managed) -> None:
    with Plane(managed) as plane:
        own = plane.controller.own_faults
        assert (own.managers(), own.of_pool(), own.of_databases()) == ([], [], {})


@on_loop
async def test_fault_of_the_files_is_that_of_the_database_while_this_is_away(managed: Managed) -> None:
    """Each fault is shown once, at its cause."""
    with Plane(managed) as plane:
        own, leadership = plane.controller.own_faults, plane.controller.leadership
        plane.controller._files.fault = "the database does not answer"
        [fault] = own.of_pool()
        assert fault.remedy == "until then another server cannot take over"
        leadership.fault = "no answer"
        assert own.of_pool() == []
        assert own.of_databases()[MANAGEMENT_DATABASE].remedy.endswith("until it answers")


@on_loop
async def test_what_the_database_has_lost_and_what_was_changed_in_the_ledger_are_faults(managed: Managed) -> None:
    with Plane(managed) as plane:
        controller = plane.controller
        controller._issuing.ledger_fault, controller._versions.lost = "line 3 is signed by nobody", "version 4 is gone"
        ledger, lost = controller.own_faults.of_pool()
        assert "the CA's ledger was changed" in ledger.what
        assert (lost.what, lost.remedy) == ("version 4 is gone", GO_ON)
