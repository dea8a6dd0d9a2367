"""Random acts of users, a partner, an application and a stranger, who tell each other all they see: no user becomes another.

What is checked is in `attacks.wires`. Beside it each rule of the model is switched off alone, and the machine has to notice. It
runs from source: a compiled build is of the same source, and cannot be changed while it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from attacks.wires import MARK, REALM, SPOKEN_FOR, Endpoint, World, build, rows_of
from sipmesh.cli.versions import built
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import SipmeshError
from sipmesh.routing.identity import assertion, response_policy
from sipmesh.routing.identity.border import Border
from sipmesh.routing.identity.dialog import to_flow
from sipmesh.routing.identity.dialog_token import FlowToken
from sipmesh.routing.identity.realm import Realms
from sipmesh.routing.identity.route_set import RouteSet
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.routing.identity.tokens import Tokens
from sipmesh.routing.outcome import Forward, Outcome, Prove
from sipmesh.routing.proxy import forwarding
from sipmesh.routing.roles import edge, front_end
from sipmesh.routing.roles.edge import EdgeFacts
from sipmesh.routing.roles.front_end import FrontEndFacts
from sipmesh.routing.target import Found, ServerTarget
from sipmesh.server.proxy.serving import admission
from sipmesh.sip.digest import Nonces
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, Response, build_request
from sipmesh.transport.reactor.event_loop import Loop
from sipmesh.trust.evidence import LinkKind
from support.network import BOT, EDGE, FE1, FE2
from support.tiers import wide_after

PEOPLE = ["alice", "bob", "carol", "boss"]
NAMES = [f"sip:{name}@{REALM}" for name in PEOPLE] + ["sip:erin@partner.test", f"sip:x@{SPOKEN_FOR}", "tel:+1"]
TARGETS = [*NAMES, f"sip:room@{BOT}", f"sip:x@{FE1}", "sip:x@evil.test", f"sip:{REALM}"]
METHODS = ["INVITE", "MESSAGE", "BYE", "INFO", "UPDATE", "ACK", "REFER", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REGISTER"]
EVENTS = ["sipmesh", "sipmesh-status", "presence", "presence", "presence"]
LENT = ["p-asserted-identity", "remote-party-id", "referred-by", "diversion", "p-preferred-identity", "history-info"]

pytestmark = pytest.mark.skipif(built() == "compiled", reason="rules cannot be switched off in a compiled build")


class Identity(RuleBasedStateMachine):
    """The acts. Everything that an attacker sees, all of them know."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        world = self.world
        world.begin()
        self.alice = world.client(FE1, "alice", honest=True, password="alice-secret")
        self.bob = world.client(FE2, "bob", honest=True, password="bob-secret")
        self.carol = world.client(FE2, "carol", honest=False, password="carol-secret")
        self.carol.honest = True  # until it has logged in
        for phone in (self.alice, self.bob, self.carol):
            self.register(phone)
        self.carol.honest = False
        self.attackers = [
            self.carol,
            world.client(FE1, "stranger", honest=False),
            world.server(EDGE, LinkKind.PARTNER, "sip.partner.test", "partner.test"),
            world.server(FE1, LinkKind.SERVER, BOT, SPOKEN_FOR),
        ]
        self.dialogs: list[tuple[Endpoint, Dialog]] = []
        self.rightful: list[tuple[Endpoint, Request]] = []  # requests inside them, as they were sent
        self.leaked = [f"sip:{world.nodes[FE1].tokens.flow(self.alice.wire.number, NAMES[0])}@{FE1};lr"]

    def teardown(self) -> None:
        self.world.end()

    def register(self, phone: Endpoint) -> None:
        self.ask(phone, "REGISTER", f"sip:{REALM}", f"sip:{phone.name}@{REALM}")
        flow: Any = phone.wire.flow
        assert flow.users == phone.principal.users

    def ask(self, sender: Endpoint, method: str, uri: str, to: str, *headers: tuple[str, str]) -> Request:
        """Send a request outside dialogs, as oneself."""
        number = next(self.world.marks)
        own = next(iter(sender.principal.users), f"sip:erin@{next(iter(sender.principal.domains), REALM)}")
        fixed = [("via", self.world.via()), ("max-forwards", "70"), ("from", f"<{own}>;tag=f{number}")]
        fixed += [("to", f"<{to}>"), ("call-id", f"c{number}"), ("cseq", f"{number} {method}")]
        request = build_request(method, uri, [*fixed, ("contact", sender.contact), *headers])
        sender.send(request)
        self.world.run()
        return request

    # What honest users do

    @rule(data=st.data())
    def call(self, data: st.DataObject) -> None:
        """A phone calls a user, and learns about the dialog from the answer."""
        caller = pick(data, [self.alice, self.bob, self.carol])
        to = pick(data, [*NAMES[:3], NAMES[4], f"sip:room@{BOT}"])
        self.begin(caller, to)

    def begin(self, caller: Endpoint, to: str) -> None:
        got: list[Response] = []
        with patch.object(self.world, "seen", side_effect=self._keeping(got)):
            invite = self.ask(caller, "INVITE", to, to)
            self.answer_all(200)
        for answer in got:
            if answer.call_id == invite.call_id and answer.cseq.method == "INVITE" and answer.status == 200:
                made = Dialog.of_caller(invite, answer)
                self.dialogs.append((caller, made))
                self.inside(caller, made, "ACK")
                return

    def _keeping(self, got: list[Response]) -> Callable[[Endpoint, Request | Response], None]:
        seen = World.seen

        def keep(at: Endpoint, message: Request | Response) -> None:
            seen(self.world, at, message)
            if isinstance(message, Response):
                got.append(message)

        return keep

    def answer_all(self, status: int) -> None:
        waiting, self.world.waiting = self.world.waiting, []
        for endpoint, request in waiting:
            endpoint.reply(request, status)
        self.world.run()

    def inside(self, sender: Endpoint, made: Dialog, method: str) -> Request:
        uri, routes = made.aim()
        rows = [("via", self.world.via()), ("max-forwards", "70"), *(("route", route) for route in routes)]
        rows += [("from", made.local), ("to", made.remote), ("call-id", made.call_id)]
        rows += [("cseq", f"{made.next_cseq(method)} {method}"), ("contact", sender.contact)]
        request = build_request(method, uri, rows)
        self.rightful.append((sender, request.copy()))
        sender.send(request)
        self.world.run()
        return request

    @precondition(lambda self: self.dialogs)
    @rule(data=st.data(), method=st.sampled_from(["INFO", "UPDATE", "MESSAGE"]))
    def go_on(self, data: st.DataObject, method: str) -> None:
        """A request inside a call by who began it: it has to arrive."""
        sender, made = pick(data, self.dialogs)
        request = self.inside(sender, made, method)
        assert self.world.arrived.get(request.first(MARK) or ""), f"{request!r} of {sender.name} did not arrive"

    @rule(to=st.sampled_from([*NAMES[:3], NAMES[4]]))
    def write(self, to: str) -> None:
        self.ask(self.alice, "MESSAGE", to, to)

    # What attackers do

    @rule(data=st.data())
    def as_oneself(self, data: st.DataObject) -> None:
        """Ask for anything in one's own name, with a field that says something else."""
        sender, method = pick(data, self.attackers), pick(data, ["MESSAGE", "MESSAGE", *METHODS])
        uri = pick(data, [*NAMES[:3], *NAMES[:3], *TARGETS])
        fields = [LENT[:1], pick(data, [LENT[:], LENT[1:]]), [pick(data, LENT)]]
        lent = [(name, f"<{pick(data, NAMES)}>") for name in pick(data, fields)]
        self.ask(sender, method, uri, pick(data, NAMES), *lent, ("event", pick(data, EVENTS)))

    @precondition(lambda self: self.dialogs)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Send a request of a call once more, on any link, with one thing changed."""
        owner, rightful = pick(data, self.rightful[-8:])
        asked: Request = rightful.copy()
        number = next(self.world.marks)
        changes: list[tuple[str, str]] = [
            ("subject", "nothing else"),
            *[("from", with_tag(f"<{pick(data, NAMES)}>", asked.from_.tag or ""))] * 3,
            ("to", with_tag(f"<{pick(data, NAMES)}>", asked.to.tag or "")),
            ("to", f"<{asked.to.uri}>"),
            ("call-id", f"c{number}"),
            (pick(data, LENT), f"<{pick(data, NAMES)}>"),
        ]
        asked.replace(*pick(data, changes))
        if pick(data, [False, False, False, True]):
            asked.set_uri(pick(data, TARGETS))
        asked.replace("cseq", f"{number} {asked.method}")
        asked.replace("via", self.world.via())
        pick(data, [owner] if owner is self.carol else self.attackers).send(asked)
        self.world.run()

    @precondition(lambda self: self.dialogs)
    @rule(data=st.data())
    def reuse(self, data: st.DataObject) -> None:
        """Send a new request by the route set of a call."""
        sets = [made.routes for _, made in self.dialogs]
        sets += [tuple(message.items("record-route")) for message in self.world.known if message.has("record-route")]
        sets += [routes[:1] for routes in sets] + [tuple(f"<{uri}>" for uri in self.leaked)]
        number, method = next(self.world.marks), pick(data, ["MESSAGE", "INVITE", "REFER"])
        rows = [("via", self.world.via()), ("max-forwards", "70")]
        rows += [("route", route) for route in pick(data, sets)]
        rows += [
            ("from", f"<{pick(data, NAMES)}>;tag=f{number}"),
            ("to", with_tag(f"<{NAMES[0]}>", pick(data, ["", "x"]))),
        ]
        rows += [("call-id", f"c{number}"), ("cseq", f"{number} {method}"), ("contact", self.carol.contact)]
        sender = pick(data, self.attackers)
        sender.send(build_request(method, pick(data, [*TARGETS, self.alice.contact[1:-1]]), rows))
        self.world.run()

    @precondition(lambda self: self.dialogs)
    @rule(data=st.data())
    def collide(self, data: st.DataObject) -> None:
        """Begin a dialog under the Call-ID and tag of a call of others, and go on in theirs."""
        owner, theirs = pick(data, self.dialogs)
        if owner is self.carol:
            return
        got: list[Response] = []
        to = pick(data, NAMES[:2])
        with patch.object(self.world, "seen", side_effect=self._keeping(got)):
            invite = self.carol_with(theirs, to)
        for answer in got:
            if answer.has("record-route") and answer.cseq == invite.cseq:
                made = Dialog.of_caller(invite, answer)
                made.remote = with_tag(f"<{to}>", NameAddr.parse(theirs.remote).tag or "")
                self.inside(self.carol, made, "UPDATE")
                return

    def carol_with(self, theirs: Dialog, to: str) -> Request:
        """An INVITE of carol's to a user, under identifiers of others."""
        number = next(self.world.marks)
        rows = [("via", self.world.via()), ("max-forwards", "70"), ("to", f"<{to}>"), ("call-id", theirs.call_id)]
        rows += [
            ("from", with_tag(f"<{NAMES[2]}>", NameAddr.parse(theirs.local).tag or "")),
            ("cseq", f"{number} INVITE"),
        ]
        invite = build_request("INVITE", to, [*rows, ("contact", self.carol.contact)])
        self.carol.send(invite)
        self.world.run()
        return invite

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        """A phone proves itself on a new link, by a request to an attacker; its answer may be taken before it arrives."""
        phone = self.world.client(FE1, "alice", honest=True, password="alice-secret")
        phone.loses = pick(data, [True, False])
        to = pick(data, ["sip:carol@example.test", "sip:erin@partner.test", f"sip:room@{BOT}"])
        self.ask(phone, "MESSAGE", to, to)
        self.log_in_by(data)

    @rule(data=st.data())
    def twist(self, data: st.DataObject) -> None:
        """Send a request that was seen, or one's own, with some of it exchanged for what else is known."""
        self.attack(lambda options: pick(data, options))

    def attack(self, draw: Callable[[list[Any]], Any]) -> None:
        world, sender = self.world, draw([*self.attackers])
        seen = [message for message in world.known if isinstance(message, Request)]
        seen += [made for _, made in world.injected.values() if isinstance(made, Request)]
        base: Request = draw(seen[-30:]).copy()
        method = draw([base.method, draw(METHODS)])
        number = next(world.marks)
        sends = [base.from_.uri, *NAMES]
        tags = [base.from_.tag or "x", base.to.tag or "x", f"n{number}", ""]
        routes = [tuple(base.items("route")), (), tuple(reversed(base.items("record-route"))), tuple(self.leaked)]
        routes += [tuple(message.items("record-route")) for message in world.known[-6:]]
        request = build_request(
            method,
            draw([base.uri, draw(TARGETS)]),
            [
                ("via", world.via()),
                ("max-forwards", "70"),
                *(("route", value if value.startswith("<") else f"<{value}>") for value in draw(routes)),
                ("from", f"<{draw(sends)}>;tag={draw(tags[:3])}"),
                ("to", with_tag(f"<{draw([base.to.uri, base.from_.uri, draw(NAMES)])}>", draw(tags))),
                ("call-id", draw([base.call_id, f"c{number}"])),
                ("cseq", f"{number} {method}"),
                ("contact", draw([sender.contact, f"<sip:x@{BOT}>"])),
                *self.beside(draw),
            ],
        )
        try:
            sender.send(request)
        except SipmeshError:
            return
        world.run()

    def beside(self, draw: Callable[[list[Any]], Any]) -> list[tuple[str, str]]:
        """Fields that lend an identity, prove one, or speak of the network itself; mostly none."""
        kind = draw(["", "", "lent", "proof", "event"])
        if kind == "lent":
            return [(draw(LENT), f"<{draw(NAMES)}>")]
        if kind == "proof" and self.world.proofs:
            return [(name, draw(self.world.proofs)[1]) for name in ("authorization", "proxy-authorization")]
        return [("event", draw(["sipmesh", "sipmesh-status", "presence"]))] if kind == "event" else []

    def log_in_by(self, data: st.DataObject) -> None:
        """Use what a phone has proved with, or would have, on another link."""
        if self.world.proofs:
            _, made = pick(data, self.world.proofs[-3:])
            sender = pick(data, self.attackers[:2])
            self.pose(sender, made)

    def pose(self, sender: Endpoint, made: str) -> None:
        """Register or write as the user of a proof, with its request line."""
        user, uri = (made.partition(f'{part}="')[2].partition('"')[0] for part in ("username", "uri"))
        for method in ("REGISTER", "MESSAGE", "INVITE"):
            who = f"sip:{user}@{REALM}"
            number = next(self.world.marks)
            rows = [("via", self.world.via()), ("max-forwards", "70"), ("from", f"<{who}>;tag=f{number}")]
            rows += [("to", f"<{who}>"), ("call-id", f"c{number}"), ("cseq", f"{number} {method}")]
            field = "authorization" if method == "REGISTER" else "proxy-authorization"
            sender.send(build_request(method, uri, [*rows, ("contact", sender.contact), (field, made)]))
            self.world.run()

    @precondition(lambda self: self.world.waiting)
    @rule(data=st.data())
    def answer_falsely(self, data: st.DataObject) -> None:
        """Answer a request with a challenge of ours, another identity, or as if it were another request."""
        endpoint, request = self.world.waiting.pop()
        status = pick(data, [180, 200, 401, 407, 486])
        stolen = [f'Digest realm="{REALM}", nonce="n", qop="auth"', *rows_of(self.world.known, "www-authenticate")]
        challenge = pick(data, stolen)
        lent = (pick(data, LENT), f"<{pick(data, NAMES)}>")
        field = "proxy-authenticate" if status == 407 else "www-authenticate"
        forged = request.copy()
        if pick(data, [True, False]):
            forged.replace("from", f"<{pick(data, NAMES)}>;tag={request.from_.tag}")
            forged.replace("to", f"<{pick(data, NAMES)}>")
        others = [message for message in self.world.known if isinstance(message, Request) and message is not request]
        if others and pick(data, [True, False]):
            mine, theirs = request.items("via"), pick(data, others).items("via")
            forged.remove("via")
            for via in reversed([mine[0], *theirs[1:]]):
                forged.prepend("via", via)
        endpoint.reply(forged, status, ((field, challenge), lent))
        self.world.run()

    @rule(to=st.sampled_from(["sip:carol@example.test", "sip:erin@partner.test", f"sip:room@{BOT}"]))
    def rob(self, to: str) -> None:
        """Alice writes to an attacker, who asks for her password with a challenge that a stranger was given."""
        asked = self.ask(self.attackers[1], "REGISTER", f"sip:{REALM}", NAMES[0])
        stolen = [value for value in rows_of(self.world.known, "www-authenticate") if REALM in value]
        sent = self.ask(self.alice, "MESSAGE", to, to)
        for endpoint, request in self.world.waiting:
            if stolen and request.call_id == sent.call_id:
                endpoint.reply(request, 401, (("www-authenticate", stolen[-1]),))
        self.world.run()
        assert asked.method == "REGISTER"
        for made in [*rows_of(self.world.known, "authorization", "proxy-authorization")]:
            self.pose(self.attackers[1], made)


