"""The tunnel of docs/howto/rtpengine.md to an rtpengine on another host: DTLS by socat, with a certificate on both sides."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interop.rtpengine import HOST, PING, Rtpengine
from sipmesh.demo.forge import Forge
from sipmesh.demo.ports import free_port
from sipmesh.server.process.fork_server import die_with_parent

pytestmark = [pytest.mark.peer("rtpengine", "socat"), pytest.mark.wide]

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "rtpengine.md"
ANSWER_S, TRIES = 2.0, 10
SERVER, CLIENT, OTHER = "media1.example.com", "gw1.example.com", "gw2.example.com"


def commands(folder: Path, rtpengine: int, tunnel: int, gateway: int) -> Sequence[str]:
    """The two commands of the page, with the places of a test in them."""
    found = re.findall(r"^socat OPENSSL.*|^socat UDP4.*", PAGE.read_text(), re.MULTILINE)
    assert len(found) == 2
    there, here = found
    there = there.replace("127.0.0.1:2223", f"{HOST}:{rtpengine}").replace(":2224,", f":{tunnel},bind={HOST},")
    here = here.replace("LISTEN:2223", f"LISTEN:{gateway}").replace(f"{SERVER}:2224", f"{HOST}:{tunnel}")
    return [one.replace("/etc/sipmesh", str(folder)) for one in (there, here)]


@contextmanager
def started(command: str, log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            shlex.split(command),
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # socat has a process for each peer
            process.wait()


def asked(port: int, tries: int) -> bytes:
    """Send a ping to rtpengine by the tunnel; b"" if no answer comes."""
    for _ in range(tries):
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.settimeout(ANSWER_S)
            try:
                asking.connect((HOST, port))
                asking.send(PING)
                return asking.recv(65_535)
            except OSError:
                time.sleep(0.1)
    return b""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    forge = Forge(datetime.now(UTC))
    root = forge.root("media")
    (tmp_path / "root.pem").write_bytes(root.pem_chain)
    for name in (SERVER, CLIENT, OTHER):
        Forge(datetime.now(UTC)).server(root, name).write(tmp_path, name.partition(".")[0])
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        ("gw1.", "gw2.", "does not match hostname"),
        ("cert=", "no-cert", "did not return a certificate"),
    ],
    ids=["other-name", "no-certificate"],
)
def test_rtpengine_is_controlled_by_the_named_gateway_alone(folder: Path, old: str, new: str, refusal: str) -> None:
    ports = [free_port(), free_port(), free_port()]
    with Rtpengine(folder / "r") as rtpengine:
        there, here = commands(folder, rtpengine.port, *ports[:2])
        _, other = commands(folder, rtpengine.port, ports[0], ports[2])
        other = re.sub("cert=[^,]*,key=[^,]*,", "", other) if new == "no-cert" else other.replace(old, new)
        with (
            started(there, folder / "there.log"),
            started(here, folder / "here.log"),
            started(other, folder / "other.log"),
        ):
            assert asked(ports[1], TRIES).endswith(b"d6:result4:ponge")
            for _ in range(TRIES):  # the other socat may not listen yet, and the refusal may not be logged yet
                assert asked(ports[2], 1) == b""
                if refusal in (folder / "there.log").read_text():
                    break
            assert refusal in (folder / "there.log").read_text()
            assert asked(ports[1], TRIES).endswith(b"d6:result4:ponge")
