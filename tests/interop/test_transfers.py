"""Transfers of real phones of different makes across the federation; docs/reference/tested-phones.md has what was seen."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from interop.matrix.device import LOOK_AGAIN_S, Device, NotOfferedError
from interop.matrix.stage import MAKES, Stage, on_stage
from interop.tables import WRITES, Table
from sipmesh.demo.network import FE1, FE2, PARTNER_FE

pytestmark = [
    pytest.mark.soak,
    pytest.mark.peer("baresip", "linphone", "pjsua2", "chromium", "certutil", "npm"),
]

PATIENCE_S = 60.0
LONGEST_S = 10.0
"""A phone that has not left its call by then does not know Replaces."""
AT = {"alice": FE1, "bob": FE2, "dora": FE1, "erin": PARTNER_FE, "fritz": PARTNER_FE}
"""Where each user logs in. dora and fritz have MD5 only, as baresip needs it."""
FAILED = re.compile(r"SIP/2\.0 (?!401|407)([456][0-9][0-9]) ")
ENDS_ITSELF = ("baresip", "linphone")
"""After a blind transfer they end their call; with the libraries, the program has to do it."""

AUDIO = "audio in both directions"
TABLE = Table("transfers")

User = tuple[str, str]
"""A user, and the make of its phone."""


@dataclass(frozen=True)
class Play:
    """The *first* user transfers the *second* to the *third*."""

    way: str
    first: User
    second: User
    third: User

    def __str__(self) -> str:
        first, second, third = (f"{user} ({make})" for user, make in (self.first, self.second, self.third))
        return f"{self.way}: {first} transfers {second} to {third}"

    @property
    def users(self) -> tuple[User, User, User]:
        """All three."""
        return self.first, self.second, self.third


def play(way: str, *users: str) -> Play:
    """Read "alice linphone", "erin pjsua2", "bob linphone"."""
    first, second, third = ((user, make) for user, make in map(str.split, users))
    return Play(way, first, second, third)


PLAYS = (
    play("blind", "alice linphone", "erin pjsua2", "bob linphone"),
    play("blind", "erin pjsua2", "alice linphone", "bob pjsua2"),
    play("blind", "alice jssip", "erin sipjs", "bob jssip"),
    play("blind", "alice sipjs", "erin jssip", "bob sipjs"),
    play("blind", "alice jssip", "bob sipjs", "erin jssip"),
    play("blind", "erin jssip", "alice sipjs", "bob jssip"),
    play("blind", "erin sipjs", "alice jssip", "fritz sipjs"),
    play("blind", "alice jssip", "fritz baresip", "bob jssip"),
    play("blind", "dora baresip", "erin jssip", "bob jssip"),
    play("blind", "alice jssip", "erin jssip", "dora baresip"),
    play("attended", "alice linphone", "erin pjsua2", "bob linphone"),
    play("attended", "alice linphone", "bob pjsua2", "erin linphone"),
    play("attended", "alice pjsua2", "erin pjsua2", "bob linphone"),
    play("attended", "erin linphone", "alice pjsua2", "bob linphone"),
    play("attended", "erin linphone", "alice linphone", "bob pjsua2"),
    play("attended", "erin pjsua2", "alice pjsua2", "bob linphone"),
    play("attended", "alice linphone", "erin linphone", "bob pjsua2"),
    play("attended", "alice linphone", "bob linphone", "erin pjsua2"),
    play("attended", "alice jssip", "erin sipjs", "bob jssip"),
    play("attended", "alice jssip", "bob jssip", "erin sipjs"),
    play("attended", "erin jssip", "alice sipjs", "bob jssip"),
    play("attended", "alice sipjs", "erin jssip", "bob sipjs"),
    play("attended", "erin sipjs", "alice jssip", "bob jssip"),
    play("attended", "erin sipjs", "alice jssip", "fritz sipjs"),
    play("attended", "dora baresip", "erin linphone", "bob linphone"),
    play("attended", "alice linphone", "fritz baresip", "bob linphone"),
    play("attended", "alice jssip", "fritz baresip", "bob jssip"),
    play("attended", "alice linphone", "erin linphone", "dora baresip"),
    play("attended", "alice jssip", "erin jssip", "dora baresip"),
)


@pytest.fixture(name="phones", scope="module")
def _phones(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[Stage]:
    yield from on_stage(runner, tmp_path_factory.mktemp("t"), pages=True, loopback=False)


async def started(stack: AsyncExitStack, phones: Stage, one: Play) -> tuple[Device, Device, Device]:
    """Start the three phones, and wait until each has registered. Where one is a page, all have DTLS-SRTP and ICE."""
    webrtc = any(phones.is_page(make) for _, make in one.users)
    made = [
        await stack.enter_async_context(phones.phone(make, AT[user], user=user, webrtc=webrtc))
        for user, make in one.users
    ]
    for device in made:
        await device.shows("SIP/2.0 200")
    first, second, third = made
    return first, second, third


def address(user: User) -> str:
    """The address of a user."""
    return f"sip:{user[0]}@{'partner.test' if AT[user[0]] == PARTNER_FE else 'example.test'}"


async def transferred(phones: Stage, one: Play) -> str:
    """Play it; gives what was seen."""
    async with AsyncExitStack() as stack:
        first, second, third = await started(stack, phones, one)
        await first.call(address(one.second))
        await second.shows("ACK sip:")
        before = len(await second.trace())
        if one.way == "blind":
            await first.transfer(address(one.third))
        else:
            await first.hold()
            await second.shows("ACK sip:", 2)
            await first.call(address(one.third))
            await third.shows("ACK sip:")
            await first.connect_calls()
        came = "Replaces: " if one.way == "attended" else "ACK sip:"
        while came not in await third.trace():
            if failed := FAILED.search((await second.trace())[before:]):
                return failed[1]
            await asyncio.sleep(LOOK_AGAIN_S)
        if one.way == "blind" and one.first[1] not in ENDS_ITSELF:
            await first.hang_up()
        if one.way == "attended" and not await leaves_its_call(third):
            return "a second call beside the first"
        for device in (second, third):
            await device.talk()
        for device in (second, third):
            await device.hears()
        await second.hang_up()
    return AUDIO


async def leaves_its_call(third: Device) -> bool:
    """Tell whether the call that is replaced ends (RFC 3891 section 3)."""
    try:
        async with asyncio.timeout(LONGEST_S):
            await third.shows("BYE sip:")
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("one", PLAYS, ids=lambda one: re.sub(r"[^a-z0-9]+", "-", str(one)))
def test_phone_transfers_across_the_federation(phones: Stage, runner: asyncio.Runner, one: Play) -> None:
    """Blind: REFER. Attended: two calls, REFER with Replaces, and the second calls the third with Replaces."""

    async def seen() -> str:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await transferred(phones, one)
        except NotOfferedError:
            return "not offered"

    found = runner.run(seen())
    if WRITES in os.environ:
        TABLE.write(str(one), found)
    assert TABLE.rows()[str(one)] == [found]


def test_page_has_each_transfer() -> None:
    assert set(TABLE.rows()) == {str(one) for one in PLAYS}
    assert {make for one in PLAYS for _, make in one.users} == set(MAKES)
