"""What a server keeps over a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.running import server_stores
from sipmesh.server.running.server_stores import ServerStores, key_files
from sipmesh.server.running.worker_place import ALONE
from sipmesh.topology.view import view
from support.network import EDGE, FE1, FE2, POOL
from support.running import on_loop
from support.valkey_network import pool_entry


def opened(organisation: Organisation, name: str, state: Path) -> ServerStores:
    """The stores of one server."""
    return ServerStores(view(organisation.load(), name), state, ALONE.begun(), asyncio.get_running_loop())


def test_server_and_pool_have_a_key_file_each(example: Organisation) -> None:
    loaded = example.load()
    assert key_files(view(loaded, FE1)) == (f"{FE1}.token-key", f"{POOL}.dialog-key")
    assert key_files(view(loaded, FE1))[1] == key_files(view(loaded, FE2))[1]


@on_loop
async def test_keys_are_made_once_and_are_private(example: Organisation, tmp_path: Path) -> None:
    opened(example, FE1, tmp_path).close()
    files = [tmp_path / name for name in key_files(view(example.load(), FE1))]
    keys = [file.read_bytes() for file in files]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    stores = opened(example, FE2, tmp_path)
    assert [file.read_bytes() for file in files] == keys
    assert stores.users.verifier("alice@example.test") is None or stores.users.ready
    stores.close()


@on_loop
async def test_edge_has_no_users(example: Organisation, tmp_path: Path) -> None:
    stores = opened(example, EDGE, tmp_path)
    assert stores.users.home("sip:alice@example.test") is None
    stores.close()


@on_loop
async def test_users_are_closed_if_the_bindings_cannot_be_opened(
    example: Organisation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    class Closed:
        def close(self) -> None:
            closed.append("users")

    def no_locations(*_: object) -> None:
        raise OperatorError("no bindings")

    monkeypatch.setattr(server_stores, "open_users", lambda _: Closed())
    monkeypatch.setattr(server_stores, "open_locations", no_locations)
    with pytest.raises(OperatorError, match="no bindings"):
        opened(example, FE1, tmp_path)
    assert closed == ["users"]


@on_loop
async def test_process_that_starts_later_opens_what_the_server_has_started_with(
    example: Organisation, tmp_path: Path
) -> None:
    """A worker that is replaced shares the stores of the other workers, also after a publication meanwhile."""
    example.document["storage"] = {"bindings": "state/general.db"}
    entry = pool_entry(example, POOL)
    entry["storage"] = {"bindings": "state/first.db"}
    example.write()
    first = opened(example, FE1, tmp_path)
    assert first.storage.bindings == "state/first.db"
    entry["storage"] = {"bindings": "state/second.db"}
    example.write()
    seen = view(example.load(), FE1)
    later = ServerStores(seen, tmp_path, ALONE.begun(), asyncio.get_running_loop(), storage=first.storage)
    assert (later.storage, later.locations.identity) == (first.storage, first.locations.identity)
    assert not seen.bindings_file.exists()
    for stores in (first, later):
        stores.close()
