"""The other end of a connection: a certificate counts if its key was proved in this handshake."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

from support.enrolling import EST, PKCS10, enrolling
from support.managed import MGMT
from support.network import FE1
from support.running import on_loop


def answer(link: ssl.SSLSocket, port: int) -> bytes:
    """Ask to enrol again, without a body that could be certified."""
    head = f"POST {EST}/simplereenroll HTTP/1.1\r\nHost: {MGMT}:{port}\r\nContent-Length: 0\r\nConnection: close\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in PKCS10.items())
    link.sendall(f"{head}{fields}\r\n".encode())
    return link.recv(4_096)


@on_loop
async def test_resumed_session_of_tls_1_2_proves_no_certificate(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        port = int(network.organisation.document["console"]["listen"].rpartition(":")[2])
        context = ssl.create_default_context(cafile=str(network.organisation.root))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*network.credentials(FE1))

        def ask(session: ssl.SSLSession | None) -> tuple[bytes, ssl.SSLSession | None, bool | None]:
            with (
                socket.create_connection(("127.0.0.1", port)) as plain,
                context.wrap_socket(plain, server_hostname=MGMT, session=session) as link,
            ):
                return answer(link, port), link.session, link.session_reused

        first, session, _ = await asyncio.to_thread(ask, None)
        assert b" 400 " in first  # the certificate counts, and the empty request does not
        second, _, reused = await asyncio.to_thread(ask, session)
        assert (b" 403 " in second) is bool(reused)
