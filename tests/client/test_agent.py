import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from client.home import HERE, Certificates, Home, running, text
from sipmesh.client.agent import LinkLostError, UserAgent
from sipmesh.client.judge import Trust
from sipmesh.errors import OperatorError
from sipmesh.routing.proxy.locate import DnsQuestion, RecordKind, Srv
from sipmesh.sip.digest import Algorithm
from sipmesh.trust.code import Code
from sipmesh.trust.verdict import LinkRefused
from support.network import FE1, Network
from support.running import on_jumping_loop, on_loop


@running
async def test_an_agent_judges_its_server_and_registers(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        agent = await home.agent("alice")
        verdict, [row] = agent.verdict, home.rows["sip:alice@example.test"]
    assert verdict is not None
    assert (verdict.code, verdict.subject) == (Code.ACCEPTED, "example.test")
    assert (row.instance, row.reg_id) == (agent.party.instance, 1)


@pytest.mark.parametrize("algorithms", [(Algorithm.MD5,), (Algorithm.SHA_256,), (Algorithm.SHA_256, Algorithm.MD5)])
def test_agent_answers_every_supported_challenge(certificates: Certificates, algorithms: tuple[Algorithm, ...]) -> None:
    @running
    async def registers() -> None:
        async with Home(certificates, algorithms) as home:
            await home.agent("alice")
            assert f"algorithm={algorithms[0]}" in (home.heard[-1].first("authorization") or "")

    registers()


@pytest.mark.parametrize(("said", "gap_s"), [("60", 54), ("1", 5), ("300", 95), ("soon", 95), ("9" * 9, 95), ("", 95)])
def test_keepalives_come_within_the_flow_timer_of_the_server(
    certificates: Certificates, said: str, gap_s: float
) -> None:
    """RFC 5626 4.4; a time that is longer than ours, far too short or unreadable has no bad effect."""

    @on_jumping_loop
    async def registers() -> None:
        async with Home(certificates) as home:
            agent = await home.agent("alice")
            agent._keep_alive(said)
            assert agent._keepalive_s == gap_s
            assert agent.link is not None
            before, loop = agent.link.last_in, asyncio.get_running_loop()
            await asyncio.sleep(gap_s + 1)
            assert before < agent.link.last_in <= loop.time()

    registers()


@running
async def test_wrong_password_is_tried_once(certificates: Certificates) -> None:
    """A second attempt would count as a second failed login."""
    async with Home(certificates) as home:
        agent = await home.agent("alice", "wrong")
        outcome = await agent.register()
        assert (outcome.status, outcome.ok) == (401, False)
        assert len(home.heard) == 2


@running
async def test_registration_is_refreshed_and_removed(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        agent = await home.agent("alice")
        await agent.register()
        assert len(home.rows["sip:alice@example.test"]) == 1
        outcome = await agent.register(0)
        assert (outcome.status, home.rows["sip:alice@example.test"]) == (200, [])


@running
async def test_a_server_of_another_name_gets_no_sip_byte(certificates: Certificates, foreign: Certificates) -> None:
    """Even if we trust its authority."""
    async with Home(foreign) as home:
        agent = UserAgent("alice@example.test", "alice-pw", trust=foreign.trust)
        with pytest.raises(LinkRefused) as caught:
            await agent.connect(HERE, home.listener.port)
        await agent.close()
        assert caught.value.verdict.code is Code.NAME_MISMATCH
        assert home.heard == []


@running
async def test_a_server_under_another_authority_is_refused(certificates: Certificates, foreign: Certificates) -> None:
    async with Home(certificates) as home:
        agent = UserAgent("alice@example.test", "alice-pw", trust=foreign.trust)
        with pytest.raises(LinkRefused) as caught:
            await agent.connect(HERE, home.listener.port)
        await agent.close()
        assert caught.value.verdict.code is Code.UNTRUSTED_ISSUER
        assert caught.value.verdict == agent.refusals[0]


@running
async def test_missing_server_raises_link_lost(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        port = home.listener.port
    agent = UserAgent("alice@example.test", trust=certificates.trust)
    with pytest.raises(LinkLostError, match="cannot be reached"):
        await agent.connect(HERE, port)
    with pytest.raises(LinkLostError, match="has no link"):
        await agent.register()
    await agent.close()


@running
async def test_a_message_reaches_the_other_user_and_is_answered(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        outcome = await alice.message("bob@example.test", "héllo ✓")
        seen = await text(bob)
    assert (outcome.status, outcome.warnings) == (200, ())
    assert (seen.sender, seen.text, seen.content_type) == (
        "sip:alice@example.test",
        "héllo ✓",
        "text/plain;charset=UTF-8",
    )
    assert seen.hops == (HERE, "home.example.test")


@running
async def test_a_message_without_a_registration_is_challenged_once(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        await home.agent("bob")
        alice = await home.agent("alice", "alice-pw")
        assert (await alice.message("bob@example.test", "one")).status == 200
        assert (await alice.message("bob@example.test", "two")).status == 200
        assert [request.method for request in home.heard].count("MESSAGE") == 3


@running
async def test_a_refusal_has_its_warning(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice = await home.agent("alice")
        outcome = await alice.message("nobody@example.test", "hello")
    assert str(outcome) == '404 Not Found 399 home.example.test "no-route 17"'


@pytest.mark.parametrize(("target", "reached"), [("home.example.test", True), ("gone.example.test", False)])
def test_without_a_server_the_domain_is_located(certificates: Certificates, target: str, *, reached: bool) -> None:
    @running
    async def located() -> None:
        async with Home(certificates) as home:
            known = Answers(
                {"_sips._tcp.example.test": Srv(0, 0, home.listener.port, target), "home.example.test": HERE}
            )
            agent = UserAgent("alice@example.test", trust=certificates.trust, resolver=known)
            home.agents.append(agent)
            if reached:
                assert (await agent.connect()).subject == "example.test"
                return
            with pytest.raises(LinkLostError):
                await agent.connect()

    located()


class Answers:
    """A resolver with two records."""

    def __init__(self, records: dict[str, Srv | str]) -> None:
        self.records = records

    async def ask(self, question: DnsQuestion) -> Sequence[str | Srv]:
        record = self.records.get(question.name)
        wanted = Srv if question.kind is RecordKind.SRV else str
        return [record] if isinstance(record, wanted) and question.kind is not RecordKind.AAAA else []


@running
async def test_closed_link_ends_everything_that_waits(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice = await home.agent("alice")
        home.silent = frozenset({"MESSAGE", "INVITE"})
        asked = asyncio.create_task(alice.message("bob@example.test", "hello"))
        call = alice.invite("bob@example.test")
        await home.hears("MESSAGE")
        await home.hears("INVITE")
        home.links[0].close("the server stops")
        with pytest.raises(LinkLostError):
            await asked
        with pytest.raises(LinkLostError):
            await call.answered()
        await call.over()
        await alice.gone()


@running
async def test_a_server_that_answers_keepalives_keeps_its_agent(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        trust = certificates.trust
        agent = UserAgent("alice@example.test", trust=trust)
        agent.settings = replace(agent.settings, keepalive_s=0.0)
        home.agents.append(agent)
        await agent.connect(HERE, home.listener.port)
        await asyncio.sleep(0)  # the keepalive is due now, and is sent before the request
        outcome = await agent.options()
        assert agent.link is not None
        assert agent.link.bytes_in - len(outcome.response.encode()) == len(b"\r\n")


@running
async def test_server_without_an_answer_to_keepalives_is_left(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        agent = await home.agent("alice")
        assert agent.link is not None
        agent._expect_pong(agent.link.last_in)
        assert agent.link.usable
        agent._expect_pong(agent.link.last_in + 0.001)
        await agent.gone()
        assert agent.link.why == "the server answered no keepalive within 10 s"


@pytest.mark.parametrize("address", ["", "example.test", "mailto:alice@example.test", "alice@exa mple"])
def test_address_without_a_user_is_an_operator_error(certificates: Certificates, address: str) -> None:
    with pytest.raises(OperatorError, match=r"alice@example\.com"):
        UserAgent(address, trust=certificates.trust)


@running
async def test_any_request_may_be_sent_with_any_from(certificates: Certificates) -> None:
    """For checks and attacks: the server decides about it."""
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        headers = [("p-asserted-identity", "<sip:mallory@example.test>"), ("content-type", "text/plain")]
        outcome = await alice.request("MESSAGE", "bob@example.test", headers, b"x", sender="carol@example.test")
        seen = await text(bob)
    assert (outcome.status, seen.sender, seen.identity) == (200, "sip:carol@example.test", "sip:mallory@example.test")


@on_loop
async def test_long_message_is_sent_after_a_login_and_registers_nothing(home: Network) -> None:
    """A server reads 16 KiB of a stranger. With a wrong password nothing is sent."""
    long = "x" * 20_000
    async with home:
        bob = await home.phone("bob", FE1)
        trust = Trust.of_pem(home.organisations[0].root.read_bytes())
        agent = UserAgent("alice@example.test", "alice-secret", trust=trust)
        liar = UserAgent("alice@example.test", "wrong", trust=trust)
        async with agent, liar:
            for each in (agent, liar):
                await each.connect(*home.address(FE1))
            sending = asyncio.create_task(agent.message("bob@example.test", long))
            came = await bob.request_in("MESSAGE")
            await bob.reply(came, 200)
            assert ((await sending).status, came.body) == (200, long.encode())
            assert (await liar.message("bob@example.test", long)).status in {401, 403}
            await bob.silent()
            assert home.nodes[FE1].registrations.count() == 1
