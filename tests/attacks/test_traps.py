"""Traps into which other servers have fallen, each met here on real links; each refusal with a control.

Named after what was seen: in repro, sofia-sip, Flexisip, OpenSIPS, Kamailio, Synapse, SPIRE and go-spiffe.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer

from attacks.mutants import ACCEPTED, DAY, DOORS, OTHER, REVOKED, Attempt, Row, Stage, staged
from sipmesh.cli.app import app
from sipmesh.client.dialog import Dialog
from sipmesh.demo.attacker import PROBE, knock
from sipmesh.demo.decoy import Decoy
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.impostors import AttackedListener, front_end, named, other_edge, partner_edge
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST
from sipmesh.errors import OperatorError
from sipmesh.sip.message import Request
from sipmesh.topology.document.schema import schema
from sipmesh.transport.hop import Hop
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.judgement.explain import explain
from support.network import BOT, EDGE, EDGES, EXAMPLE, FE1, FE2, PARTNER_EDGES, Network
from support.peer import Peer
from support.process import serving
from support.running import on_loop, until
from support.tiers import wide_after

SOURCES = Path(__file__).parents[2] / "src" / "sipmesh"
TWIN = ACCEPTED
PARTNERS_PORT, SERVER_PORT = DOORS[AttackedListener.PARTNER], DOORS[AttackedListener.SERVER]


@pytest.fixture(name="stage")
def _stage(example_model: Organisation, partner_model: Organisation, tmp_path: Path) -> Stage:
    """The network of the demo with further partners; its files may be spoilt."""
    return Stage(*staged(example_model, partner_model, tmp_path))


async def both(
    stage: Stage, shows: Attempt, twin: Attempt, door: tuple[str, LinkKind] = PARTNERS_PORT
) -> tuple[str, str]:
    """The results of an impostor and of its control, at the same port."""
    row = Row("a trap", shows, "", twin, door)
    return await stage.attempt(row, "impostor"), await stage.attempt(row, "twin")


def partners(*names: str, **changes: Any) -> Attempt:
    """Credentials by the CA of partner.test."""
    return lambda stage: stage.cast.forge.server(stage.cast.partner, *names, **changes)


RIGHTFUL_PARTNER = partners(PARTNER_EDGES)


def rightful_other(stage: Stage) -> Forged | None:
    return other_edge()(stage.cast)


def rightful_front_end(stage: Stage) -> Forged | None:
    return front_end()(stage.cast)


# T1 to T3, T11: which names of a certificate count


@pytest.mark.parametrize(
    "uri", ["https://partner.test", "sip:erin@partner.test", "sips:partner.test", "im:partner.test"]
)
@on_loop
async def test_t1_a_uri_of_something_else_does_not_vouch_for_its_domain(stage: Stage, uri: str) -> None:
    async with stage.network:
        came = await both(stage, partners(uris=(uri,)), partners(uris=("sip:partner.test",)))
        assert came == ("no-sip-identity", TWIN)


@on_loop
async def test_t2_a_dns_name_does_not_count_beside_a_sip_uri(stage: Stage) -> None:
    """RFC 5922 7.1: only where there is no SIP URI."""
    beside = partners(dns=(PARTNER_EDGES,), uris=("sip:nobody.test",))
    async with stage.network:
        assert await both(stage, beside, partners(dns=(PARTNER_EDGES,))) == ("partner-unknown", TWIN)


@pytest.mark.parametrize(("names", "code"), [((), "no-sip-identity"), (("nobody.test",), "partner-unknown")])
@on_loop
async def test_t3_the_common_name_never_counts(stage: Stage, names: tuple[str, ...], code: str) -> None:
    posing = partners(*names, common_name=PARTNER_EDGES)
    async with stage.network:
        assert await both(stage, posing, partners(PARTNER_EDGES, common_name="anything")) == (code, TWIN)


NO_NAMES = (
    *("sip:", "sip:[", "sip:[::1", "sip:%zz", "sip:a:b:c", "sip:partner.test:x", "sip:partner.test:", "sip:@"),
    *("sip:;lr", ":", "", "sip:partner.test\x00.evil.test", "sip:partner.test\r\n", "sip:" + "a" * 5000),
)


@on_loop
async def test_t11_a_malformed_uri_is_no_name_and_no_accident(stage: Stage) -> None:
    """Beside a good one it changes nothing."""
    async with stage.network:
        for uri in NO_NAMES:
            came = await both(stage, partners(uris=(uri,)), partners(uris=(uri, "sip:partner.test")))
            assert (uri, *came) == (uri, "no-sip-identity", TWIN)


# T4, T5, T13, T14: what is missing, unreadable or revoked


@on_loop
async def test_t4_an_empty_list_of_partners_accepts_no_partner(stage: Stage) -> None:
    example = stage.network.organisations[0]
    async with stage.network as network:
        row = Row("a partner", RIGHTFUL_PARTNER, "", RIGHTFUL_PARTNER, PARTNERS_PORT)
        assert await stage.attempt(row, "twin") == TWIN
        example.federate(EDGES, [])
        example.write()
        network.nodes[EDGE].put_in_force(example.load())
        assert await stage.attempt(row, "impostor") == "untrusted-issuer"


@on_loop
async def test_t4_an_application_without_a_next_hop_is_accepted_nowhere(stage: Stage) -> None:
    """A server of the topology that no line of the table of links lets in: there is no rule for 'all servers of ours'."""
    application = Row("an application", lambda s: named(BOT)(s.cast), "", lambda s: named(BOT)(s.cast))
    edge = replace(application, door=DOORS[AttackedListener.INSIDE])
    async with stage.network:
        assert await stage.attempt(application, "twin") == TWIN
        assert await stage.attempt(edge, "impostor") == "role-not-allowed"


def gone(_stage: Stage, file: Path) -> None:
    file.unlink()


def empty(_stage: Stage, file: Path) -> None:
    file.write_bytes(b"")


def no_list_at_all(_stage: Stage, file: Path) -> None:
    file.write_bytes(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")


def past_its_end(stage: Stage, file: Path) -> None:
    file.write_bytes(stage.cast.forge.revocations(stage.cast.other, begins=-2 * DAY, ends=-DAY))


def of_another_ca(stage: Stage, file: Path) -> None:
    file.write_bytes(stage.cast.forge.revocations(stage.cast.stranger))


def by_another_key(stage: Stage, file: Path) -> None:
    file.write_bytes(stage.cast.forge.revocations(stage.cast.other, key=stage.cast.stranger.key))


@pytest.mark.parametrize("spoil", [gone, empty, no_list_at_all, past_its_end, of_another_ca, by_another_key])
@on_loop
async def test_t5_a_crl_that_cannot_be_relied_on_refuses(
    stage: Stage, tmp_path: Path, spoil: Callable[[Stage, Path], None]
) -> None:
    """The others go on: partner.test has lists of its own."""
    spoil(stage, tmp_path / OTHER / "issuing.crl")
    async with stage.network:
        assert await both(stage, rightful_other, RIGHTFUL_PARTNER) == ("revocation-unknown", TWIN)


@on_loop
async def test_t13_a_reload_that_fails_keeps_what_is_in_force_and_says_so(stage: Stage) -> None:
    """As an operator has it: a process, its control socket, its log."""
    example = stage.network.organisations[0]
    credentials = rightful_front_end(stage)
    async with serving(example, FE1) as process:
        certificate = example.folder / "servers" / f"{FE1}.pem"
        good = certificate.read_bytes()
        certificate.write_bytes(b"not a certificate")
        said = await process.ask("reload")
        assert str(certificate) in " ".join(said["kept"])
        assert "new certificate rejected: the old certificate stays in use" in process.log
        address = example.address(FE1, LinkKind.SERVER)
        assert (await asyncio.to_thread(knock, address, credentials, name=FE1, domain=EXAMPLE)).served
        certificate.write_bytes(good)
        assert "kept" not in await process.ask("reload")


@on_loop
async def test_t13_a_new_anchor_that_cannot_be_read_leaves_the_old_one(stage: Stage, tmp_path: Path) -> None:
    example = stage.network.organisations[0]
    async with stage.network as network:
        (tmp_path / OTHER / "root.pem").write_bytes(b"nonsense")
        with pytest.raises(OperatorError) as refused:
            network.nodes[EDGE].put_in_force(example.load())
        assert [problem for problem in refused.value.problems if "root.pem" in str(problem)]
        came = await both(stage, partners(OTHER), rightful_other)
        assert came == ("issuer-not-for-this-name", TWIN)


@on_loop
async def test_t14_a_revoked_intermediate_blocks_what_it_issued(stage: Stage, tmp_path: Path) -> None:
    """Though the peer sends the chain, and the leaf is on no list."""
    example, other = stage.network.organisations[0], stage.cast.other
    async with stage.network as network:
        assert (await both(stage, rightful_other, rightful_other))[1] == TWIN
        assert other.issuer is not None
        (tmp_path / OTHER / "root.crl").write_bytes(stage.cast.forge.revocations(other.issuer, [other]))
        network.nodes[EDGE].put_in_force(example.load())
        assert await both(stage, rightful_other, RIGHTFUL_PARTNER) == ("revoked", TWIN)


# T6, T7, T12: what messages say, against what the link has proved


@pytest.mark.parametrize("method", wide_after(3, ["ACK", "BYE", "CANCEL", "UPDATE", "INVITE", "PRACK"]))
@on_loop
async def test_t6_no_method_gets_past_the_judge(stage: Stage, method: str) -> None:
    """With a To tag, as if inside a call: the link is refused before a byte of it is read."""
    probe = PROBE.format(host=FE1, local="127.0.0.1:1", port=1, domain=EXAMPLE)
    inside = probe.replace("OPTIONS", method).replace(f"To: <sip:{FE1}>", f"To: <sip:{FE1}>;tag=inside")
    message = (inside + probe).encode()  # an ACK has no answer
    address = stage.network.address(*SERVER_PORT)
    async with stage.network as network:
        for credentials, served in ((named("fe9.example.test"), False), (front_end(), True)):
            shown = credentials(stage.cast)
            came = await asyncio.to_thread(knock, address, shown, name=FE1, domain=EXAMPLE, message=message)
            assert came.served is served
        assert [verdict.code for verdict in network.nodes[FE1].gatekeeper.refused()] == [Code.NOT_IN_TOPOLOGY]


@pytest.mark.parametrize("method", ["BYE", "UPDATE", "INVITE", "MESSAGE"])
@on_loop
async def test_t6_inside_a_call_only_its_two_sides_are_accepted(pool: Network, method: str) -> None:
    """Everything is right but the link: tags, Call-ID, Route with its tokens. Carol is asked for the password of alice."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        await bob.reply(await bob.request_in("INVITE"), 200)
        dialog = Dialog.of_caller(invite, await alice.final())
        carol = await pool.phone("carol", FE1)
        assert (await carol.ask(within(carol, dialog, invite, method))).status == 407
        await bob.silent()
        await alice.send(within(alice, dialog, invite, method))
        await bob.reply(await bob.request_in(method), 200)
        assert (await alice.final(method=method)).status == 200


