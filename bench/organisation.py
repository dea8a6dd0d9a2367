"""Writes the organisation that `bench/sut` serves: a topology over the bench's own PKI, and a hundred users."""

from __future__ import annotations

import argparse
from pathlib import Path

from ruamel.yaml import YAML

from sipmesh.storage.users import Users
from sipmesh.topology.document import load

USERS = 100
PASSWORD = "bench-password"  # noqa: S105 - the load generator's, and nobody else's


def topology(pki: Path) -> dict[str, object]:
    """One front end with two applications behind it, one of which may speak for our users."""
    inside = {"address": "127.0.77.1", "ports": {"client": 5061, "server": 5071}}
    papers = {"certificate": str(pki / "p1.pem"), "key": str(pki / "p1.key")}
    sink = {"name": "sink.b.test", "address": "127.0.77.2", "ports": {"server": 5081}}
    return {
        "sipmesh": 1,
        "organisation": "bench",
        "sip_domains": ["a.test"],
        "authority": {"anchors": [str(pki / "ca.pem")], "crls": [str(pki / "crl.pem")]},
        "pools": [
            {"name": "p1.a.test", "role": "front-end", "servers": [{"name": "p1.a.test", **inside, **papers}]},
            {"name": "sink.b.test", "role": "application", "servers": [sink], "next_hop": "p1.a.test"},
            {
                "name": "peer.b.test",
                "role": "application",
                "servers": [{"name": "peer.b.test", "address": "127.0.77.3"}],
                "next_hop": "p1.a.test",
                "speaks_for": ["a.test"],
            },
        ],
    }


def main() -> None:
    """Write it all below RUN/sipmesh, anew each time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pki", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--tls12", action="store_true")
    given = parser.parse_args()
    if given.workers != 1 or given.tls12:
        parser.error("one worker, with TLS 1.2 and 1.3 as the peer asks for, is what there is")
    folder = given.run / "sipmesh"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("users.db*"):
        stale.unlink()
    file = folder / "topology.yaml"
    with file.open("w") as stream:
        YAML().dump(topology(given.pki.resolve()), stream)
    users = Users(load(file).users_url)
    for number in range(USERS):
        users.add(f"user{number}@a.test", PASSWORD)
    users.close()


if __name__ == "__main__":
    main()
