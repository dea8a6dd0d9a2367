"""The last stages of a probe of a WebSocket port: the HTTP upgrade, and a SIP request over it (RFC 7118)."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.client.party import Party
from sipmesh.errors import RemoteError
from sipmesh.sip.framing import parse_message
from sipmesh.sip.message import Response
from sipmesh.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

PATIENCE_S: Final = 5.0
"""Seconds that the upgrade and the response to OPTIONS may take."""

USER: Final = "sipmesh-probe"
FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True)
class WebSocketAim:
    """What a page would ask for: *name* is the host in its URL, *origin* the origin of the page, empty for no page.

    *anchors* are trusted for the chain of the server.
    """

    name: str
    anchors: Sequence[x509.Certificate]
    origin: str = ""


@dataclass(frozen=True, slots=True)
class WebSocketStages:
    """What the upgrade and the SIP request over it have found; *sip* is empty if the upgrade was refused."""

    is_open: bool
    upgrade: str
    sip: str = ""
    is_answered: bool = False


async def probe_websocket(address: tuple[str, int], aim: WebSocketAim, domain: str) -> WebSocketStages:
    """Open a WebSocket at *address* as a page would, and send OPTIONS for *domain* over it."""
    host, port = address
    url = f"https://{f'[{host}]' if ':' in host else host}:{port}/"
    headers = {"Host": f"{aim.name}:{port}"}
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            aiohttp.ClientSession() as session,
            session.ws_connect(
                url,
                ssl=_trusting(aim.anchors),
                server_hostname=aim.name,
                headers=headers,
                origin=aim.origin or None,
                protocols=("sip",),
            ) as websocket,
        ):
            return await _asked(websocket, domain)
    except aiohttp.WSServerHandshakeError as refused:
        return WebSocketStages(is_open=False, upgrade=_refusal(refused.status, aim))
    except (TimeoutError, aiohttp.ClientError, OSError) as failed:
        return WebSocketStages(is_open=False, upgrade=str(failed) or f"no answer within {PATIENCE_S:g} s")


def _refusal(status: int, aim: WebSocketAim) -> str:
    if status == FORBIDDEN and aim.origin:
        return f"answered 403: pages of {aim.origin} may not connect; add it to `websocket: {{origins: ...}}` in the topology"
    return f"answered {status}: no WebSocket opens here for {aim.name}; the server's log says why: websocket refused"


async def _asked(websocket: aiohttp.ClientWebSocketResponse, domain: str) -> WebSocketStages:
    party = Party.of(SipUri.parse(f"sip:{USER}@{domain}")).at(("probe.invalid", 0))
    uri = f"sip:{domain};transport=ws"
    opened = "101, subprotocol sip"
    began = time.monotonic()
    await websocket.send_str(party.outside("OPTIONS", uri, uri).encode().decode())
    try:
        answer = parse_message((await websocket.receive_str()).encode())
    except (RemoteError, TypeError, TimeoutError) as failed:
        return WebSocketStages(is_open=True, upgrade=opened, sip=f"no SIP response to OPTIONS ({failed})")
    if not isinstance(answer, Response):
        return WebSocketStages(is_open=True, upgrade=opened, sip="a request came where a response was due")
    took_ms = (time.monotonic() - began) * 1000
    told = f"OPTIONS answered {answer.status} {answer.reason} in {took_ms:.1f} ms"
    return WebSocketStages(is_open=True, upgrade=opened, sip=told, is_answered=True)


def _trusting(anchors: Sequence[x509.Certificate]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata="".join(anchor.public_bytes(Encoding.PEM).decode() for anchor in anchors))
    return context
