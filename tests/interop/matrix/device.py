"""What a person can do with a phone of any make."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

LOOK_AGAIN_S = 0.05


class NotOfferedError(Exception):
    """The phone has no such function, or none that a program can use; with the reason, where it is not obvious."""


@dataclass(frozen=True)
class Settings:
    """How a phone is set up. *server* is the host and the port. *hidden*: its calls ask for privacy.

    *secure*: media is encrypted; *webrtc*: in the way of browsers, with DTLS-SRTP and ICE. *answers*: it takes calls by itself.
    *watches*: it publishes its presence, watches *friend*, and subscribes to its waiting messages. *rsa_only*: it takes no
    certificate with another key. *outbound*: it uses RFC 5626, where that is a setting; with another flow to the server
    *second*. *transport*, *login* (the authentication name) and *old_tls* (1.1 at most) are wrong settings of some makes.
    """

    folder: Path
    user: str
    domain: str
    server: str
    anchor: Path
    dns: str
    password: str
    secure: bool = True
    webrtc: bool = False
    answers: bool = True
    watches: bool = False
    hidden: bool = False
    rsa_only: bool = False
    outbound: bool = False
    second: str = ""
    transport: str = "tls"
    login: str = ""
    old_tls: bool = False
    friend: str = ""
    expires_s: int = 600


class Device:
    """A phone under test, started by ``async with``. A function that a make does not have raises `NotOfferedError`.

    *commands* has the command of each function: words, with {0} and {1} for what the function is given, and {own} for the URI of
    the user. An empty command: the phone does it from its start, by its settings.
    """

    make = ""
    webrtc = False
    commands: ClassVar[Mapping[str, str]] = {}

    def __init__(self, settings: Settings) -> None:
        self.own = f"sip:{settings.user}@{settings.domain}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start; it registers by itself."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop."""
        raise NotImplementedError

    async def trace(self) -> str:
        """Give all SIP messages that it has sent and received."""
        raise NotImplementedError

    async def command(self, name: str, *given: str) -> None:
        """Give a command to the phone."""
        raise NotImplementedError

    async def _do(self, function: str, *given: str) -> None:
        words = self.commands.get(function)
        if words is None:
            raise NotOfferedError
        if words:
            name, *further = (word.format(*given, own=self.own) for word in words.split())
            await self.command(name, *further)

    async def version(self) -> str:
        """Give its version where its User-Agent does not have it."""
        return ""

    async def shows(self, text: str, times: int = 1) -> None:
        """Wait until *text* is in its SIP messages, so many *times*."""
        while (await self.trace()).count(text) < times:
            await asyncio.sleep(LOOK_AGAIN_S)

    async def talk(self) -> None:
        """Send audio in the newest call; most phones do so by themselves."""

    async def hears(self) -> None:
        """Wait until the newest call has received a second of audio."""
        raise NotOfferedError

    async def call(self, uri: str) -> None:
        """Call."""
        await self._do("call", uri)

    async def call_hidden(self, uri: str) -> None:
        """Call without showing who calls."""
        await self._do("call_hidden", uri)

    async def hang_up(self) -> None:
        """End the newest call, or the attempt to call."""
        await self._do("hang_up")

    async def hold(self) -> None:
        """Hold the newest call."""
        await self._do("hold")

    async def resume(self) -> None:
        """Resume the newest call."""
        await self._do("resume")

    async def dtmf(self, digit: str) -> None:
        """Send a digit by INFO."""
        await self._do("dtmf", digit)

    async def transfer(self, uri: str) -> None:
        """Transfer the other side of the newest call."""
        await self._do("transfer", uri)

    async def connect_calls(self) -> None:
        """Transfer the other side of the first call to that of the second."""
        await self._do("connect_calls")

    async def message(self, uri: str, text: str) -> None:
        """Send a message."""
        await self._do("message", uri, text)

    async def watch(self, uri: str) -> None:
        """Watch the presence of a user."""
        await self._do("watch", uri)

    async def publish(self) -> None:
        """Publish presence."""
        await self._do("publish")

    async def ask_waiting(self) -> None:
        """Subscribe to the messages that wait."""
        await self._do("ask_waiting")

    async def watch_registrations(self) -> None:
        """Subscribe to the user's own registrations."""
        await self._do("watch_registrations")

    async def options(self, uri: str) -> None:
        """Ask for capabilities."""
        await self._do("options", uri)

    async def unregister(self) -> None:
        """End the registration, and stay on."""
        await self._do("unregister")
