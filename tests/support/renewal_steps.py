"""A management server that renews its own certificates, and is killed before each file that gets its name.

Run as a program: the folder of the organisation, the name of the server, and the time in ISO 8601. Each process renews once, and
kills itself at a step. Then the server starts again as a follower, which issues nothing. The program fails if a
certificate and its key do not fit, or if the last certificate in the ledger is for another key than that in place.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from cryptography import x509

from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.key_pair import differ
from sipmesh.server.management.own_renewal import finish_own, renew_own
from sipmesh.server.process.fork_server import die_with_parent
from sipmesh.topology.document.load import load
from sipmesh.topology.view import ServerView, view
from support.management_steps import MOST_STEPS
from support.root_steps import ending_at_name


def renewed(server: ServerView, ca: Path, at: datetime, step: int) -> bool:
    """Renew in a process that is killed before the *step*-th file; return whether it came to its end before."""
    if (process := os.fork()) == 0:
        die_with_parent()
        with ending_at_name(step, signal.SIGKILL):
            renew_own(server, ca, at)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    return status == 0


def check(server: ServerView, ca: Path) -> None:
    """Start again, and compare certificate, key and ledger."""
    finish_own(server, ca)
    pairs = {"server": (server.certificate, server.key), "signer": server.signer}
    for kind, pair in pairs.items():
        assert differ(*pair) is False, (kind, "do not fit")
        own = [
            one for one in CaGenerations(ca).records() if one.kind == kind and one.names[0] == server.name and one.der
        ]
        assert own[-1].der is not None
        newest = x509.load_der_x509_certificate(own[-1].der).public_key()
        assert files.read_key(pair[1]).public_key() == newest, (kind, "another key")


def main(folder: str, name: str, at: str) -> None:
    """Renew until no step is left at which the process can be killed."""
    place = Path(folder)
    for step in range(1, MOST_STEPS):
        server = view(load(place / "topology.yaml"), name)
        for pair in ((server.certificate, server.key), server.signer):
            pair[0].write_bytes((place / f"{pair[0].name}.first").read_bytes())
            pair[1].write_bytes((place / f"{pair[1].name}.first").read_bytes())
        is_done = renewed(server, place / "ca", datetime.fromisoformat(at), step)
        check(server, place / "ca")
        os.write(1, f"{step} {'done' if is_done else 'killed'}\n".encode())
        if is_done:
            return
    raise AssertionError("the renewal does not end")


if __name__ == "__main__":
    main(*sys.argv[1:])
