"""A pool on three hosts as docs/howto/more-than-one-host.md sets it up: its text is typed, and three processes serve."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
from contextlib import AsyncExitStack
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from ruamel.yaml import YAML

from client.home import Certificates
from scenarios.test_workers import pass_message
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.storage.keyfile import load_or_create
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.network import BEGAN, finished
from support.peer import Peer
from support.pool_user import PAGE, USER, rules_of_page
from support.process import serving
from support.running import LOOK_AGAIN_S, on_loop
from support.valkey_server import ValkeyServer

pytestmark = [pytest.mark.peer("valkey"), pytest.mark.wide]
PASSWORD = "password-of-pool1"
USERS = ("alice", "bob", "carol")
NOBODY = "dave"
"""A user without a phone."""


def topology_of_page() -> dict[str, Any]:
    """The example of the page: its pool, and its storage."""
    text, _ = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    document: dict[str, Any] = YAML(typ="safe").load(text)
    return document


def store_with_tls(folder: Path) -> tuple[ValkeyServer, bytes]:
    """The store of step 1, and the certificate of its CA."""
    folder.mkdir()
    [root] = Certificates.make(folder, "localhost").trust.anchors
    (folder / "ca.pem").write_bytes(root.public_bytes(Encoding.PEM))
    files = {"cert": "home.pem", "key": "home.key", "ca-cert": "ca.pem"}
    given = [word for name, file in files.items() for word in (f"--tls-{name}-file", str(folder / file))]
    settings = (*given, "--tls-auth-clients", "no", "--maxmemory-policy", "noeviction")
    return ValkeyServer(folder, *settings, tls=True), (folder / "ca.pem").read_bytes()


def hosts_of(folder: Path, port: int, root: bytes) -> dict[str, Organisation]:
    """Steps 2 and 3: each host has its own folder, the secret, and the key of the pool."""
    page = topology_of_page()
    [pool] = page["pools"]
    names = tuple(server["name"] for server in pool["servers"])
    domain = names[0].partition(".")[2]
    made = Organisation.build(folder / "o", domain, (PoolPlan(pool["name"], Role.FRONT_END, names),), issued_at=BEGAN)
    document: dict[str, Any] = made.document
    document["storage"] = {"bindings": f"valkeys://localhost:{port}", "valkey": page["storage"]["valkey"]}
    document["messages"] = {"per_user": 0}
    (made.folder / "anchors").mkdir()
    (made.folder / "anchors" / "valkey.pem").write_bytes(root)
    (secret := made.folder / page["storage"]["valkey"]["password_file"]).parent.mkdir()
    secret.write_text(f"{PASSWORD}\n")
    secret.chmod(0o600)
    finished(made, *USERS, NOBODY)
    (made.folder / "state").mkdir(exist_ok=True)
    load_or_create(made.folder / "state" / f"{pool['name']}.dialog-key")
    hosts = {}
    for number, name in enumerate(names):
        place = folder / f"h{number}"  # the path of a socket has 107 octets at most
        shutil.copytree(made.folder, place)
        hosts[name] = Organisation(place, domain, made.host, made.ports, document, BEGAN)
    return hosts


async def phone(stack: AsyncExitStack, host: Organisation, server: str, user: str) -> Peer:
    """A phone that has registered; a server that has just started may not reach its store yet."""
    address = host.address(server, LinkKind.CLIENT)
    peer = await stack.enter_async_context(await Peer.open(address, f"{user}@{host.domain}"))
    while (status := (await peer.register()).status) != 200:
        assert status == 503
        await asyncio.sleep(LOOK_AGAIN_S)
    return peer


async def settled(peer: Peer) -> None:
    """Wait until the server of a phone knows who is away: before, it waits for the rows of all servers."""
    while (
        status := (await peer.ask(peer.request("MESSAGE", f"sip:{NOBODY}@{peer.user.partition('@')[2]}"))).status
    ) != 480:
        assert status == 503
        await asyncio.sleep(LOOK_AGAIN_S)


@on_loop
async def test_page_serves_on_three_hosts(tmp_path: Path) -> None:
    store, root = store_with_tls(tmp_path / "valkey")
    async with AsyncExitStack() as stack:
        hosts = hosts_of(tmp_path, store.port, root)
        document: dict[str, Any] = next(iter(hosts.values())).document
        rules = rules_of_page(document["organisation"], document["pools"][0]["name"], USER, PASSWORD)
        (tmp_path / "users.acl").write_text(f"user default off\n{' '.join(rules[1:]).replace('SETUSER', 'user')}\n")
        store._settings += ("--aclfile", str(tmp_path / "users.acl"))
        stack.enter_context(store)
        servers = {name: await stack.enter_async_context(serving(host, name)) for name, host in hosts.items()}
        phones = [await phone(stack, host, name, user) for user, (name, host) in zip(USERS, hosts.items(), strict=True)]
        for one in phones:
            await settled(one)
        for sender, receiver in permutations(phones, 2):
            await pass_message(sender, receiver)
        first, second, _ = hosts
        await servers[first].end(signal.SIGKILL)
        again = await phone(stack, hosts[second], second, USERS[0])
        await pass_message(phones[2], again)
        await pass_message(again, phones[2])
