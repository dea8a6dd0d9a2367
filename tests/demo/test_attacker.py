"""What the attacker reports of a port: an answer, or why there was none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest

from sipmesh.demo import attacker
from sipmesh.demo.attacker import Knock, knock, send_datagram, speak_plainly
from sipmesh.demo.decoy import Decoy
from sipmesh.demo.forge import Forge, Forged

HOST, NAME = "127.0.0.1", "sip.example.test"


@pytest.fixture(name="credentials", scope="module")
def _papers() -> Forged:
    forge = Forge(datetime.now(UTC))
    return forge.server(forge.organisation("Example"), NAME)


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    """A port whose first connection is served by *serve*."""

    def accept() -> None:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):
            serve(connection)

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[:2]
        thread.join()


def answering(octets: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(octets)

    return serve


def test_knock_is_served_by_a_sip_answer_only() -> None:
    assert Knock((HOST, 1), "SIP/2.0 200 OK").served
    assert not Knock((HOST, 1), "HTTP/1.1 200 OK").served
    assert not Knock((HOST, 1), alert="closed").served


def test_own_message_is_sent_in_place_of_the_probe(credentials: Forged) -> None:
    message = attacker.PROBE.format(host=NAME, local="a", port=7, domain=NAME).replace("OPTIONS", "MESSAGE").encode()
    with Decoy(credentials, mutual=False) as decoy:
        assert knock(decoy.address, credentials, name=NAME, domain=NAME, message=message).served


@pytest.mark.parametrize(
    ("octets", "answer", "alert"),
    [
        (b"SIP/2.0 400 Bad Request\r\n\r\n", "SIP/2.0 400 Bad Request", ""),
        (b"", "", "closed"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "", "a TLS alert"),
        (b"220 mail", "", "8 bytes that are no SIP"),
    ],
)
def test_plain_answer_is_recognised_by_its_first_octets(octets: bytes, answer: str, alert: str) -> None:
    with serving(answering(octets)) as address:
        came = speak_plainly(address, NAME)
    assert (came.answer, came.alert) == (answer, alert)


def test_peer_without_tls_is_reported_as_an_error_of_tls() -> None:
    with serving(answering(b"220 mail.example.com ESMTP\r\n")) as address:
        came = knock(address, None, name=NAME, domain=NAME)
    assert not came.served
    assert came.alert


def test_peer_that_hangs_up_in_the_handshake_is_reported_as_closed() -> None:
    with serving(answering(b"")) as address:
        came = knock(address, None, name=NAME, domain=NAME)
    assert came.alert.startswith("closed")


def test_silent_peer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacker, "PATIENCE_S", 0.05)

    def read_on(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    with serving(read_on) as address:
        assert knock(address, None, name=NAME, domain=NAME).alert == "no answer"


def test_port_without_a_datagram_socket_is_reported() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((HOST, 0))
        address = bound.getsockname()
        assert send_datagram(address, NAME, 0.01).alert == "no answer"
    assert send_datagram(address, NAME).alert == "nothing listens on UDP"


def test_answer_to_a_datagram_is_an_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((HOST, 0))

        def answer() -> None:
            _, sender = bound.recvfrom(4096)
            bound.sendto(b"SIP/2.0 200 OK\r\n\r\n", sender)

        thread = threading.Thread(target=answer)
        thread.start()
        assert send_datagram(bound.getsockname(), NAME, 5.0).answer == "SIP/2.0 200 OK"
        thread.join()
