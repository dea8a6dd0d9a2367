"""A TLS server that shows the time of its own clock in its ServerHello: `python -m support.forged_time CHAIN KEY HOST PORT`.

It is a process, because libfaketime sets the clock of a whole process. It ends every connection after the handshake.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from OpenSSL import SSL

from support.checkout import ROOT

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
LISTENS = "listens"
SEND_SERVERHELLO_TIME = 0x40


@contextmanager
def forged_time(credentials: tuple[Path, Path], address: tuple[str, int], clock: str) -> Iterator[None]:
    """Run the server at *address* while the context lasts; *clock* is the difference of its clock, as libfaketime writes it."""
    faked = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    command = [sys.executable, "-m", "support.forged_time", *map(str, (*credentials, *address))]
    with subprocess.Popen(command, env=os.environ | faked, cwd=ROOT / "tests", stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().decode().strip() == LISTENS
            yield
        finally:
            process.kill()


def serve(chain: str, key: str, host: str, port: str) -> None:
    """Accept connections until the process is killed."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_chain_file(chain)
    context.use_privatekey_file(key)
    context.set_mode(SEND_SERVERHELLO_TIME)
    with socket.create_server((host, int(port))) as listening:
        sys.stdout.write(f"{LISTENS}\n")
        sys.stdout.flush()
        while True:
            raw, _ = listening.accept()
            connection = SSL.Connection(context, raw)
            connection.set_accept_state()
            with raw, suppress(SSL.Error):
                connection.do_handshake()


if __name__ == "__main__":
    serve(*sys.argv[1:])