def pick(data: st.DataObject, options: list[Any]) -> Any:
    """Choose one of *options*; how many there are may differ from run to run, what is drawn may not."""
    return options[data.draw(st.integers(0, 2**16 - 1)) % len(options)]


def with_tag(address: str, tag: str) -> str:
    return f"{address};tag={tag}" if tag else address


@pytest.fixture(name="example", scope="module")
def _example(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return build(tmp_path_factory.mktemp("wires"))[0]


def play(example: Organisation, examples: int, steps: int = 30, chosen: int | None = None) -> None:
    """Run the machine on the servers of *example*; *chosen* is the seed of its acts, None for that of Hypothesis."""

    class Chosen(Identity):
        """The machine under that seed."""

    async def main() -> None:
        Identity.world = World(example)
        run_state_machine_as_test(
            Identity if chosen is None else seed(chosen)(Chosen),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                derandomize=True,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("examples", wide_after(1, [10, 40]))
def test_no_user_becomes_another_user(example: Organisation, examples: int) -> None:
    play(example, examples)


# Each rule off alone


def bind_to_any_dialog(place: RouteSet, request: Request, tokens: Tokens) -> None:
    """A token as it was once: it names two sides, and says nothing of a dialog."""
    if place.dialog is not None:
        place.from_a = place.sent_as = place.sent_to = True
        place.sent_as = tokens.name_hash(request.from_.aor) == place.dialog.begun.caller


def bound_but(**told: bool) -> Callable[[RouteSet, Request, Tokens], None]:
    """A token of its dialog, whose names are not recorded."""
    bind = RouteSet.bind

    def loosely(place: RouteSet, request: Request, tokens: Tokens) -> None:
        bind(place, request, tokens)
        for name, value in told.items():
            setattr(place, name, value)

    return loosely


def of_anybody(request: Request, sender: ClientSender, _domains: frozenset[str]) -> str | Prove:
    return request.from_.aor if sender.users else Prove(request.from_.aor, 407)


def mac_of_no_link(nonces: Nonces, made: bytes, _link: int) -> bytes:
    return MAC(nonces, made, 0)


def anywhere(request: Request, facts: EdgeFacts) -> Forward:
    return Forward((ServerTarget(tuple(facts.next_hop), LinkKind.SERVER, request.uri),), None)


def to_any_flow(request: Request, flow: FlowToken, _sender: Sender, facts: FrontEndFacts) -> Outcome:
    return to_flow(request, flow.side, facts.incarnation, Found.TOKEN)


def nothing(*_: object, **__: object) -> None:
    pass


def yes(*_: object, **__: object) -> bool:
    return True


def no(*_: object, **__: object) -> bool:
    return False


def from_of(request: Request, _sender: object, _allowed: object) -> str:
    return request.from_.aor


MAC = Nonces._mac
OFF: dict[str, list[tuple[Any, str, Any]]] = {
    "a client is held to the users it has proved": [(assertion, "of_client", of_anybody)],
    "a server is held to the domains of its From": [(assertion, "by_from", from_of)],
    "a server asserts only what it may": [(assertion, "refused_assertion", nothing)],
    "P-Asserted-Identity is made by us": [(forwarding, "assert_identity", nothing)],
    "P-Asserted-Identity of a response is held to its sender": [(response_policy, "remove_foreign_assertion", nothing)],
    "a nonce is of one link": [(Nonces, "_mac", mac_of_no_link)],
    "a challenge is its owner's": [(Realms, "challenge_passes", yes)],
    "credentials go to the owner of the realm": [(Realms, "credentials_pass", yes)],
    "a token is of one dialog": [(RouteSet, "bind", bind_to_any_dialog)],
    "a token is of the dialog that was answered": [(RouteSet, "_hold_answered", nothing)],
    "a token is of its two sides": [(ClientSender, "is_side", yes), (ServerSender, "is_side", yes)],
    "From is the name of its side": [(RouteSet, "bind", bound_but(sent_as=True))],
    "To is the name of the other side": [(RouteSet, "bind", bound_but(sent_to=True))],
    "nothing is in a dialog without its token": [(front_end, "unbound", nothing), (edge, "unbound", nothing)],
    "a flow is named by its own pool": [(front_end, "to_own_flow", to_any_flow)],
    "a partner reaches users alone": [(edge, "inwards", anywhere), (front_end, "may_leave", yes)],
    "fields of a request cross the border by the table": [(Border, "admit_request", nothing)],
    "fields of a response cross the border by the table": [(Border, "admit_response", nothing)],
    "a response repeats its request": [(response_policy, "repeats", yes)],
    "the network's own events are of its servers": [(admission, "names_package", no)],
}


FOUND_SOON: dict[str, int] = {
    "To is the name of the other side": 28,
    "nothing is in a dialog without its token": 1,
    "a server is held to the domains of its From": 21,
    "a server asserts only what it may": 4,
    "a flow is named by its own pool": 0,
    "a partner reaches users alone": 28,
    "P-Asserted-Identity of a response is held to its sender": 4,
    "a nonce is of one link": 4,
    "From is the name of its side": 1,
    "a challenge is its owner's": 0,
}
"""Seeds under which the machine notices within a few examples that a rule is off; otherwise the long search goes on.

``python -m attacks.identity_seeds`` finds them again.
"""

SOON, LONG = 12, 800
"""So many examples are tried under the seed of a rule, and in the long search."""


@pytest.mark.wide
@pytest.mark.parametrize("rule", OFF)
def test_machine_notices_a_rule_that_is_switched_off(example: Organisation, rule: str) -> None:
    with ExitStack() as stack:
        for where, name, instead in OFF[rule]:
            stack.enter_context(patch.object(where, name, instead))
        assert (rule in FOUND_SOON and noticed(example, SOON, FOUND_SOON[rule])) or noticed(example, LONG)


def noticed(example: Organisation, examples: int, chosen: int | None = None) -> bool:
    """Tell whether a user became another user within so many examples; no other failure counts."""
    try:
        play(example, examples, chosen=chosen)
    except BaseException:
        if not Identity.world.broken:
            raise
        return True
    return False
