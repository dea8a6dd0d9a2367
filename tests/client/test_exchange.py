import asyncio
from collections.abc import Iterator

import pytest

from client.clock import JumpingLoop
from sipmesh.client.exchange import Exchange, Exchanges
from sipmesh.client.outcome import NoAnswerError, Outcome
from sipmesh.sip.message import Request, Response, build_request, respond


@pytest.fixture(name="loop")
def _loop() -> Iterator[JumpingLoop]:
    loop = JumpingLoop()
    yield loop
    loop.close()


class Wire:
    """The sent requests, and the exchanges that sent them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, takes: bool = True) -> None:
        self.sent: list[Request] = []
        self.takes, self.answers = takes, list[Response]()
        self.exchanges = Exchanges(loop, self.send)

    def send(self, request: Request) -> bool:
        self.sent.append(request)
        return self.takes

    def start(self, method: str) -> Exchange:
        headers = [
            ("via", f"SIP/2.0/TLS h;branch=z9hG4bK{len(self.sent)}"),
            ("from", "<sip:alice@example.test>;tag=a"),
            ("to", "<sip:bob@example.test>"),
            ("call-id", "one"),
            ("cseq", f"1 {method}"),
        ]
        request = build_request(method, "sip:bob@example.test", headers)
        return self.exchanges.start(request, success=self.answers.append)

    def answer(self, exchange: Exchange, status: int, tag: str = "b") -> bool:
        return self.exchanges.receive(respond(exchange.request, status, to_tag=tag))

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.sent]


def finish(loop: JumpingLoop, exchange: Exchange) -> Outcome:
    return loop.run_until_complete(exchange.final())


@pytest.mark.parametrize(("method", "status"), [("MESSAGE", 200), ("MESSAGE", 404), ("INVITE", 200), ("INVITE", 486)])
def test_the_final_answer_is_what_the_caller_gets(loop: JumpingLoop, method: str, status: int) -> None:
    wire = Wire(loop)
    exchange = wire.start(method)
    assert wire.answer(exchange, status)
    assert finish(loop, exchange).status == status


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
def test_without_an_answer_it_ends_after_64_t1(loop: JumpingLoop, method: str) -> None:
    with pytest.raises(NoAnswerError, match="in 32 s"):
        finish(loop, Wire(loop).start(method))
    assert loop.now == pytest.approx(32.0)


@pytest.mark.parametrize(("method", "ends_s"), [("MESSAGE", 32.0), ("INVITE", 185.0)])
def test_a_provisional_answer_gives_an_invite_only_more_time(loop: JumpingLoop, method: str, ends_s: float) -> None:
    wire = Wire(loop)
    exchange = wire.start(method)
    wire.answer(exchange, 180)
    with pytest.raises(NoAnswerError):
        finish(loop, exchange)
    assert loop.now == pytest.approx(ends_s)


@pytest.mark.parametrize(("status", "acked"), [(486, ["INVITE", "ACK"]), (200, ["INVITE"])])
def test_a_refusal_is_acknowledged_here_and_a_2xx_by_its_call(loop: JumpingLoop, status: int, acked: list[str]) -> None:
    wire = Wire(loop)
    wire.answer(wire.start("INVITE"), status)
    assert wire.methods == acked


def test_retransmissions_and_forks_of_a_2xx_are_delivered_for_half_a_minute(loop: JumpingLoop) -> None:
    wire = Wire(loop)
    exchange = wire.start("INVITE")
    assert [wire.answer(exchange, 200, tag) for tag in ("b", "b", "c")] == [True] * 3
    assert len(wire.answers) == 3
    loop.run_until_complete(asyncio.sleep(32.5))
    assert not wire.answer(exchange, 200, "d")


def test_a_ringing_invite_is_cancelled_at_once(loop: JumpingLoop) -> None:
    wire = Wire(loop)
    exchange = wire.start("INVITE")
    wire.answer(exchange, 180)
    exchange.cancel()
    assert wire.methods == ["INVITE", "CANCEL"]
    wire.answer(exchange, 487)
    assert finish(loop, exchange).status == 487


def test_invite_is_cancelled_after_its_first_provisional_response(loop: JumpingLoop) -> None:
    wire = Wire(loop)
    exchange = wire.start("INVITE")
    exchange.cancel()
    assert wire.methods == ["INVITE"]
    wire.answer(exchange, 100)
    assert wire.methods == ["INVITE", "CANCEL"]


def test_cancelled_invite_ends_after_half_a_minute(loop: JumpingLoop) -> None:
    """RFC 3261 9.1: otherwise a silent peer would keep the caller for three minutes."""
    wire = Wire(loop)
    exchange = wire.start("INVITE")
    wire.answer(exchange, 180)
    exchange.cancel()
    with pytest.raises(NoAnswerError):
        finish(loop, exchange)
    assert loop.now == pytest.approx(32.0)


def test_answered_request_is_not_cancelled(loop: JumpingLoop) -> None:
    wire = Wire(loop)
    exchange = wire.start("INVITE")
    wire.answer(exchange, 200)
    exchange.cancel()
    assert wire.methods == ["INVITE"]


def test_response_without_a_request_is_dropped(loop: JumpingLoop) -> None:
    wire = Wire(loop)
    exchange = wire.start("MESSAGE")
    wire.answer(exchange, 200)
    assert not wire.answer(exchange, 200)


def test_lost_link_ends_all_exchanges(loop: JumpingLoop) -> None:
    wire = Wire(loop)
    held = [wire.start("MESSAGE"), wire.start("INVITE")]
    wire.exchanges.lose(NoAnswerError("the link is gone"))
    for exchange in held:
        with pytest.raises(NoAnswerError, match="the link is gone"):
            finish(loop, exchange)


def test_closed_link_fails_a_request_at_once(loop: JumpingLoop) -> None:
    with pytest.raises(NoAnswerError, match="accepts no further"):
        finish(loop, Wire(loop, takes=False).start("MESSAGE"))
    assert loop.now == 0.0
