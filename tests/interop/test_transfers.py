"""Attended transfers of real phones of different makes across the federation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from interop.hosts_file import require_namespaces
from interop.matrix.device import Device
from interop.matrix.stage import Stage, stage
from sipmesh.demo.network import FE1, FE2, PARTNER_FE

pytestmark = [pytest.mark.soak, pytest.mark.peer("linphone"), pytest.mark.peer("pjsua2")]

PATIENCE_S = 60.0
AT = {"alice": FE1, "bob": FE2, "erin": PARTNER_FE}
ADDRESSES = {"alice": "sip:alice@example.test", "bob": "sip:bob@example.test", "erin": "sip:erin@partner.test"}

User = tuple[str, str]
"""A user, and the make of its phone."""


@pytest.fixture(name="phones", scope="module")
def _phones(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[Stage]:
    require_namespaces()
    network = stage(tmp_path_factory.mktemp("t"), pages=False)
    yield runner.run(network.__aenter__())
    runner.run(network.__aexit__(None, None, None))


async def connected(stack: AsyncExitStack, phones: Stage, users: tuple[User, User, User]) -> tuple[Device, Device]:
    """Let the first user call the two others, and connect them; gives their phones."""
    made = [await stack.enter_async_context(phones.phone(make, AT[user], user=user)) for user, make in users]
    for device in made:
        await device.shows("SIP/2.0 200")
    phone, one, other = made
    await phone.call(ADDRESSES[users[1][0]])
    await one.shows("ACK sip:")
    await phone.hold()
    await one.shows("ACK sip:", 2)
    await phone.call(ADDRESSES[users[2][0]])
    await other.shows("ACK sip:")
    await phone.connect_calls()
    return one, other


@pytest.mark.parametrize(
    "users",
    [
        (("alice", "linphone"), ("erin", "pjsua2"), ("bob", "linphone")),
        (("alice", "linphone"), ("bob", "pjsua2"), ("erin", "linphone")),
        (("alice", "pjsua2"), ("erin", "pjsua2"), ("bob", "linphone")),
        (("erin", "linphone"), ("alice", "pjsua2"), ("bob", "linphone")),
        (("erin", "linphone"), ("alice", "linphone"), ("bob", "pjsua2")),
        (("erin", "pjsua2"), ("alice", "pjsua2"), ("bob", "linphone")),
    ],
    ids=lambda users: "-".join("-".join(one) for one in users),
)
def test_phone_connects_its_two_calls_across_the_federation(
    phones: Stage, runner: asyncio.Runner, users: tuple[User, User, User]
) -> None:
    """The second calls the third with Replaces, and they hear each other."""

    async def play() -> None:
        async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
            one, other = await connected(stack, phones, users)
            await other.shows("Replaces: ")
            for device in (one, other):
                await device.talk()
            for device in (one, other):
                await device.hears()
            await one.hang_up()

    runner.run(play())


@pytest.mark.parametrize(
    "users",
    [
        (("alice", "linphone"), ("erin", "linphone"), ("bob", "pjsua2")),
        (("alice", "linphone"), ("bob", "linphone"), ("erin", "pjsua2")),
    ],
    ids=lambda users: "-".join("-".join(one) for one in users),
)
def test_contact_without_a_gruu_is_no_address_in_another_organisation(
    phones: Stage, runner: asyncio.Runner, users: tuple[User, User, User]
) -> None:
    """PJSIP has no GRUU. Refer-To has its Contact, which only the servers of its own user know."""

    async def play() -> None:
        async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
            one, other = await connected(stack, phones, users)
            await one.shows("SIP/2.0 404")
            assert "Replaces: " not in await other.trace()

    runner.run(play())
