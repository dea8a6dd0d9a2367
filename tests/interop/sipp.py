"""SIPp as a trunk: a scenario for each side of a call, for OPTIONS, and for a trunk that is full.

SIPp of Debian 13 has TLS, by wolfSSL, which sends nothing on a link that it has opened (SIPp issue 719). So SIPp speaks TCP
with a relay beside it, which has the certificate and does the TLS, as stunnel does.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.process.fork_server import die_with_parent
from support.descriptions import SDES, SDP
from support.programs import ended, listens
from support.running import until
from support.trunks import GATEWAY

PATIENCE_S = 30.0
BODY = f"Content-Type: {SDP}\nContent-Length: [len]\n\n{SDES.decode()}"
EMPTY = "Content-Length: 0\n"

CONTACT = "Contact: <sip:pbx@[local_ip]:[local_port];transport=tls>\n"
HOLD = BODY + "a=sendonly\n"
KEYPRESS = "Content-Type: application/dtmf-relay\nContent-Length: [len]\n\nSignal=7\nDuration=160\n"

CALLER = """\
Via: SIP/2.0/TLS [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <{caller}>;tag=[call_number]
To: <sip:[service]@{gateway}>[peer_tag_param]
Call-ID: [call_id]
"""
ANSWERED = """\
[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:];tag=s[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:pbx@[local_ip]:[local_port];transport=tls>
"""
INVITE = f"""\
INVITE sip:[service]@{{gateway}} SIP/2.0
{CALLER}CSeq: 1 INVITE
Contact: <sip:pbx@[local_ip]:[local_port];transport=tls>
{{more}}{BODY}"""
INSIDE = f"""\
{{method}} [next_url] SIP/2.0
[routes]
{CALLER}CSeq: {{number}} {{method}}
{EMPTY}"""


def send(message: str, **options: object) -> str:
    """One step: send *message*."""
    given = "".join(f' {key}="{value}"' for key, value in options.items())
    return f"<send{given}><![CDATA[\n{message}\n]]></send>\n"


def expect(what: str, value: object, more: str = "") -> str:
    """One step: wait for a request or a response."""
    return f'<recv {what}="{value}" {more}/>\n'


TRYING = expect("response", 100, 'optional="true"')
SAME = ANSWERED.replace(";tag=s[call_number]", "")
HUNG_UP = expect("request", "BYE") + send(f"SIP/2.0 200 OK\n{SAME}{EMPTY}")
RINGS = send(f"SIP/2.0 180 Ringing\n{ANSWERED}{EMPTY}")
ANSWERS = (
    expect("request", "INVITE", 'rrs="true"')
    + RINGS
    + send(f"SIP/2.0 200 OK\n{ANSWERED}{BODY}", retrans=500)
    + expect("request", "ACK")
    + HUNG_UP
)
HELD = expect("request", "INVITE") + send(f"SIP/2.0 200 OK\n{SAME}{BODY}") + expect("request", "ACK")
IN_CALL = (
    expect("request", "INVITE", 'rrs="true"')
    + send(f"SIP/2.0 183 Session Progress\n{ANSWERED}{BODY}")
    + send(f"SIP/2.0 200 OK\n{ANSWERED}{BODY}", retrans=500)
    + expect("request", "ACK")
    + HELD
    + expect("request", "INFO")
    + send(f"SIP/2.0 200 OK\n{SAME}{EMPTY}")
    + expect("request", "REFER")
    + send(f"SIP/2.0 202 Accepted\n{SAME}{EMPTY}")
    + HUNG_UP
)
"""A call with early media that is held, gets a keypress, and is transferred."""
FULL = (
    expect("request", "INVITE") + send(f"SIP/2.0 503 Service Unavailable\n{ANSWERED}{EMPTY}") + expect("request", "ACK")
)
PINGED = expect("request", "OPTIONS") + send(f"SIP/2.0 200 OK\n{ANSWERED}{EMPTY}")


def pings(gateway: str, caller: str) -> str:
    """Ask the gateway whether it is there."""
    head = CALLER.format(gateway=gateway, caller=caller)
    return send(f"OPTIONS sip:{gateway} SIP/2.0\n{head}CSeq: 1 OPTIONS\n{EMPTY}") + expect("response", 200)


def calls(gateway: str, caller: str, more: str = "", *, operates: bool = False) -> str:
    """Call a user who answers, and hang up. A call that *operates* has early media, a hold, a keypress, and a transfer.

    The user answers 200 to hold and keypress. The gateway refuses the transfer.
    """
    names = {"gateway": gateway, "caller": caller}

    def inside(method: str, number: int, body: str = EMPTY) -> str:
        return send(INSIDE.format(method=method, number=number, **names).removesuffix(EMPTY) + body)

    return (
        send(INVITE.format(more=more, **names))
        + TRYING
        + (expect("response", 183) if operates else expect("response", 180, 'optional="true"'))
        + expect("response", 200, 'rrs="true"')
        + inside("ACK", 1)
        + (
            (
                inside("INVITE", 2, CONTACT + HOLD)
                + TRYING
                + expect("response", 200)
                + inside("ACK", 2)
                + inside("INFO", 3, KEYPRESS)
                + expect("response", 200)
                + inside("REFER", 4, f"{CONTACT}Refer-To: <sip:bob@{gateway}>\n{EMPTY}")
                + expect("response", 405)
            )
            if operates
            else ""
        )
        + inside("BYE", 5)
        + expect("response", 200)
    )


def is_refused(gateway: str, caller: str, status: int) -> str:
    """Call a user; the gateway refuses it."""
    names = {"gateway": gateway, "caller": caller}
    ack = send(INSIDE.format(method="ACK", number=1, **names).replace("[next_url]", "sip:[service]@" + gateway))
    return send(INVITE.format(more="", **names)) + TRYING + expect("response", status) + ack


@dataclass(frozen=True)
class Files:
    """The certificate chain and the key of the trunk, and the root that it trusts."""

    chain: Path
    key: Path
    root: Path


class SippError(Exception):
    """SIPp ended with an error; the text is what it said."""


class Sipp:
    """One SIPp in *folder*, which does a scenario once, or *times*.

    With a *port* it waits there for the gateway. Otherwise it calls *number* at the gateway, which listens on *gateway*.
    """

    def __init__(
        self,
        folder: Path,
        files: Files,
        steps: str,
        *,
        port: int = 0,
        gateway: int = 0,
        number: str = "",
        times: int = 1,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self._port, self._gateway, self._inside = folder, port, gateway, free_port()
        (folder / "scenario.xml").write_text(
            f'<?xml version="1.0"?>\n<scenario name="{folder.name}">\n{steps}</scenario>\n'
        )
        is_client = bool(gateway)
        self._context = ssl.create_default_context(
            ssl.Purpose.SERVER_AUTH if is_client else ssl.Purpose.CLIENT_AUTH, cafile=files.root
        )
        self._context.verify_mode, self._context.check_hostname = ssl.CERT_REQUIRED, is_client
        self._context.load_cert_chain(files.chain, files.key)
        to = (f"{HOST}:{self._inside}", "-s", number) if is_client else ("-p", self._inside)
        self._options = (
            "-sf", folder / "scenario.xml", "-m", times, "-l", 1, "-i", HOST, "-t", "t1", "-nostdin", "-nr",
            "-trace_msg", "-message_file", folder / "messages", "-trace_err", "-error_file", folder / "errors",
            "-timeout", int(PATIENCE_S), "-timeout_error", *to,
        )  # fmt: skip

    @property
    def messages(self) -> str:
        """What it has sent and received."""
        file = self.folder / "messages"
        return file.read_text(errors="replace") if file.exists() else ""

    async def __aenter__(self) -> Self:
        self._log = (self.folder / "log").open("wb")
        if self._gateway:
            self._relay = await asyncio.start_server(self._outwards, HOST, self._inside)
        self._process = await asyncio.create_subprocess_exec(
            "sipp", *map(str, self._options),
            cwd=self.folder, stdin=asyncio.subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            start_new_session=True, preexec_fn=die_with_parent, env={"TERM": "xterm"},
        )  # fmt: skip
        if not self._gateway:
            await until(lambda: listens(self._inside))
            self._relay = await asyncio.start_server(self._inwards, HOST, self._port, ssl=self._context)
        return self

    async def _outwards(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection of SIPp, which goes on to the gateway."""
        link = await asyncio.open_connection(HOST, self._gateway, ssl=self._context, server_hostname=GATEWAY)
        await asyncio.gather(copied(reader, link[1]), copied(link[0], writer))

    async def _inwards(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A link of the gateway, which goes on to SIPp."""
        sipp = await asyncio.open_connection(HOST, self._inside)
        await asyncio.gather(copied(reader, sipp[1]), copied(sipp[0], writer))

    async def finished(self) -> str:
        """Wait until it has done all that it shall do; give its messages. SippError if it was not done as the scenario says."""
        async with asyncio.timeout(2 * PATIENCE_S):
            if await self._process.wait():
                raise SippError(self._told())
        return self.messages

    def _told(self) -> str:
        files = [self.folder / name for name in ("errors", "messages", "log")]
        return "\n".join(file.read_text(errors="replace")[-4000:] for file in files if file.exists())

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await ended(self._process)
        self._relay.close()
        self._log.close()


async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, and the end of it."""
    with suppress(OSError):
        while octets := await reader.read(65_536):
            writer.write(octets)
            await writer.drain()
    writer.close()
