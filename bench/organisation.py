"""Writes the organisation that `bench/sut` serves: a topology over the bench's own PKI, users, and how large it all is."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sipmesh.demo.forge import Forge
from sipmesh.routing.registrar.binding import NEVER, Binding
from sipmesh.storage.location_service.bindings import BindingStore
from sipmesh.storage.location_service.locations import Write
from sipmesh.storage.users.call_rule_edit import CallRuleEdit
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.load import Loaded, load

PASSWORD = "bench-password"  # noqa: S105 - of the load generator only
SECOND = "p2.a.test"
"""The other front end, where there are two."""
GATEWAYS = "a.test"
"""The pool of a gateway: its certificate has the name."""
OTHER_SERVER = "p2.a.test"
"""Holds the bindings that are there before a phone registers: a server drops those of its own earlier lives."""


FILES = {
    "anchors/ca.pem": "ca.pem",
    "partners/trunk-ca.pem": "trunk-ca.pem",
    "partners/trunk.crl": "trunk-crl.pem",
    "anchors/issuing.crl": "crl.pem",
    **{f"servers/{name}.a.test.{end}": f"{name}.{end}" for name in ("p1", "p2") for end in ("pem", "key")},
}
"""The files of the PKI that both servers use, by the names that a topology may have for them."""


def link_files(folder: Path, pki: Path) -> None:
    """Link the files of *pki* into the folders of their kinds."""
    for name, file in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(pki / file)


def topology(given: argparse.Namespace) -> dict[str, Any]:
    """One front end with two applications behind it, one of which may speak for our users."""
    inside = {"address": given.host, "ports": {"client": given.client_port, "server": given.server_port}}
    server = {"name": "p1.a.test", **inside, "workers": given.workers}
    sink = {"name": "sink.b.test", "address": given.sink_host, "ports": {"server": given.sink_port}}
    return {
        "sipmesh": 1,
        "organisation": "bench",
        "sip_domains": ["a.test"],
        "authority": {"anchors": ["anchors/ca.pem"], "crls": ["anchors/issuing.crl"]},
        "pools": [
            {"name": "p1.a.test", "role": "front-end", "servers": [server]},
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


def add_second(document: dict[str, Any], given: argparse.Namespace) -> None:
    """Add a front end with a pool of its own: the home pool of the users with odd numbers."""
    ports = {"client": given.client_port, "server": given.server_port}
    server = {"name": SECOND, "address": given.second_host, "ports": ports}
    document["pools"].append({"name": SECOND, "role": "front-end", "servers": [server]})


def gateway(given: argparse.Namespace) -> dict[str, Any]:
    """One gateway between a front end and a trunk, which are both played by the load."""
    document = topology(given)
    server = document["pools"][0]["servers"][0] | {"ports": {"server": given.server_port}}
    trunk = {
        "domains": ["trunk.test"],
        "edge": f"trunk.test:{given.sink_port}",
        "address": given.sink_host,
        "anchors": ["partners/trunk-ca.pem"],
        "crls": ["partners/trunk.crl"],
        "trunk": {"gateway": GATEWAYS, "carries": ["+4989"], "asserts": ["+4989"]},
    }
    return document | {
        "pools": [
            {"name": SECOND, "role": "front-end", "servers": [{"name": SECOND, "address": "127.0.77.3"}]},
            {"name": GATEWAYS, "role": "gateway", "servers": [server], "next_hop": SECOND},
        ],
        "federation": {"partners": [trunk], "networks": ["127.0.0.0/8"]},
    }


def add_servers(document: dict[str, Any], count: int) -> None:
    """Add front ends that do not run, each a pool of its own."""
    for number in range(count):
        name = f"front{number}.a.test"
        document["pools"].append({"name": name, "role": "front-end", "servers": [name]})


def add_partners(document: dict[str, Any], count: int, folder: Path) -> None:
    """Add organisations without traffic, each under a CA of its own, and the edge that leads to them."""
    folder.mkdir(exist_ok=True)
    partners = []
    for number in range(count):
        forge = Forge(datetime.now(UTC))
        root = forge.root(f"partner {number}")
        anchor, crl = folder / f"{number}.pem", folder / f"{number}.crl"
        anchor.write_bytes(root.pem_chain)
        crl.write_bytes(forge.revocations(root))
        name = f"partner{number}.test"
        partners.append(
            {
                "domains": [name],
                "edge": f"sip.{name}",
                "anchors": [f"partners/{anchor.name}"],
                "crls": [f"partners/{crl.name}"],
            }
        )
    edge = {"name": "sip.a.test", "role": "edge", "servers": ["edge.a.test"], "next_hop": "p1.a.test"}
    document["pools"].append(edge)
    document["federation"] = {"route": "sip.a.test", "partners": partners}


def add_users(loaded: Loaded, count: int, *, has_second: bool) -> None:
    """Make the users again; with a second front end, every other user has its home there."""
    users = Users(loaded.users_url)
    for number in range(count):
        pool = (SECOND if number % 2 else "p1.a.test") if has_second else None
        users.add(f"user{number}@a.test", PASSWORD, pool=pool)
    users.close()


def add_rules(loaded: Loaded, count: int) -> None:
    """Give each user rules that no call of the load meets: it is answered in time, and its caller is not blocked."""
    users = Users(loaded.users_url)
    edit = CallRuleEdit(users, loaded.topology)
    for number in range(count):
        asked = {"no_answer": f"user{(number + 1) % count}", "ring_s": 60, "callers": {"@other.test": "block"}}
        edit.change(f"user{number}@a.test", asked)
    users.close()


def add_bindings(loaded: Loaded, count: int) -> None:
    """Fill the store with bindings of users who get no calls, at another server of the pool."""
    file = loaded.folder / loaded.topology.storage.bindings
    file.parent.mkdir(mode=0o700, exist_ok=True)
    store = BindingStore(file)
    store.begin(OTHER_SERVER, 1)
    rows = [binding(number) for number in range(count)]
    store.write([Write(row.aor, (row,), (), lambda _: None) for row in rows], OTHER_SERVER, 1)
    store.close()


def binding(number: int) -> Binding:
    """Make one binding of a phone that has been here for long."""
    return Binding(
        aor=f"sip:other{number}@a.test",
        contact=f"sip:other{number}@127.0.0.1:9;transport=tls",
        instance=None,
        reg_id=None,
        q=1.0,
        call_id=f"other-{number}",
        cseq=1,
        server=OTHER_SERVER,
        incarnation=1,
        flow=number,
        token=f"token-{number}",
        expires_at=NEVER,
        interval_s=86_400,
    )


def write(given: argparse.Namespace) -> None:
    """Write it all below RUN/sipmesh, new each time."""
    folder: Path = given.run / "sipmesh"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (*folder.glob("users.db*"), *folder.glob("state/bindings.db*")):
        stale.unlink()
    link_files(folder, given.pki.resolve())
    document = (gateway if given.gateway else topology)(given)
    if given.store:
        document["storage"] = {"bindings": given.store}
    if given.call_records:
        document["call_records"] = {}
    if given.second_host:
        add_second(document, given)
    add_servers(document, given.servers)
    if given.partners:
        add_partners(document, given.partners, folder.resolve() / "partners")
    file = folder / "topology.yaml"
    with file.open("w") as stream:
        YAML().dump(document, stream)
    loaded = load(file)
    add_users(loaded, given.users, has_second=bool(given.second_host))
    if given.rules:
        add_rules(loaded, given.users)
    if not given.store:
        add_bindings(loaded, given.bindings)


def main() -> None:
    """Read the command line: what `bench/sut` is called with, and how large to make it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pki", type=Path, required=True, help="folder with ca.pem, crl.pem, p1.pem and p1.key")
    parser.add_argument("--run", type=Path, required=True, help="folder to write into")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the ports of the server")
    parser.add_argument("--tls12", action="store_true", help="taken, but changes nothing: the client decides")
    parser.add_argument("--host", default="127.0.77.1")
    parser.add_argument("--client-port", type=int, default=5061)
    parser.add_argument("--server-port", type=int, default=5071)
    parser.add_argument("--sink-host", default="127.0.77.2")
    parser.add_argument("--sink-port", type=int, default=5081)
    parser.add_argument("--second-host", help="address of a second front end, the home of every other user")
    parser.add_argument(
        "--gateway", action="store_true", help="a gateway to a trunk at the sink, in place of a front end"
    )
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--bindings", type=int, default=0, help="bindings of other users, there from the start")
    parser.add_argument("--store", help="valkey:// URL of the registrations, in place of a file")
    parser.add_argument("--call-records", action="store_true", help="have the server make records of calls")
    parser.add_argument("--rules", action="store_true", help="give each user rules of calls")
    parser.add_argument("--servers", type=int, default=0, help="further servers in the topology")
    parser.add_argument("--partners", type=int, default=0, help="partners in the topology, each with its own CA")
    write(parser.parse_args())


if __name__ == "__main__":
    main()
