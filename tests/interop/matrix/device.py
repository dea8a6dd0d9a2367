"""What a person can do with a phone of any make."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

LOOK_AGAIN_S = 0.05


class NotOfferedError(Exception):
    """The phone has no such function, or none that a program can use; with the reason, where it is not obvious."""


@dataclass(frozen=True)
class Settings:
    """How a phone is set up. *server* is the host and the port. *hidden*: its calls ask for privacy.

    *secure*: media is encrypted. *answers*: it takes calls by itself. *watches*: it publishes its presence, watches *friend*,
    and subscribes to its waiting messages. *rsa_only*: it takes no certificate with another key. *outbound*: it
    uses RFC 5626, where that is a setting; with another flow to the server *second*.
    """

    folder: Path
    user: str
    domain: str
    server: str
    anchor: Path
    dns: str
    password: str
    secure: bool = True
    answers: bool = True
    watches: bool = False
    hidden: bool = False
    rsa_only: bool = False
    outbound: bool = False
    second: str = ""
    friend: str = ""
    expires_s: int = 600


class Device:
    """A phone under test, started by ``async with``. A command that a make does not have raises `NotOfferedError`."""

    make = ""
    webrtc = False

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

    async def call(self, _uri: str, /) -> None:
        """Call."""
        raise NotOfferedError

    async def call_hidden(self, _uri: str, /) -> None:
        """Call without showing who calls."""
        raise NotOfferedError

    async def hang_up(self) -> None:
        """End the newest call, or the attempt to call."""
        raise NotOfferedError

    async def hold(self) -> None:
        """Hold the newest call."""
        raise NotOfferedError

    async def resume(self) -> None:
        """Resume the newest call."""
        raise NotOfferedError

    async def dtmf(self, _digit: str, /) -> None:
        """Send a digit by INFO."""
        raise NotOfferedError

    async def transfer(self, _uri: str, /) -> None:
        """Transfer the other side of the newest call."""
        raise NotOfferedError

    async def connect_calls(self) -> None:
        """Transfer the other side of the first call to that of the second."""
        raise NotOfferedError

    async def message(self, _uri: str, _text: str, /) -> None:
        """Send a message."""
        raise NotOfferedError

    async def watch(self, _uri: str, /) -> None:
        """Watch somebody's presence."""
        raise NotOfferedError

    async def publish(self) -> None:
        """Publish presence."""
        raise NotOfferedError

    async def ask_waiting(self) -> None:
        """Subscribe to the messages that wait."""
        raise NotOfferedError

    async def watch_registrations(self) -> None:
        """Subscribe to the user's own registrations."""
        raise NotOfferedError

    async def options(self, _uri: str, /) -> None:
        """Ask for capabilities."""
        raise NotOfferedError

    async def unregister(self) -> None:
        """End the registration, and stay on."""
        raise NotOfferedError
