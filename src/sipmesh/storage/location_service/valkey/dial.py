"""Find the primary of the store, by its addresses or through Sentinels, and open a connection that is ready for use."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.printable import printable
from sipmesh.storage.location_service.valkey.connection import StoreConnection
from sipmesh.topology.document.storage.valkey_url import PORT, SENTINEL_PORT

if TYPE_CHECKING:
    from sipmesh.storage.location_service.valkey.settings import ValkeySettings

DIAL_S: Final = 2.5
"""How long TCP and TLS with one address may take."""

LONGEST_REASON: Final = 300
MOST_REASONS: Final = 4


async def dial(settings: ValkeySettings) -> StoreConnection:
    """Connect to the primary and log in; raises `OperatorError` with what each address has answered."""
    reasons: list[str] = []
    async for host, port in _candidates(settings, reasons):
        try:
            connection = await _open(settings, host, port)
        except (OSError, ValueError, OperatorError) as wrong:
            reasons.append(f"{host}:{port}: {_told(wrong)}")
            continue
        try:
            await _log_in(settings, connection)
        except OperatorError as wrong:
            reasons.append(f"{host}:{port}: {_told(wrong)}")
            connection.abort("not the primary")
            continue
        except BaseException:  # cancelled: this server stops
            connection.abort("the log-in was given up")
            raise
        return connection
    raise OperatorError("; ".join(reasons[-MOST_REASONS:]) or "no address")


async def _candidates(settings: ValkeySettings, reasons: list[str]) -> AsyncIterator[tuple[str, int]]:
    """Give the addresses to try: those of the URL, or the primary that each Sentinel knows."""
    for host, port in settings.url.addresses(PORT if settings.sentinel is None else SENTINEL_PORT):
        if settings.sentinel is None:
            yield host, port
            continue
        try:
            yield await _primary_known_to(settings, host, port, settings.sentinel)
        except (OSError, ValueError, OperatorError) as wrong:
            reasons.append(f"Sentinel {host}:{port}: {_told(wrong)}")


async def _primary_known_to(settings: ValkeySettings, host: str, port: int, name: str) -> tuple[str, int]:
    sentinel = await _open(settings, host, port)
    try:
        reply = await sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
    finally:
        sentinel.close()
    match reply:
        case [bytes(found), bytes(number)] if number.isdigit() and 0 < int(number[:6]) < 1 << 16:
            return found.decode("ascii", "replace"), int(number)
    raise OperatorError(f"it knows no primary with the name {name!r}")


async def _open(settings: ValkeySettings, host: str, port: int) -> StoreConnection:
    loop = asyncio.get_running_loop()
    tls = settings.tls()
    async with asyncio.timeout(DIAL_S):
        _, connection = await loop.create_connection(
            lambda: StoreConnection(loop), host, port, ssl=tls, server_hostname=host if tls else None
        )
    return connection


async def _log_in(settings: ValkeySettings, connection: StoreConnection) -> None:
    """Log in, and have the store tell us of each change of what we read."""
    login = settings.login()
    words = () if login is None else ("AUTH", *login)
    hello = await connection.call("HELLO", "3", *words, "SETNAME", "sipmesh")
    role = hello.get(b"role") if isinstance(hello, dict) else None
    if role != b"master":
        told = role.decode("utf-8", "replace") if isinstance(role, bytes) else "server without a role"
        raise OperatorError(f"it is a {printable(told, 40)}, not the primary")
    if settings.url.database:
        await connection.call("SELECT", settings.url.database)
    await connection.call("CLIENT", "TRACKING", "ON", "OPTOUT", "NOLOOP")


def _told(wrong: Exception) -> str:
    """Write a reason that is an error of the system, of TLS, or a reply of the store."""
    if isinstance(wrong, TimeoutError):
        return f"no connection within {DIAL_S:g} s"
    if isinstance(wrong, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {wrong.verify_message}"
    if isinstance(wrong, OSError) and not isinstance(wrong, ssl.SSLError) and (wrong.errno or 0) > 0:
        return os.strerror(wrong.errno or 0)  # without the words of asyncio, which repeat the address
    return printable(str(wrong), LONGEST_REASON)
