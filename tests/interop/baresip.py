"""A real phone: Debian's baresip without a head, driven over its control port (netstrings of JSON)."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import struct
import wave
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sipmesh.demo.ports import free_port
from sipmesh.server.process.fork_server import die_with_parent
from support.programs import ended

PATIENCE_S = 20.0
CRASHES = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS)
LOOK_AGAIN_S = 0.05
SHOWN = 2_000
"""Characters of a log in the report of a failure."""
_SENT, _RECEIVED = re.compile(r"TX: packets=[0-9]+, octets=([0-9]+)"), re.compile(r"psent=[0-9]+ rcvd=([0-9]+)")
"""What it says of the current call. It counts no octets that come in."""

CONFIG = """\
sip_listen 127.0.0.1:0
sip_cafile {anchor}
sip_verify_server yes
sip_trans_def {transport}
call_local_timeout 30
call_max_calls 4
audio_source {source}
audio_player {player}
audio_alert aufile,{folder}/alert.wav
ausrc_srate 48000
auplay_srate 8000
jitter_buffer_type fixed
jitter_buffer_delay 5-10
rtcp_mux {mux}
net_interface 127.0.0.1
dns_server {dns}
module_path {modules}
module g711.so
module ausine.so
module aufile.so
module aubridge.so
module uuid.so
module srtp.so
module dtls_srtp.so
{more}{device}module_tmp account.so
module_app contact.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""

WATCHES = "module_app presence.so\nmodule_app mwi.so\n"

NO_PLAYER = "aubridge,nobody"
"""Where no test listens. In version 1.1.0 the thread of aufile may write before it knows what: the phone crashes then."""

MODULES = ("/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules")


