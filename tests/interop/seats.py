"""A phone of any make, and the person who sits at it: what the phone shows of a call, and what the person does."""

from __future__ import annotations

import asyncio
import re

from interop.matrix.device import Device
from interop.matrix.other_side import OtherSide
from interop.phone_page import PhonePage
from sipmesh.client.dialog import Dialog
from support.network import EXAMPLE
from support.talking import inside_of
from support.trunks import PROVIDER

LOOK_AGAIN_S = 0.1
OURS, TRUNKS = f"@{EXAMPLE}", f"@{PROVIDER}"


class Seat:
    """A phone, and the person who sits at it."""

    async def begins(self) -> None:
        """Forget what was shown before."""

    async def rings(self) -> str:
        """Wait until it rings, or has answered; gives what is shown."""
        raise NotImplementedError

    async def answers(self) -> None:
        """Take the call that rings."""

    async def declines(self) -> None:
        """Decline the call that rings."""
        raise NotImplementedError

    async def calls(self, address: str) -> None:
        """Call."""
        raise NotImplementedError

    async def sees(self) -> str:
        """Wait until the call is up or has failed; gives who has answered, or the status."""
        raise NotImplementedError

    async def hangs_up(self) -> None:
        """End the call."""
        raise NotImplementedError


def short(address: str) -> str:
    """Give an address of our own domain without it, and the number of a trunk."""
    return address.strip().removesuffix(OURS).removesuffix(TRUNKS)


def bare(value: str) -> str:
    """Give the address in a header field, "" if there is none."""
    return short(value.partition("<")[2].partition(">")[0].removeprefix("sip:").partition(";")[0])


def shown(fields: list[tuple[str, str]]) -> str:
    """Who calls, and for whom: what an INVITE asserts, how its From names the caller, and whom it was for."""
    found = dict(reversed(fields))
    caller = bare(found.get("p-asserted-identity", "")) or bare(found["from"])
    name = found["from"].partition("<")[0].strip(' "')
    history = found.get("history-info", "")
    in_name_of = f" ({name})" if " for " in name else ""
    return f"{caller}{in_name_of}" + (f", for {bare(history)}" if history else "")


def fields_of(text: str) -> list[tuple[str, str]]:
    """Read the header fields of a message in the log of a phone."""
    rows = [line.partition(":") for line in text.split("\n\n", maxsplit=1)[0].splitlines()[1:]]
    return [(name.strip().lower(), value.strip()) for name, _, value in rows]


class ProgramSeat(Seat):
    """A program: what is shown is what it has got, since each shows it in another way."""

    def __init__(self, device: Device) -> None:
        self.device, self.seen = device, 0

    async def _log(self) -> str:
        return (await self.device.trace()).replace("\r", "")[self.seen :]

    async def begins(self) -> None:
        self.seen += len(await self._log())

    async def _comes(self, pattern: str) -> re.Match[str]:
        while (found := re.search(pattern, await self._log(), re.MULTILINE | re.DOTALL)) is None:
            await asyncio.sleep(LOOK_AGAIN_S)
        return found

    async def rings(self) -> str:
        found = await self._comes(r"^INVITE sip:.*?\n\n")
        await self._comes(r"^SIP/2\.0 (?:180|200) [^\n]*\n(?:[^\n]+\n)*?CSeq: \d+ INVITE")
        return shown(fields_of(found[0]))

    async def declines(self) -> None:
        await self.device.hang_up()

    async def calls(self, address: str) -> None:
        await self.device.call(f"sip:{address}")

    async def sees(self) -> str:
        final = r"^SIP/2\.0 ([2-6]\d\d) [^\n]*\n(?:[^\n]+\n)*?CSeq: \d+ INVITE\n.*?\n\n"
        found = await self._comes(final.replace("[2-6]", "(?!401|407)[2-6]"))
        said = dict(fields_of(found[0])).get("p-asserted-identity", "")
        return bare(said) or found[1]

    async def hangs_up(self) -> None:
        await self.device.hang_up()


class PageSeat(Seat):
    """The web phone."""

    def __init__(self, page: PhonePage) -> None:
        self.page, self.lines = page, 0

    async def begins(self) -> None:
        await self.page.until("document.getElementById('incoming').hidden && document.getElementById('call').hidden")

    async def rings(self) -> str:
        await self.page.shows("incoming")
        told = await self.page.text("incoming-proof")
        led, name = re.findall(r"For (\S+)", told), re.findall(r"\w+ for \w+", told)
        in_name_of = f" ({name[0]})" if name else ""
        return f"{short(told.splitlines()[0])}{in_name_of}" + (f", for {short(led[0])}" if led else "")

    async def answers(self) -> None:
        await self.page.press("answer")

    async def declines(self) -> None:
        await self.page.press("decline")

    async def calls(self, address: str) -> None:
        self.lines = len((await self.page.text("messages")).splitlines())
        await self.page.fill("target", address)
        await self.page.submit("dial-form")

    async def sees(self) -> str:
        messages = "document.getElementById('messages').innerText.trim().split('\\n')"
        over = f"document.getElementById('call').hidden && {messages}.length > {self.lines}"
        up = "document.getElementById('call-state').innerText.includes('Connected')"
        await self.page.until(f"({up}) || ({over})")
        if await self.page.evaluate(up):
            return short(str(await self.page.evaluate("document.querySelector('#call-proof .who').innerText")))
        return str(await self.page.evaluate(f"{messages}.at(-2)"))  # the last line is the time

    async def hangs_up(self) -> None:
        await self.page.press("hang-up")


class PeerSeat(Seat):
    """A caller of the tests, who calls *address* as *sender* writes it."""

    def __init__(self, peer: OtherSide, *, webrtc: bool, at: str = "") -> None:
        self.peer, self.webrtc, self.at = peer, webrtc, at

    async def calls(self, address: str, *headers: tuple[str, str]) -> None:
        self.invite = self.peer.invite(f"sip:{self.at or address}", webrtc=self.webrtc)
        for name, value in headers:
            self.invite.append(name, value)
        await self.peer.send(self.invite)

    async def sees(self) -> str:
        answer = await self.peer.outcome(self.invite)
        if answer.status != 200:
            return str(answer.status)
        self.dialog = Dialog.of_caller(self.invite, answer)
        await self.peer.send(inside_of(self.dialog, self.peer, "ACK"))
        return bare(answer.first("p-asserted-identity") or "") or "no name"

    async def hangs_up(self) -> None:
        await self.peer.end(self.dialog)
