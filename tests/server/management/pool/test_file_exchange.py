"""Files of the CA are exchanged again after a fault, which is logged once."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.management.pool.file_exchange import FileExchange
from sipmesh.server.management.pool.file_replication import FileGiver
from support.control_plane import Plane
from support.managed import MGMT, Managed
from support.running import on_loop


@on_loop
async def test_fault_is_logged_once_and_forgotten_after_the_next_exchange(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Plane(managed) as plane:
        files: FileExchange = plane.controller._files
        await files.give()
        assert (files.fault, files.waiting) == ("", ())

        def fails(*_: object) -> list[str]:
            raise OperatorError("the database does not answer")

        with monkeypatch.context() as patched:
            patched.setattr(FileGiver, "give", fails)
            for _ in range(2):
                await files.give()
        assert files.fault == "the database does not answer"
        told = plane.hosts[MGMT].told
        assert len([*told.events("files of the CA are not exchanged")]) == 1
        monkeypatch.setattr(FileGiver, "give", lambda *_: ["mgmt2: ca/root.crl"])
        await files.give()
        assert files.fault == ""
        assert [line["file"] for line in told.events("file of the CA sealed")] == ["mgmt2: ca/root.crl"]


@on_loop
async def test_server_that_follows_receives_what_is_sealed_for_it(managed: Managed) -> None:
    """Alone in its pool, nothing is."""
    with Plane(managed) as plane:
        await plane.controller._files.receive()
        assert plane.controller._files.fault == ""
