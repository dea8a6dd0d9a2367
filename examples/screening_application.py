"""An application that screens calls: it refuses those of some callers, and lets all others go on.

It is a stateless proxy (RFC 3261 section 16.11): a request goes back on its link with our Via, by the Route entry behind our
own one, and a response goes back without our Via. It needs ``echo_application.py`` beside it, and the packages of that example.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from echo_application import answer, next_message, trust
from sipmessage import Request, Response

IN_DIALOG_OF_OURS = ";tag=refused-"


def refusal(request: Request, refused: list[str]) -> bytes | None:
    """Give the 603 for an INVITE of a caller in *refused*; None for other requests."""
    caller = (request.headers.get("P-Asserted-Identity") or "").partition(">")[0].removeprefix("<sip:")
    if request.method != "INVITE" or ";tag=" in request.headers["To"] or caller not in refused:
        return None
    request.headers.set("To", request.headers["To"] + IN_DIALOG_OF_OURS + branch_for(request)[7:])
    return answer(request, 603, "Decline")


def branch_for(request: Request) -> str:
    """Make the branch of our Via from that of the Via below: so a CANCEL, and the ACK of a refusal, have that of their INVITE."""
    below = request.headers.getlist("Via")[0].partition("branch=")[2].partition(";")[0]
    return f"z9hG4bK{hashlib.sha256(below.encode()).hexdigest()[:24]}"


def proxied(request: Request, name: str) -> bytes:
    """Take our entry from the Route, and add our Via, and our Record-Route for the later requests of the call."""
    headers, branch = request.headers, branch_for(request)
    routes = [entry.strip() for entry in ",".join(headers.getlist("Route")).split(",")][1:]
    headers.setlist("Route", routes)
    headers.setlist("Via", [f"SIP/2.0/TLS {name};branch={branch}", *headers.getlist("Via")])
    headers.set("Max-Forwards", str(int(headers.get("Max-Forwards") or 70) - 1))
    if request.method == "INVITE":
        headers.setlist("Record-Route", [f"<sip:{name};transport=tls;lr>", *headers.getlist("Record-Route")])
    return bytes(request)


async def serve(screen: Callable[[Request], bytes | None], asked: argparse.Namespace, link: str) -> None:
    """Keep a link to one front end: after it has ended, try each second to open it again."""
    while True:
        try:
            await serve_link(screen, asked, link)
        except (OSError, EOFError) as error:
            sys.stderr.write(f"no link to {link}: {error}\n")
        await asyncio.sleep(1)


async def serve_link(screen: Callable[[Request], bytes | None], asked: argparse.Namespace, link: str) -> None:
    """Open the link NAME=HOST:PORT to one front end, and send back on it what comes, until it ends."""
    front_end, host, port = link.replace("=", ":").split(":")
    secured = trust(asked.folder, asked.name)
    reader, writer = await asyncio.open_connection(host, int(port), ssl=secured, server_hostname=front_end)
    writer.write(b"\r\n\r\n")
    while True:
        message = await next_message(reader, writer)
        if isinstance(message, Response):
            message.headers.setlist("Via", message.headers.getlist("Via")[1:])
            writer.write(bytes(message))
        elif IN_DIALOG_OF_OURS in message.headers["To"]:
            continue  # the ACK of our 603
        elif message.headers.getlist("Route"):
            writer.write(screen(message) or proxied(message, asked.name))
        elif message.method != "ACK":
            writer.write(answer(message, *((200, "OK") if message.method == "OPTIONS" else (501, "Not Implemented"))))
        await writer.drain()


async def main(asked: argparse.Namespace) -> None:
    """Serve a link to each front end."""
    await asyncio.gather(*(serve(lambda request: refusal(request, asked.refuse), asked, link) for link in asked.link))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(), help="the folder of `sipmesh join accept`")
    parser.add_argument("--name", required=True, help="the name of the application, such as screen.example.com")
    parser.add_argument(
        "--refuse", action="append", default=[], metavar="ADDRESS", help="a caller, such as x@example.net"
    )
    parser.add_argument(
        "link", nargs="+", metavar="NAME=HOST:PORT", help="each front end, and where its server port is"
    )
    asyncio.run(main(parser.parse_args()))
