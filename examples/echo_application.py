"""An application: it sends each message back to its sender, under an address of its own.

It needs ``pip install sipmessage`` and the folder that ``sipmesh join accept`` has filled. It opens a link to each front end, and
ends when one of them ends: let a service manager start it again.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import ssl
from pathlib import Path

from sipmessage import Message, Request, Response
from sipmessage.uri import URI


def trust(folder: Path, name: str) -> ssl.SSLContext:
    """Trust the roots of the organisation alone, refuse what its CRLs revoke, and present the certificate *name*."""
    context = ssl.create_default_context(cafile=str(folder / "servers" / f"{name}.roots.pem"))
    context.load_cert_chain(folder / "servers" / f"{name}.pem", folder / "servers" / f"{name}.key")
    for crl in sorted((folder / "ca").glob("*.crl")):
        context.load_verify_locations(str(crl))
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return context


async def next_message(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | Response:
    """Read one message; each CRLF CRLF before it is a ping, which is answered by CRLF (RFC 5626 section 4.4.1)."""
    while not (head := (await reader.readuntil(b"\r\n\r\n")).lstrip(b"\r\n")):
        writer.write(b"\r\n")
    if not head.endswith(b"\r\n\r\n"):  # a single CRLF, which answers a ping, has stood before a message
        head += await reader.readuntil(b"\r\n\r\n")
    message = Message.parse(head)
    message.body = await reader.readexactly(int(message.headers.get("Content-Length") or 0))
    return message


def answer(request: Request, code: int, phrase: str) -> bytes:
    """Make the response to *request* (RFC 3261 section 8.2.6.2)."""
    response = Response(code, phrase)
    for field in ("Via", "From", "Call-ID", "CSeq"):
        response.headers.setlist(field, request.headers.getlist(field))
    tag = "" if ";tag=" in request.headers["To"] else f";tag={secrets.token_hex(8)}"
    response.headers.set("To", request.headers["To"] + tag)
    response.headers.set("Content-Length", "0")
    return bytes(response)


def echo(request: Request, address: str, host: str) -> bytes:
    """Make a MESSAGE with the same body, from *address* to the identity that the front end has proved (RFC 3325)."""
    to = request.headers["P-Asserted-Identity"].strip("<>")
    back = Request("MESSAGE", URI.parse(to), request.body)
    branch, tag, call = (secrets.token_hex(8) for _ in range(3))
    for field, value in (
        ("Via", f"SIP/2.0/TLS {host};branch=z9hG4bK{branch}"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:{address}>;tag={tag}"),
        ("To", f"<{to}>"),
        ("Call-ID", call),
        ("CSeq", "1 MESSAGE"),
        ("Content-Type", request.headers.get("Content-Type") or "text/plain"),
        ("Content-Length", str(len(request.body))),
    ):
        back.headers.set(field, value)
    return bytes(back)


async def serve(asked: argparse.Namespace, front_end: str, host: str, port: str) -> None:
    """Open a link to one front end, answer what comes by it, and send each MESSAGE back."""
    secured = trust(asked.folder, asked.name)
    reader, writer = await asyncio.open_connection(host, int(port), ssl=secured, server_hostname=front_end)
    writer.write(b"\r\n\r\n")
    while True:
        message = await next_message(reader, writer)
        if isinstance(message, Response) or message.method == "ACK":
            continue
        known = message.method in {"MESSAGE", "OPTIONS"}
        writer.write(answer(message, *((200, "OK") if known else (501, "Not Implemented"))))
        if message.method == "MESSAGE":
            writer.write(echo(message, asked.address, asked.name))
        await writer.drain()


async def main(asked: argparse.Namespace) -> None:
    """Serve a link to each front end; the end of one ends the program."""
    await asyncio.gather(*(serve(asked, *link.replace("=", ":").split(":")) for link in asked.link))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(), help="the folder of `sipmesh join accept`")
    parser.add_argument("--name", required=True, help="the name of the application, such as bot.example.com")
    parser.add_argument("--address", required=True, help="its address, such as echo@example.com")
    parser.add_argument(
        "link", nargs="+", metavar="NAME=HOST:PORT", help="each front end, and where its server port is"
    )
    asyncio.run(main(parser.parse_args()))
