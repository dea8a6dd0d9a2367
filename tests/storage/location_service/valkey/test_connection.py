"""One connection: replies in their order, and an end with a reason for octets that no store would send."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.location_service.valkey import connection as module
from sipmesh.storage.location_service.valkey.connection import MalformedReplyError, Reply, StoreConnection
from support.running import on_loop, until
from support.valkey_server import ValkeyServer

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def connected(port: int) -> StoreConnection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: StoreConnection(loop), "127.0.0.1", port)
    return connection


async def against(octets: bytes) -> tuple[StoreConnection, asyncio.Server]:
    """A connection to a store that answers the first command with *octets*, and nothing after it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(octets)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return await connected(server.sockets[0].getsockname()[1]), server


@pytest.mark.peer("valkey")
@on_loop
async def test_replies_come_in_the_order_of_their_commands(valkey: ValkeyServer) -> None:
    connection = await connected(valkey.port)
    replies: list[Reply] = []
    connection.send([(("ECHO", number), replies.append) for number in range(100)])
    await until(lambda: len(replies) == 100)
    assert replies == [str(number).encode() for number in range(100)]
    assert not connection.is_late(asyncio.get_running_loop().time() + 100)
    connection.close()
    assert await connection.lost


@pytest.mark.peer("valkey")
@on_loop
async def test_error_is_a_reply_and_a_call_raises_it(valkey: ValkeyServer) -> None:
    connection = await connected(valkey.port)
    with pytest.raises(OperatorError, match="unknown command"):
        await connection.call("NONSENSE")
    assert await connection.call("PING") == b"PONG"
    connection.close()


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"nonsense\r\n", "a reply that does not fit"),
        (b"+PONG\r\n+PONG\r\n", "a reply without a command"),
        (b"", ""),
    ],
)
@on_loop
async def test_octets_that_are_no_reply_end_the_connection(octets: bytes, reason: str) -> None:
    connection, server = await against(octets)
    async with server:
        told: list[Reply] = []
        connection.send([(("PING",), told.append)])
        if reason:
            assert reason in await connection.lost
        else:
            assert connection.is_late(asyncio.get_running_loop().time() + module.ANSWER_S + 1)
            connection.abort("late")
            assert await connection.lost == "late"
            assert isinstance(told[0], ConnectionError)


@pytest.mark.parametrize("over", [0, 1])
@on_loop
async def test_reply_has_a_largest_size(over: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_REPLY", 1_000)
    begun = b"$100000\r\n"
    connection, server = await against(begun + (1_000 - len(begun) + over) * b"x")
    async with server:
        connection.send([(("PING",), lambda _: None)])
        await until(lambda: connection._octets >= 1_000)
        if over:
            assert "of more than" in await connection.lost
        connection.abort("the end")
        await connection.lost


@on_loop
async def test_reply_of_another_shape_ends_the_connection() -> None:
    def refuse(_reply: Reply) -> None:
        raise MalformedReplyError("a number was wanted")

    connection, server = await against(b"+PONG\r\n")
    async with server:
        connection.send([(("PING",), refuse)])
        assert "a number was wanted" in await connection.lost


@on_loop
async def test_command_on_a_connection_that_has_ended_is_answered_at_once() -> None:
    connection, server = await against(b"")
    async with server:
        connection.abort("the end")
        await connection.lost
        told: list[Reply] = []
        connection.send([(("PING",), told.append)])
        assert str(told[0]) == "the end"


@pytest.mark.peer("valkey")
@on_loop
async def test_news_that_has_come_and_was_not_read_is_noticed(valkey: ValkeyServer) -> None:
    """Before the loop reads it: a request that is handled in the same turn must not use old rows."""
    connection, pushes = await connected(valkey.port), list[Reply]()
    connection.told = pushes.append
    await connection.call("HELLO", "3")
    await connection.call("CLIENT", "TRACKING", "ON")
    await connection.call("GET", "key")
    assert not connection.has_unread()
    valkey.ask("SET", "key", "new")
    valkey.ask("PING")  # the store has sent all news of the turn before
    assert connection.has_unread()
    await until(lambda: pushes)
    assert pushes == [[b"invalidate", [b"key"]]]
    assert not connection.has_unread()
    connection.close()
