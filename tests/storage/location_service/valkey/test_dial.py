"""The way to the primary: addresses, logins, certificates and Sentinels, each refusal beside what is accepted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from client.home import Certificates
from sipmesh.demo.ports import free_port
from sipmesh.errors import OperatorError
from sipmesh.storage.location_service.valkey.dial import dial
from sipmesh.storage.location_service.valkey.settings import PASSWORD_VARIABLE, ValkeySettings
from sipmesh.topology.document.storage.valkey_url import ValkeyUrl
from storage.valkey_members import settings_of
from support.running import on_loop
from support.valkey_server import Sentinel, ValkeyServer

pytestmark = pytest.mark.peer("valkey")
PASSWORD = "right-secret"


async def refused(settings: ValkeySettings) -> str:
    with pytest.raises(OperatorError) as raised:
        await dial(settings)
    assert PASSWORD not in raised.value.message
    return raised.value.message


async def accepted(settings: ValkeySettings) -> None:
    connection = await dial(settings)
    assert await connection.call("PING") == b"PONG"
    connection.close()
    await connection.lost


def at(settings: ValkeySettings, *ports: int) -> ValkeySettings:
    return replace(settings, url=ValkeyUrl(settings.url.tls, tuple(("127.0.0.1", port) for port in ports)))


@on_loop
async def test_address_without_a_server_gives_way_to_the_next(valkey: ValkeyServer) -> None:
    dead = free_port()
    await accepted(at(settings_of(valkey), dead, valkey.port))
    assert f"127.0.0.1:{dead}: Connection refused" in await refused(at(settings_of(valkey), dead))


@on_loop
async def test_replica_is_passed_over(valkey: ValkeyServer, tmp_path: Path) -> None:
    """Its rows are late, and it takes no writes."""
    with ValkeyServer(tmp_path / "replica", "--replicaof", f"127.0.0.1 {valkey.port}") as replica:
        await accepted(at(settings_of(valkey), replica.port, valkey.port))
        assert "it is a replica, not the primary" in await refused(at(settings_of(valkey), replica.port))


@pytest.mark.parametrize(("password", "reason"), [(PASSWORD, ""), ("wrong", "WRONGPASS"), ("", "NOAUTH")])
@on_loop
async def test_password_is_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, reason: str) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, password)
    with ValkeyServer(tmp_path / "locked", "--requirepass", PASSWORD) as server:
        if reason:
            assert reason in await refused(settings_of(server))
        else:
            await accepted(settings_of(server))


@pytest.mark.parametrize(
    ("trusts", "shows", "host", "reason"),
    [
        ("ours", True, "localhost", ""),
        ("theirs", True, "localhost", "its certificate is refused"),
        ("ours", True, "127.0.0.1", "its certificate is refused"),  # it names localhost alone
        ("ours", False, "localhost", "localhost"),
    ],
)
@on_loop
async def test_store_and_server_prove_themselves_by_certificate(
    tmp_path: Path, trusts: str, host: str, reason: str, *, shows: bool
) -> None:
    ours = Certificates.make(tmp_path, "localhost")
    for name, certificates in (("ours", ours), ("theirs", Certificates.make(tmp_path / "other", "localhost"))):
        [root] = certificates.trust.anchors
        (tmp_path / name).write_bytes(root.public_bytes(Encoding.PEM))
    certificate, key = tmp_path / "home.pem", tmp_path / "home.key"
    files = (
        "--tls-cert-file",
        str(certificate),
        "--tls-key-file",
        str(key),
        "--tls-ca-cert-file",
        str(tmp_path / "ours"),
    )
    with ValkeyServer(tmp_path / "tls", *files, "--tls-auth-clients", "yes", tls=True) as server:
        settings = replace(
            settings_of(server),
            url=ValkeyUrl(tls=True, hosts=((host, server.port),)),
            anchors=(tmp_path / trusts,),
            certificate=certificate if shows else None,
            key=key if shows else None,
        )
        if reason:
            assert reason in await refused(settings)
        else:
            await accepted(settings)


@on_loop
async def test_log_in_that_is_cancelled_leaves_no_connection(valkey: ValkeyServer) -> None:
    """As when a server stops while it connects again. The store does not answer."""
    asked, ended = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"HELLO")
        asked.set()
        with suppress(ConnectionResetError):
            await reader.read()
        ended.set()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as store:
        port: int = store.sockets[0].getsockname()[1]
        dialling = asyncio.create_task(dial(at(settings_of(valkey), port)))
        await asked.wait()
        dialling.cancel()
        await ended.wait()


@on_loop
async def test_sentinel_is_asked_for_the_primary(valkey: ValkeyServer, tmp_path: Path) -> None:
    with Sentinel(tmp_path / "sentinel", valkey, "registrations") as sentinel:
        await accepted(replace(at(settings_of(valkey), free_port(), sentinel.port), sentinel="registrations"))
        unknown = await refused(replace(at(settings_of(valkey), sentinel.port), sentinel="another"))
        assert "it knows no primary with the name 'another'" in unknown
