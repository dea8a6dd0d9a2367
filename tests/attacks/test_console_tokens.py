"""No token of the console reads what is worth a login or a key; that of a viewer changes nothing."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path

from sipmesh.server.console.operations import TABLE
from support.console import TOKENS, Visitor, management_with_console
from support.managed import MGMT, Managed
from support.network import FE1
from support.running import on_loop

GIVEN = {
    "user/devices": "user=alice",
    "version": "version=1",
    "acknowledged": "version=1&wait_s=0",
    "user": "user=alice@example.test",
    "explain": "link=none",
    "search": "find=alice",
    "certificates/issued": "find=fe1",
}


def digests(network: Managed) -> Iterator[str]:
    """Every digest of a password in the users' database: each long word of hex digits."""
    file = network.organisation.load().users_file
    assert file is not None
    with closing(sqlite3.connect(file)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f"SELECT * FROM {table}").fetchall():  # noqa: S608 - its own tables
                for value in row:
                    text = value.hex() if isinstance(value, bytes) else str(value)
                    yield from re.findall(r"\b[0-9a-f]{32,}\b", text)


def keys(folder: Path) -> Iterator[str]:
    """A line from the middle of each private key."""
    for file in folder.rglob("*.key"):
        yield file.read_text().splitlines()[1]


async def read_by(visitor: Visitor, network: Managed) -> list[str]:
    """Try each operation that reads; returns the names of those that answered. No digest, key or token is in a reply."""
    secrets = {*digests(network), *keys(network.organisation.folder), *(f"{one}-token" for one in TOKENS)}
    assert len(secrets) > len(TOKENS) + 4, "there are digests and keys to be found"
    read = []
    for operation in TABLE:
        if not operation.changes:
            answer = await visitor.get(f"/api/v1/{operation.path}?{GIVEN.get(operation.path, '')}".rstrip("?"))
            assert not [secret for secret in secrets if secret in answer.text], operation.name
            read += [operation.name] if answer.status == HTTPStatus.OK else []
    return read


@on_loop
async def test_viewer_reads_no_secret_and_changes_nothing(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as viewer:
        await network.start(FE1)
        await network.acknowledged(1, FE1)
        everything = {operation.name for operation in TABLE if not operation.changes}
        assert everything - set(await read_by(viewer, network)) == {
            "explain",
            "directory-explain",
            "refused-messages",
        }, "the link to explain does not exist, nor a directory, and messages need an operator"
        for operation in TABLE:
            if operation.changes:
                refused = await viewer.ask("POST", f"/api/v1/{operation.path}", json={})
                assert refused.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN}, (operation.name, refused.text)
        assert network.number(MGMT) == 1


@on_loop
async def test_security_officer_reads_no_key_and_admits_no_management_server(tmp_path: Path) -> None:
    """Both need a shell on the management host."""
    async with management_with_console(tmp_path) as network, Visitor(network, "sona-token") as officer:
        assert "status" in {operation.path for operation in TABLE}
        assert await read_by(officer, network)
        for path in ("admit", "ca/admit"):
            given = {"server": MGMT, "certificate": "0" * 64}
            assert (await officer.ask("POST", f"/api/v1/{path}", json=given)).status == HTTPStatus.NOT_FOUND
