"""What processes share beside links, logins and limits: frames of its own, and the begin and the end of a process."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.siblings.channel import WorkerChannel
from sipmesh.server.proxy.siblings.shared_state import SharedState
from support.running import on_loop, until
from support.siblings import ONE, TWO, pair_of

KIND = 200


class Noted(SharedState):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.notes: list[tuple[object, ...]] = []

    def told(self, process: int, kind: int, number: int, payload: bytes) -> None:
        """Note a frame."""
        self.notes.append((process, kind, number, payload))

    def joined(self, channel: WorkerChannel) -> None:
        """Note a process that has come."""
        self.notes.append(("joined", channel.number))

    def process_ended(self, process: int) -> None:
        """Note a process that is gone."""
        self.notes.append(("ended", process))


@pytest.mark.skipif(built() == "compiled", reason="a compiled class has no subclass that is not")
@on_loop
async def test_state_hears_its_frames_and_of_other_processes(example: Organisation) -> None:
    async with pair_of(example) as pair:
        state = Noted()
        pair.siblings(ONE).share(state, KIND)
        pair.siblings(TWO).tell_all(KIND, 7, b"told")
        await until(lambda: state.notes == [(TWO, KIND, 7, b"told")])
        pair.siblings(TWO).close()
        await until(lambda: ("ended", TWO) in state.notes)
        pair.connect()
        assert state.notes[-1] == ("joined", TWO)


@on_loop
async def test_state_that_has_nothing_to_say_needs_to_hear_only(example: Organisation) -> None:
    async with pair_of(example) as pair:
        state = SharedState()
        channel = pair.siblings(ONE).channel(TWO)
        assert channel is not None
        state.joined(channel)
        state.process_ended(TWO)
        with pytest.raises(NotImplementedError):
            state.told(TWO, KIND, 0, b"")