def within(peer: Peer, dialog: Dialog, invite: Request, method: str) -> Request:
    """A request inside the call that *invite* began."""
    who, to = invite.first("from"), dialog.remote
    routes = [("route", ", ".join(dialog.routes))]
    return peer.request(method, dialog.target, routes, sender=who, to=to, call_id=dialog.call_id, cseq=9)


@on_loop
async def test_t6_a_cancel_from_another_link_takes_back_nothing(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        await bob.reply(await bob.request_in("INVITE"), 180)
        carol = await pool.phone("carol", FE1)
        taken = carol.request("CANCEL", "sip:bob@example.test", call_id=invite.call_id, cseq=invite.cseq.number)
        taken.replace("via", invite.first("via") or "")
        assert (await carol.ask(taken)).status == 481
        await bob.silent()
        taken.replace("from", invite.first("from") or "")
        await alice.send(taken)
        await bob.request_in("CANCEL")


@pytest.mark.parametrize("via", [f"{FE2}:5062", f"{FE2};received=127.0.0.1", f"{EDGE};maddr={FE2}"])
@on_loop
async def test_t7_a_via_is_nobodys_identity(pool: Network, via: str) -> None:
    """A client that writes the name of a server of ours into its Via is still a client that has not logged in."""
    claims = [("p-asserted-identity", "<sip:bob@example.test>")]
    async with pool:
        alice = await pool.phone("alice", FE1)
        stranger, server = await pool.peer(FE1, "bob"), await pool.peer(FE1, "bob", FE2)
        for peer in (stranger, server):
            message = peer.request("MESSAGE", "sip:alice@example.test", claims)
            message.replace("via", f"SIP/2.0/TLS {via};branch=z9hG4bK-{peer.tag}")
            await peer.send(message)
        assert (await stranger.final()).status in {401, 407}
        await alice.reply(await alice.request_in("MESSAGE"), 200)
        assert (await server.final()).status == 200
        await alice.silent()


@on_loop
async def test_t12_a_sips_request_goes_to_no_sip_contact(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        assert (await alice.ask(alice.request("MESSAGE", "sips:bob@example.test"))).status == 480
        await bob.silent()
        bob.contact = bob.contact.replace("sip:", "sips:").replace(";transport=tls", "")
        assert (await bob.register()).status == 200
        await alice.send(alice.request("MESSAGE", "sips:bob@example.test"))
        came = await bob.request_in("MESSAGE")
        assert came.ruri.scheme == "sips"
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


# T8 to T10: links


@on_loop
async def test_t8_a_link_is_used_again_for_the_identity_it_proved_and_no_other(stage: Stage, tmp_path: Path) -> None:
    """Neither for a name that did not count, nor for another partner at the same address."""
    credentials = stage.cast.forge.server(stage.cast.partner, PARTNER_EDGES, "nobody.test").write(tmp_path, "partner")
    where = stage.network.address(*PARTNERS_PORT)
    async with stage.network as network, await Peer.open(where, "erin@partner.test", credentials) as peer:
        await peer.silent()
        node = network.nodes[EDGE]
        (link,) = node.pool.all()
        assert to(stage, PARTNER_EDGES) is link
        for name in (OTHER, "nobody.test"):
            another = to(stage, name)
            assert another is not link
            await until(partial(closed, another))
        assert to(stage, PARTNER_EDGES, LinkKind.SERVER) is not link


def closed(link: Link) -> bool:
    return link.state is LinkState.CLOSED


def answered_or_closed(link: Link) -> bool:
    return link.messages_in > 0 or closed(link)


def to(stage: Stage, name: str, kind: LinkKind = LinkKind.PARTNER) -> Link:
    """The link on which our edge would send to *name*; if it has to be opened, no server is there."""
    return stage.network.nodes[EDGE].pool.obtain(Hop(name, kind, (("127.0.0.1", 1),)))


@pytest.mark.parametrize("sni", wide_after(3, [FE1, EDGE, EDGES, EXAMPLE, PARTNER_EDGES, "nobody.test"]))
@on_loop
async def test_t9_the_name_that_a_peer_asks_for_selects_nothing(stage: Stage, sni: str) -> None:
    """Not the anchors, not the certificate shown: what a connection is follows from the port alone."""
    address = stage.network.address(*SERVER_PORT)
    async with stage.network as network:
        for credentials, served in ((partner_edge(), False), (front_end(), True)):
            came = await asyncio.to_thread(knock, address, credentials(stage.cast), name=sni, domain=EXAMPLE)
            assert came.served is served
        assert [verdict.code for verdict in network.nodes[FE1].gatekeeper.refused()] == [Code.ROLE_NOT_ALLOWED]
        assert [verdict.tls.sni for verdict in network.nodes[FE1].gatekeeper.refused()] == [sni]


@dataclass
class Visitor:
    """A client that would like to resume its session, with the standard library's TLS."""

    address: tuple[str, int]
    context: ssl.SSLContext
    session: ssl.SSLSession | None = None
    resumed: bool | None = None

    @classmethod
    def at(cls, address: tuple[str, int], credentials: tuple[Path, Path] | None, version: ssl.TLSVersion) -> Visitor:
        """Speak *version* and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        if credentials is not None:
            context.load_cert_chain(*credentials)
        return cls(address, context)

    def come(self) -> str:
        """Connect, with the last session if there is one; returns the answer to an OPTIONS, nothing if there is none."""
        with socket.create_connection(self.address, 5) as raw:
            try:
                with self.context.wrap_socket(raw, server_hostname=FE1, session=self.session) as tls:
                    tls.sendall(PROBE.format(host=FE1, local="127.0.0.1:1", port=1, domain=EXAMPLE).encode())
                    answer = tls.recv(65_536).partition(b"\r\n")[0].decode()
                    self.session, self.resumed = tls.session, tls.session_reused
            except (ssl.SSLError, OSError):
                return ""
        return answer


@asynccontextmanager
async def another_server(credentials: tuple[Path, Path]) -> AsyncIterator[tuple[str, int]]:
    """The standard library's TLS server, which answers anything."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n")
        writer.write(b"here\r\n")
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*credentials)
    server = await asyncio.start_server(answer, HOST, 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()


TLS_VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@TLS_VERSIONS
@on_loop
async def test_t10_no_session_is_resumed_on_any_port(stage: Stage, tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Neither a server's nor a phone's; another server, which gives out tickets, resumes that of the same visitor."""
    credentials = stage.cast.forge.server(stage.cast.ours, FE2).write(tmp_path, "fe2")
    server = Visitor.at(stage.network.address(*SERVER_PORT), credentials, version)
    client = Visitor.at(stage.network.address(FE1, LinkKind.CLIENT), None, version)
    async with stage.network, another_server(credentials) as address:
        other = Visitor.at(address, None, version)
        for visitor, resumed in ((server, False), (client, False), (other, True)):
            assert [await asyncio.to_thread(visitor.come) != "" for _ in range(2)] == [True, True]
            assert visitor.resumed is resumed


@TLS_VERSIONS
@on_loop
async def test_t10_a_session_cannot_bring_back_a_peer_revoked_since(
    stage: Stage, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    example, forge, other = stage.network.organisations[0], stage.cast.forge, stage.cast.other
    sound, revoked = (forge.server(other, OTHER).write(tmp_path, "sound"), forge.server(other, OTHER, serial=0xB0B))
    where = stage.network.address(*PARTNERS_PORT)
    visitors = [Visitor.at(where, credentials, version) for credentials in (sound, revoked.write(tmp_path, "revoked"))]
    async with stage.network as network:
        assert all([await asyncio.to_thread(visitor.come) for visitor in visitors])
        (tmp_path / OTHER / "issuing.crl").write_bytes(forge.revocations(other, [revoked, REVOKED]))
        network.nodes[EDGE].put_in_force(example.load())
        assert [await asyncio.to_thread(visitor.come) != "" for visitor in visitors] == [True, False]
        assert next(iter(network.nodes[EDGE].gatekeeper.refused())).code is Code.REVOKED


# T15 to T18: certificates, switches, authorities, clocks


@pytest.mark.parametrize("change", [{"ca": True}, {"cert_sign": True}])
@on_loop
async def test_t15_a_leaf_that_may_issue_is_no_leaf(stage: Stage, change: dict[str, bool]) -> None:
    async with stage.network:
        came = await both(stage, lambda s: front_end(**change)(s.cast), rightful_front_end, SERVER_PORT)
        assert came == ("not-a-leaf", TWIN)


NO_VERIFICATION = re.compile(r"CERT_NONE|CERT_OPTIONAL|VERIFY_NONE|check_hostname|_create_unverified|\*_: True")


def test_t16_no_line_of_ours_switches_verification_off() -> None:
    """But for the demo's decoy, which plays the villain; a client port asks for no certificate, so there is none to check.

    The console and the ports of metrics accept a client without a certificate, which logs in by other means, and verify each that
    is presented. The
    certificate of tls-alpn-01 is signed by itself; its digest of the account's key is what counts.
    """
    found = {
        (path.relative_to(SOURCES).as_posix(), line.strip())
        for path in SOURCES.rglob("*.py")
        for line in path.read_text().splitlines()
        if NO_VERIFICATION.search(line)
    }
    assert found == {
        (
            "demo/decoy.py",
            "context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)",
        ),
        ("server/console/console_server.py", "context.verify_mode = ssl.CERT_OPTIONAL"),
        ("server/console/operators_only.py", "context.verify_mode = ssl.CERT_OPTIONAL"),
        (
            "server/enrolment/acme/challenges.py",
            "context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the certificate is its own (RFC 8737 3)",
        ),
    }


ENVIRONMENT = re.compile(r"os\.environ|getenv")
SWITCH = re.compile(
    r"verif|insecure|unsafe|skip|trust_all|allow_any|no_check|check_|strict|regex|pattern", re.IGNORECASE
)


def test_t16_no_setting_and_no_option_does_either() -> None:
    """Of what an operator can write or type: `client_usage` widens one usage of one partner, and no other option does."""
    words = {*properties(schema()), *options(typer.main.get_command(app))}
    assert {"client_usage", "blocked", "--topology"} <= words
    assert not [word for word in words if SWITCH.search(word)]


def test_t16_nothing_is_taken_from_the_environment() -> None:
    """But where the passphrase of our own keys lies, and our password for the store of registrations: they log in no client.

    The demo and a supervisor hand their environment to the processes that they start, and systemd names its socket there.
    """
    found = {
        path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py") if ENVIRONMENT.search(path.read_text())
    }
    assert found == {
        *("pki/keys/passphrase.py", "storage/location_service/valkey/settings.py"),
        *("demo/forkserver.py", "server/workers/worker_template.py", "server/process/service_manager.py"),
        "pki/tokens/pin.py",  # where the PIN of a token lies
        "topology/third_party/system_roots.py",  # the bundle of roots, from which presets take those with a known digest
        "cli/serving.py",  # the file of the topology, as the option of all commands
    }
    read = re.findall(
        r"^\w*(?:VARIABLE|DIRECTORY): Final = \"(.+)\"$", (SOURCES / "pki/keys/passphrase.py").read_text(), re.MULTILINE
    )
    assert read == ["SIPMESH_KEY_PASSPHRASE_FILE", "CREDENTIALS_DIRECTORY"]


def properties(value: object) -> set[str]:
    """Every key that a document may have."""
    if isinstance(value, list):
        return set().union(*map(properties, value))
    if not isinstance(value, dict):
        return set()
    return set(value.get("properties", ())).union(*map(properties, value.values()))


def options(command: Any) -> set[str]:
    """Every option of a command and of those below it."""
    own = {word for parameter in command.params for word in parameter.opts if word.startswith("-")}
    below = getattr(command, "commands", {})
    context = typer.Context(command)
    return own.union(*(options(command.get_command(context, name)) for name in below))


@pytest.mark.parametrize(
    ("name", "door", "twin"),
    [
        (OTHER, PARTNERS_PORT, rightful_other),
        (FE2, SERVER_PORT, rightful_front_end),
        (EDGE, SERVER_PORT, lambda s: named(EDGE)(s.cast)),
    ],
)
@on_loop
async def test_t17_a_partners_ca_is_accepted_under_no_name_of_others(
    stage: Stage, name: str, door: tuple[str, LinkKind], twin: Attempt
) -> None:
    async with stage.network:
        assert await both(stage, partners(name), twin, door) == ("issuer-not-for-this-name", TWIN)


@pytest.mark.parametrize(
    ("meant", "kind", "twin"), [(OTHER, LinkKind.PARTNER, rightful_other), (FE2, LinkKind.SERVER, rightful_front_end)]
)
@on_loop
async def test_t17_nor_does_it_catch_what_we_send_there(
    stage: Stage, meant: str, kind: LinkKind, twin: Attempt
) -> None:
    async with stage.network as network:
        node = network.nodes[EDGE]
        for credentials, wanted in ((partners(meant), "issuer-not-for-this-name"), (twin, ACCEPTED)):
            shown = credentials(stage)
            assert shown is not None
            node.connector.forget_failures()
            with Decoy(shown) as decoy:
                link = node.pool.obtain(Hop(meant, kind, (decoy.address,)))
                link.send(PROBE.format(host=meant, local="127.0.0.1:1", port=1, domain=EXAMPLE).encode())
                await until(partial(answered_or_closed, link))
                assert decoy.received == (wanted == ACCEPTED)
                link.close("the end of the test")
        assert [verdict.code for verdict in node.gatekeeper.refused()] == ["issuer-not-for-this-name"]


@pytest.mark.parametrize(("shift", "code"), [(timedelta(hours=-2), "expired"), (timedelta(hours=2), "not-yet-valid")])
@on_loop
async def test_t18_where_clocks_disagree_both_are_shown(stage: Stage, shift: timedelta, code: str) -> None:
    """Credentials of one hour, from a peer whose clock is two hours off; a peer whose clock is five minutes off is accepted."""
    hour = timedelta(hours=1)

    def by_a_clock(off: timedelta) -> Attempt:
        forge = Forge(stage.cast.forge.at + off)
        return lambda s: forge.server(s.cast.ours, FE2, begins=timedelta(minutes=-10), ends=hour)

    async with stage.network as network:
        assert await both(stage, by_a_clock(shift), by_a_clock(timedelta(minutes=5)), SERVER_PORT) == (code, TWIN)
        await stage.attempt(Row("again", by_a_clock(shift), code, by_a_clock(shift)), "impostor")
        verdict = network.nodes[FE1].gatekeeper.refusals[-1]
        told = "\n".join(explain(verdict))
        assert verdict.seen is not None
        bound = verdict.seen.not_after if code == "expired" else verdict.seen.not_before
        assert f"our clock   {verdict.at:%Y-%m-%d %H:%M}" in told
        assert f"{bound:%Y-%m-%d %H:%M}" in told
        assert f"et the clock of {FE1}, for example by NTP." in told