class Baresip:
    """One phone with one account; `events` are what it told, oldest first.

    With *watches* it publishes its presence, watches that of its friend, and asks for waiting messages. With *ice* it has
    what browsers need: ICE, and RTP and RTCP on one port. It refreshes its registration after *refresh_s*, or at nine tenths of
    *expires_s*. With *flows*, it uses outbound (RFC 5626) with one flow to each of these servers.

    *keys* says how it sends keypresses: `info`, or `rtpevent` in its audio (RFC 4733).

    *device* is a PEM file with the certificate of the device, those of its issuers, and its key.

    With *records* it sends a tone and writes down what it hears. Version 1.1.0 does not survive a re-INVITE while it does that.
    With *talks* it sends a tone, and survives. With neither it sends nothing.
    """

    def __init__(self, folder: Path, user: str, password: str, domain: str, server: str, **settings: Any) -> None:
        self.folder, self.user, self.domain = folder, user, domain
        self.control = free_port()
        self.environment: dict[str, str] = {}
        self.within: Sequence[str] = ()  # a command that runs it elsewhere
        self.events: list[dict[str, Any]] = []
        self._changed = asyncio.Condition()
        self._answers: dict[str, dict[str, Any]] = {}
        self._token, self._is_gone = 0, False
        self._write(password, server, **settings)

    def _write(
        self,
        password: str,
        server: str,
        *,
        anchor: Path,
        dns: str,
        tone: int = 440,
        friend: str = "",
        media: str = "srtp-mand",
        records: bool = True,
        talks: bool = False,
        transport: str = "tls",
        refresh_s: int = 540,
        expires_s: int = 0,
        flows: tuple[str, ...] = (),
        ice: bool = False,
        watches: bool = False,
        answers: bool = True,
        device: Path | None = None,
        keys: str = "info",
    ) -> None:
        self.folder.mkdir(parents=True)
        modules = next((path for path in MODULES if Path(path).is_dir()), MODULES[0])
        config = CONFIG.format(
            anchor=anchor,
            transport=transport,
            source=f"ausine,{tone}" if records or talks else "aubridge,silence",
            player=f"aufile,{self.folder}/heard.wav" if records else NO_PLAYER,
            folder=self.folder,
            dns=dns,
            modules=modules,
            control=self.control,
            mux="yes" if ice else "no",
            device=f"sip_certificate {device}\n" if device else "",
            more=("module ice.so\n" if ice else "") + (WATCHES if watches else ""),
        )
        times = f"regint={expires_s};rwait=90" if expires_s else f"regint={10 * refresh_s};rwait=10"
        outbound = f'outbound="sip:{server};transport={transport}";'
        if flows:
            outbound = "sipnat=outbound;"
            outbound += "".join(f'outbound{n}="sip:{flow};transport=tls";' for n, flow in enumerate(flows, 1))
        account = (
            f"<sip:{self.user}@{self.domain};transport={transport}>;auth_pass={password};"
            f"{outbound}answermode={'auto' if answers else 'manual'};"
            f"{media and f'mediaenc={media};'}{'medianat=ice;' if ice else ''}{times};dtmfmode={keys}"
            f"{';pubint=600;mwi=yes' if watches else ''}\n"
        )
        (self.folder / "config").write_text(config)
        (self.folder / "accounts").write_text(account)
        seen = ";presence=p2p" if watches else ""
        (self.folder / "contacts").write_text(f'"friend" <{friend}>{seen}\n' if friend else "")

    @property
    def log(self) -> str:
        """All that it printed, SIP trace included, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", (self.folder / "log").read_text(errors="replace"))

    async def __aenter__(self) -> Self:
        with (self.folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.within, "baresip", "-f", str(self.folder), "-s", "-v",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
                cwd=self.folder, env={**os.environ, **self.environment},
            )  # fmt: skip
        async with asyncio.timeout(PATIENCE_S):
            self._reader, self._writer = await self._connect()
        self._listening = asyncio.create_task(self._listen())
        return self

    @property
    def has_crashed(self) -> bool:
        """Whether the kernel has ended it, for a fault of its own."""
        return self._process.returncode in CRASHES

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", self.control)
            except OSError:
                if self._process.returncode is not None:
                    raise RuntimeError(f"baresip ended:\n{self.log}") from None
                await asyncio.sleep(LOOK_AGAIN_S)

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await ended(self._process)
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._writer.close()

    async def _listen(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._take_all()
        async with self._changed:
            self._is_gone = True
            self._changed.notify_all()

    async def _take_all(self) -> None:
        while True:
            size = int((await self._reader.readuntil(b":"))[:-1])
            told = json.loads(await self._reader.readexactly(size))
            await self._reader.readexactly(1)
            async with self._changed:
                if told.get("event") or told.get("message"):
                    self.events.append(told)
                else:
                    self._answers[told.get("token", "")] = told
                self._changed.notify_all()

    async def command(self, command: str, params: str = "") -> dict[str, Any]:
        """Give a command and return its answer."""
        self._token += 1
        token = f"t{self._token}"
        asked = json.dumps({"command": command, "params": params, "token": token}).encode()
        self._writer.write(b"%d:%s," % (len(asked), asked))
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: token in self._answers)
        return self._answers.pop(token)

    async def registered(self) -> None:
        """Wait until the account is registered: the event may be gone before a test listens, so it is asked for."""
        async with asyncio.timeout(PATIENCE_S):
            while "OK" not in (await self.command("reginfo")).get("data", ""):
                await asyncio.sleep(LOOK_AGAIN_S)

    async def registered_again(self) -> None:
        """Wait until the registration has been refreshed: after a tenth of its lifetime, as the account says."""
        self.events.clear()
        await self.event("REGISTER_OK")

    async def event(self, *types: str) -> dict[str, Any]:
        """Wait for an event of one of *types* and take it; a `ConnectionError` if the phone ends before."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: self._find(types) is not None or self._is_gone)
        found = self._find(types)
        if found is None:
            raise ConnectionError(f"baresip ended before it told of {types}; the end of its log:\n{self.log[-SHOWN:]}")
        self.events.remove(found)
        return found

    def _find(self, types: tuple[str, ...]) -> dict[str, Any] | None:
        return next(
            (one for one in self.events if one.get("type") in types or ("MESSAGE" in types and one.get("message"))),
            None,
        )

    async def counted(self) -> dict[str, int]:
        """Give the octets of audio that were ``sent`` in the current call, and the packets that were ``received``."""
        told = str((await self.command("audio_debug")).get("data"))
        found = {"sent": _SENT.search(told), "received": _RECEIVED.search(told)}
        return {direction: int(figure[1]) if figure else 0 for direction, figure in found.items()}

    async def hears(self, packets: int) -> None:
        """Wait until so many packets of audio have come in the current call. Media are SRTP, or do not run."""
        async with asyncio.timeout(PATIENCE_S):
            while (await self.counted())["received"] < packets:
                await asyncio.sleep(LOOK_AGAIN_S)

    def heard(self, *tones: int) -> dict[int, int]:
        """How loud each of *tones*, in Hz, is in what was heard (Goertzel)."""
        with wave.open(str(self.folder / "heard.wav")) as file:
            rate, count = file.getframerate(), file.getnframes()
            samples = struct.unpack(f"<{count * file.getnchannels()}h", file.readframes(count))[:: file.getnchannels()]
        middle = samples[len(samples) // 4 : len(samples) // 4 + 2 * rate]
        return {tone: _level(middle, tone, rate) for tone in tones}


def _level(samples: tuple[int, ...], tone: int, rate: int) -> int:
    factor, last, before = 2 * math.cos(2 * math.pi * tone / rate), 0.0, 0.0
    for sample in samples:
        last, before = sample + factor * last - before, last
    power = last * last + before * before - factor * last * before
    return round(2 * math.sqrt(abs(power)) / max(1, len(samples)))
