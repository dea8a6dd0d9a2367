"""Records reach a real syslog server and a real HTTPS server, and no impostor of them."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.management.call_sinks import HttpsSink, SyslogSink, hook_body, syslog_line
from sipmesh.server.management.call_spans import spans_request
from support.network import FE1
from support.recording import record

NAME = "localhost"


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@dataclass
class Receiver:
    """A server that keeps what it gets; *status* is what it answers by HTTP."""

    port: int = 0
    got: list[bytes] = field(default_factory=list)
    status: int = 204
    came: threading.Event = field(default_factory=threading.Event)


@contextmanager
def syslog_server(context: ssl.SSLContext) -> Iterator[Receiver]:
    """Listen for syslog over TLS, on one connection."""
    receiver = Receiver()
    listener = socket.create_server(("127.0.0.1", 0))
    receiver.port = listener.getsockname()[1]

    def serve() -> None:
        try:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as link:
                while data := link.recv(65_536):
                    receiver.got.append(data)
                    receiver.came.set()
        except OSError:
            receiver.came.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield receiver
    listener.close()
    thread.join(5)


@contextmanager
def hook_server(context: ssl.SSLContext) -> Iterator[Receiver]:
    """Answer POST requests by HTTPS."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield receiver
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture(name="certified")
def _certified(example: Organisation) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The context of a server with the certificate of fe1, and that of a client that trusts its CA alone."""
    folder = example.folder / "servers"
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(example.root)
    return server_context(folder / f"{FE1}.pem", folder / f"{FE1}.key"), client


@pytest.fixture(name="resolved", autouse=True)
def _resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """fe1 is on this machine, as DNS says."""
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1" if host == FE1 else host, *rest, **more)
    )


def test_syslog_gets_each_record_in_a_frame_of_its_own(certified: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    there, here = certified
    with syslog_server(there) as receiver:
        sink = SyslogSink(f"{FE1}:{receiver.port}", "mgmt.example.test", here)
        sink.send([record(id="a"), record(id="b")])
        sink.close()
        assert receiver.came.wait(5)
    text = b"".join(receiver.got)
    size, _, rest = text.partition(b" ")
    first, second = rest[: int(size)], rest[int(size) :]
    assert first.startswith(b"<110>1 2026-11-30T13:05:12.000000Z mgmt.example.test sipmesh - call - {")
    assert json.loads(first.partition(b" - call - ")[2])["id"] == "a"
    assert json.loads(second.partition(b" - call - ")[2])["id"] == "b"


def test_local_syslog_gets_each_record_in_a_datagram(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        sink = SyslogSink("local", "mgmt", ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tmp_path / "log")
        sink.send([record(id="a")])
        assert daemon.recv(65_536) == syslog_line(record(id="a"), "mgmt")
        sink.close()


def test_hook_gets_records_as_json(certified: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    there, here = certified
    with hook_server(there) as receiver:
        HttpsSink("hook", f"https://{FE1}:{receiver.port}/in?x=1", hook_body, here).send(
            [record(id="a"), record(id="b")]
        )
    assert [one["id"] for one in json.loads(receiver.got[0])["records"]] == ["a", "b"]


def test_collector_gets_spans(certified: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    there, here = certified
    with hook_server(there) as receiver:
        sink = HttpsSink("otlp", f"https://{FE1}:{receiver.port}/v1/traces", spans_request, here)
        sink.send([record(id="a"), record(id="b")])
    (group,) = json.loads(receiver.got[0])["resourceSpans"]
    assert len(group["scopeSpans"][0]["spans"]) == 6


@pytest.mark.parametrize("status", [302, 404, 500])
def test_hook_that_does_not_accept_gets_them_again(
    certified: tuple[ssl.SSLContext, ssl.SSLContext], status: int
) -> None:
    there, here = certified
    with hook_server(there) as receiver:
        receiver.status = status
        with pytest.raises(OperatorError, match=f"answers {status}, and not 200 to 299"):
            HttpsSink("hook", f"https://{FE1}:{receiver.port}/", hook_body, here).send([record()])


def greet(listener: socket.socket) -> None:
    """Answer one connection without TLS."""
    link, _ = listener.accept()
    with link:
        link.sendall(b"hello\r\n")
        link.recv(1)


@pytest.mark.parametrize("kind", ["syslog", "https"])
@pytest.mark.parametrize("impostor", ["another-name", "another-ca", "plain"])
def test_impostor_gets_nothing(certified: tuple[ssl.SSLContext, ssl.SSLContext], kind: str, impostor: str) -> None:
    """Another server answers in place of the receiver: with another name, of another CA, or without TLS."""
    there, here = certified
    host = NAME if impostor == "another-name" else FE1
    client = ssl.create_default_context() if impostor == "another-ca" else here
    with ExitStack() as stack:
        if impostor == "plain":
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.settimeout(5)
            receiver = Receiver(listener.getsockname()[1])
            threading.Thread(target=greet, args=(listener,), daemon=True).start()
        else:
            server = syslog_server if kind == "syslog" else hook_server
            receiver = stack.enter_context(server(there))
        sink = (
            SyslogSink(f"{host}:{receiver.port}", "mgmt", client)
            if kind == "syslog"
            else HttpsSink("otlp", f"https://{host}:{receiver.port}/v1/traces", spans_request, client)
        )
        with pytest.raises(OperatorError, match="cannot be used"):
            sink.send([record()])
    assert not receiver.got
