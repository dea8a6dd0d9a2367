"""A network that is split without a word: the kernel's probes end the links between servers, of any make."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from sipmesh.transport.hop import Hop
from sipmesh.trust.evidence import LinkKind
from support.running import until
from transport.world import Node, on_loop

if TYPE_CHECKING:
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority

SO_ATTACH_FILTER = 26
DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET | BPF_K: keep no octet
PROMISED_S = 5.0
WITHIN_S = 10 * PROMISED_S


def hear_nothing(link: Link) -> None:
    """Have the kernel drop every segment for this end of *link*, acknowledgements too."""
    assert link._tls is not None
    with socket.socket(fileno=os.dup(link._tls.fileno())) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(DROP_ALL)))


@on_loop
@pytest.mark.wide
async def test_idle_link_ends_on_both_sides_when_one_direction_is_lost(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """The accepting side gets no acknowledgement of its probes; the opening side gets none either. Another link stays."""
    kind = LinkKind.PARTNER
    async with Node(ca, here) as server, Node(ca, there) as client, Node(ca, there) as other:
        address = server.listen(kind).address
        link = client.pool.obtain(Hop("here.test", kind, (address,)))
        await client.heard.until(lambda: client.heard.up)
        await server.heard.until(lambda: server.heard.up)
        stays = other.pool.obtain(Hop("here.test", kind, (address,)))
        await server.heard.until(lambda: len(server.heard.up) > 1)
        hear_nothing(link)
        async with asyncio.timeout(WITHIN_S):
            await until(lambda: client.heard.down and server.heard.down)
        assert [ended for ended, *_ in client.heard.down] == [link]
        assert [ended for ended, *_ in server.heard.down] == server.heard.up[:1]
        assert stays.usable
        assert not other.heard.down
