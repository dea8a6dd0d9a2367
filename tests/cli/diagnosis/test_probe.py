"""A probe of one address: each stage up to the first that fails."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from OpenSSL import SSL

from sipmesh.cli.diagnosis import probe
from sipmesh.cli.diagnosis.probe import Aim, Probe, ProbeResult, probe_with_clock
from sipmesh.client.judge import Trust, judge_server
from sipmesh.demo.decoy import Decoy
from sipmesh.demo.forge import Forge, Forged
from sipmesh.transport.hop import Hop
from sipmesh.transport.tls.contexts import ClientContext
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from sipmesh.trust.verdict import Verdict
from support.forged_time import LIBRARY, forged_time

HOUR, WITHIN_S = timedelta(hours=1), 5
needs_faketime = pytest.mark.skipif(not LIBRARY.exists(), reason="needs faketime, which tools/peers installs")
NAME, HOST = "sip.example.test", "127.0.0.1"
ADVICE = ("connect as a server",)


@pytest.fixture(name="forge", scope="module")
def _forge() -> Forge:
    return Forge(datetime.now(UTC))


@pytest.fixture(name="issuing", scope="module")
def _issuing(forge: Forge) -> Forged:
    return forge.organisation("Example")


def root_of(issuing: Forged) -> x509.Certificate:
    assert issuing.issuer is not None
    return issuing.issuer.certificate


def aimed(address: tuple[str, int], issuing: Forged) -> Aim:
    """Aim at *address* as a client that trusts the root above *issuing*, and expects NAME."""
    trust = Trust((root_of(issuing),), None)

    def judge(evidence: PeerEvidence) -> Verdict:
        return judge_server(evidence, (NAME,), trust, at=datetime.now(UTC))

    hop = Hop(NAME, LinkKind.CLIENT, addresses=(address,))
    return Aim(hop, ClientContext(trust.anchors), judge, NAME, advice=ADVICE)


def probed(address: tuple[str, int], issuing: Forged) -> ProbeResult:
    async def run() -> ProbeResult:
        return await Probe(aimed(address, issuing)).run()

    return asyncio.run(run())


def stages(result: ProbeResult) -> dict[str, bool]:
    return {stage.stage: stage.passed for stage in result.stages}


@contextmanager
def listening(greeting: bytes) -> Iterator[tuple[str, int]]:
    """Speak first, as a mail server does, and read until the other side has gone."""

    def greet() -> None:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):  # the peer may hang up without reading
            connection.sendall(greeting)
            while connection.recv(4096):
                pass

    with socket.create_server((HOST, 0)) as listener:
        greeter = threading.Thread(target=greet)
        greeter.start()
        yield listener.getsockname()[:2]
        greeter.join()


def test_probe_has_passed_when_a_sip_response_has_arrived(forge: Forge, issuing: Forged) -> None:
    with Decoy(forge.server(issuing, NAME), mutual=False) as server:
        result = probed(server.address, issuing)
        assert server.received == 1
    assert result.good
    assert stages(result) == {"TCP": True, "TLS": True, "verdict": True, "SIP": True}
    assert result.address == f"{HOST}:{server.address[1]}"
    assert result.stages[1].told.startswith("TLSv1.3, ")
    assert result.stages[2].told == f"accepted: {NAME}"
    assert result.stages[3].told.startswith("OPTIONS answered 200 OK in ")


def test_address_without_a_listener_ends_the_probe_at_tcp(issuing: Forged) -> None:
    with socket.create_server((HOST, 0)) as closed:
        address = closed.getsockname()[:2]
    result = probed(address, issuing)
    assert (stages(result), result.verdict, result.good) == ({"TCP": False}, None, False)


def test_peer_without_tls_ends_the_probe_there(issuing: Forged) -> None:
    with listening(b"220 mail.example.com ESMTP\r\n") as address:
        result = probed(address, issuing)
    assert stages(result) == {"TCP": True, "TLS": False, "verdict": False}
    assert result.verdict is not None
    assert result.verdict.code is Code.NOT_TLS


def test_server_of_another_ca_gets_no_request(forge: Forge, issuing: Forged) -> None:
    with Decoy(forge.server(forge.organisation("Mallory"), NAME), mutual=False) as decoy:
        result = probed(decoy.address, issuing)
        assert decoy.received == 0
    assert stages(result) == {"TCP": True, "TLS": False, "verdict": False}
    assert result.verdict is not None
    assert result.verdict.code is Code.UNTRUSTED_ISSUER
    assert result.stages[-1].told == f"{Code.UNTRUSTED_ISSUER}: {result.verdict.subject}"


def test_peer_that_requires_a_certificate_refuses_late_and_the_advice_is_ours(forge: Forge, issuing: Forged) -> None:
    """In TLS 1.3 our handshake ends before the peer misses our certificate."""
    with Decoy(forge.server(issuing, NAME), mutual=True) as server:
        result = probed(server.address, issuing)
    assert stages(result) == {"TCP": True, "TLS": True, "verdict": True, "SIP": False}
    assert result.verdict is not None
    assert (result.verdict.code, result.verdict.remedies) == (Code.REFUSED_BY_PEER, ADVICE)


def test_without_advice_the_remedies_of_the_verdict_stay(forge: Forge, issuing: Forged) -> None:
    async def run(address: tuple[str, int]) -> ProbeResult:
        return await Probe(replace(aimed(address, issuing), advice=())).run()

    with Decoy(forge.server(issuing, NAME), mutual=True) as server:
        result = asyncio.run(run(server.address))
    assert result.verdict is not None
    assert result.verdict.code is Code.REFUSED_BY_PEER
    assert result.verdict.remedies not in {(), ADVICE}


class OtherServer(Decoy):
    """Accepts every peer, and answers with *answer* instead of SIP, or not at all."""

    def __init__(self, credentials: Forged, answer: bytes) -> None:
        super().__init__(credentials, mutual=False)
        self.answer = answer

    def _serve(self, raw: socket.socket) -> None:
        tls = SSL.Connection(self._context, raw)
        tls.set_accept_state()
        with raw, suppress(SSL.Error):
            tls.do_handshake()
            while tls.recv(4096):
                if self.answer:
                    tls.sendall(self.answer)


def test_server_that_does_not_answer_fails_at_sip(
    forge: Forge, issuing: Forged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PATIENCE_S", 0.01)
    with OtherServer(forge.server(issuing, NAME), b"") as server:
        result = probed(server.address, issuing)
    assert stages(result) == {"TCP": True, "TLS": True, "verdict": True, "SIP": False}
    assert result.stages[-1].told == "no answer to OPTIONS within 0.01 s"


def test_server_of_another_protocol_fails_at_sip(forge: Forge, issuing: Forged) -> None:
    with OtherServer(forge.server(issuing, NAME), b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        result = probed(server.address, issuing)
    assert stages(result) == {"TCP": True, "TLS": True, "verdict": True, "SIP": False}


@needs_faketime
@pytest.mark.parametrize(
    ("clock", "told", "begins"),
    [
        ("+2h", "7200 s ahead of", -HOUR),
        ("-2h", "7200 s behind", -HOUR),
        ("+2h", "7200 s ahead of", HOUR),
        ("+0", "", -HOUR),
    ],
    ids=["ahead", "behind", "not-yet-valid", "right"],
)
def test_wrong_clock_of_a_server_that_hangs_up_is_the_remedy(
    forge: Forge, issuing: Forged, tmp_path: Path, clock: str, told: str, begins: timedelta
) -> None:
    """The control: the same server with the right clock, which also hangs up."""
    credentials = forge.server(issuing, NAME, begins=begins).write(tmp_path, "server")
    with socket.create_server((HOST, 0)) as free:
        address = free.getsockname()[:2]
    with forged_time(credentials, address, clock):
        result = asyncio.run(probe_with_clock(aimed(address, issuing)))
    assert not result.good
    assert result.verdict is not None
    clocks = [stage.told for stage in result.stages if stage.stage == "clock"]
    remedies = (
        f"If the clock of this machine is right, set the clock of {NAME}, for example by NTP.",
        "If not, set the clock of this machine, for example by NTP.",
    )
    if told:
        seconds, side = told.split(" s ")
        [shown] = clocks
        assert re.fullmatch(rf"its clock is \d+ s {side} that of this machine", shown)
        assert abs(int(re.findall(r"\d+", shown)[0]) - int(seconds)) <= WITHIN_S
        assert result.verdict.remedies == remedies
    else:
        assert clocks == []
        assert result.verdict.remedies != remedies


def test_expired_certificate_or_random_octets_show_no_clock(forge: Forge, issuing: Forged) -> None:
    for ends in (-HOUR, HOUR):
        with Decoy(forge.server(issuing, NAME, begins=-3 * HOUR, ends=ends), mutual=True) as server:
            result = asyncio.run(probe_with_clock(aimed(server.address, issuing)))
        assert (result.good, "clock" in stages(result)) == (False, False)


def test_probe_without_a_stage_has_not_passed() -> None:
    assert not ProbeResult("x").good
