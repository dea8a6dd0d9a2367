"""Users in a PostgreSQL server, which may be away for a moment: known users stay known, and all other work goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.demo.forge import SERVER_AUTH, Forge, Forged, Wish
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.storage.users.user_database import Users
from support.managed import MGMT, Managed
from support.network import FE1, FE3, POOL, POOL2, Network, copied
from support.postgres import OWNER, PASSWORD, Cluster
from support.running import on_loop, until
from support.tiers import wide_after

pytestmark = pytest.mark.peer("postgresql")
SINCE_KNOWN = "user database cannot be read: the known users stay in force"


def kept_in(url: str, organisation: Organisation) -> Organisation:
    """The same organisation with its users in the database at *url*: alice and bob."""
    organisation.document["storage"] = {"users": Cluster.public(url)}
    organisation.write()
    organisation.add_users("alice", "bob", pool=POOL)
    return organisation


@pytest.fixture(name="managed")
def _managed(managed_model: Organisation, tmp_path: Path, postgres_url: str) -> Managed:
    """A network with management, which alone opens the database."""
    organisation = kept_in(postgres_url, copied(managed_model, tmp_path / "m"))
    organisation.add_users("carol", pool=POOL2)
    return Managed(organisation, tmp_path)


@pytest.fixture(name="home")
def _home(example: Organisation, postgres_url: str) -> Network:
    """A front end that opens the database itself, in a network without management."""
    return Network((kept_in(postgres_url, example),), starts=(FE1,))


async def add(managed: Managed, user: str, code: int = 0) -> str:
    return await managed.type(
        "user", "add", user, "--pool", POOL, "--password-stdin", typed=f"{user}-secret\n", code=code
    )


async def known(managed: Managed, user: str, server: str) -> None:
    """Wait until a server knows a user."""
    await until(lambda: managed.nodes[server].users.verifier(f"sip:{user}@example.test"))


@pytest.mark.wide
@on_loop
async def test_user_who_is_added_on_the_command_line_logs_in_until_the_password_changes(managed: Managed) -> None:
    """With another password than that of the database no user logs in."""
    async with managed:
        await managed.start(MGMT, FE1)
        await add(managed, "dora")
        await known(managed, "dora", FE1)
        dora = await managed.phone(FE1, "dora")
        assert (await dora.register(password="guessed")).status == 401
        assert (await dora.register()).status == 200
        await managed.type("user", "password", "dora", "--password-stdin", typed="another-one\n")
        await dora.hung_up()
        assert (await (await managed.phone(FE1, "dora")).register()).status == 401
        assert (await (await managed.phone(FE1, "dora")).register(password="another-one")).status == 200


@pytest.mark.wide
@on_loop
async def test_network_goes_on_while_the_database_of_management_is_away(managed: Managed, cluster: Cluster) -> None:
    """A known user logs in; the log tells the operator; a pool that comes meanwhile gets its users afterwards."""
    async with managed:
        await managed.start(MGMT, FE1)
        await known(managed, "alice", FE1)
        alice = await managed.agent("alice", FE1)
        cluster.stop()
        await until(lambda: any(managed.told[MGMT].events(SINCE_KNOWN)))
        assert "cannot be used" in await add(managed, "dora", code=1)
        bob = await managed.agent("bob", FE1)
        assert (await bob.message("alice@example.test", "still here")).status == 200
        await managed.start(FE3)
        await until(lambda: any(managed.told[MGMT].events("users not sent yet")))
        cluster.start()
        await known(managed, "carol", FE3)
        await add(managed, "dora")
        await known(managed, "dora", FE1)
        await managed.agent("dora", FE1)
        await managed.agent("carol", FE3)
        assert (await alice.register()).status == 200


@on_loop
@pytest.mark.wide
async def test_front_end_goes_on_while_its_own_database_is_away(home: Network, cluster: Cluster) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        cluster.stop()
        assert await node.user_updates.refresh() == 0
        assert "cannot be used" in home.told[FE1].last(SINCE_KNOWN)["why"]
        assert (await (await home.peer(FE1, "bob")).register(password="guessed")).status == 401
        assert (await (await home.peer(FE1, "bob")).register()).status == 200
        assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 200
        cluster.start()
        home.organisations[0].add_users("dora")
        await node.user_updates.refresh()
        assert (await (await home.peer(FE1, "dora")).register()).status == 200


@contextmanager
def with_tls(server: Forged) -> Iterator[tuple[Cluster, str]]:
    """A PostgreSQL that shows the certificate of *server* at an address of its own; gives that address also."""
    number = os.getpid()
    address = f"127.{number >> 16 & 0x7F | 0x40}.{number >> 8 & 0xFF}.{number & 0xFF or 1}"
    files = {"ssl_cert_file": "db.pem", "ssl_key_file": "db.key"}
    cluster = Cluster(listen_addresses=address, ssl="on")
    given = zip(files, (server.pem_chain, server.pem_key), strict=True)
    cluster.set({key: str(cluster.give(files[key], content)) for key, content in given})
    with cluster:
        yield cluster, address


@pytest.mark.parametrize(
    ("name", "root", "reason"),
    wide_after(
        2,
        [
            ("db.example.test", "theirs", ""),
            (
                "db.other.test",
                "theirs",
                'server certificate for "db.other.test" does not match host name "db.example.test"',
            ),
            ("db.example.test", "another", "certificate verify failed"),
        ],
    ),
)
def test_database_elsewhere_is_used_under_the_root_that_the_topology_names(
    example: Organisation, monkeypatch: pytest.MonkeyPatch, name: str, root: str, reason: str
) -> None:
    """The name and the root are checked before the password is sent."""
    forge = Forge(datetime.now(UTC))
    roots = {key: forge.root(f"Root of {key}") for key in ("theirs", "another")}
    server = forge.forge(Wish(name, dns=(name,), usages=(SERVER_AUTH,)), roots["theirs"])
    anchor = example.folder / "anchors" / "db.pem"
    anchor.parent.mkdir()
    anchor.write_bytes(roots[root].pem_chain)
    secret = example.folder / "secrets" / "pgpass"
    secret.parent.mkdir()
    secret.write_text(f"*:*:*:*:{PASSWORD}\n")
    secret.chmod(0o600)
    with with_tls(server) as (cluster, address), cluster.database() as url:
        monkeypatch.delenv("PGPASSWORD", raising=False)
        monkeypatch.setenv("PGHOSTADDR", address)  # as DNS would say
        database = url.partition("@/")[2].partition("?")[0]
        query = "sslmode=verify-full&sslrootcert=anchors/db.pem&passfile=secrets/pgpass"
        example.document["storage"] = {"users": f"postgresql+psycopg://{OWNER}@db.example.test/{database}?{query}"}
        example.write()
        if reason:
            with pytest.raises(OperatorError, match=reason):
                Users(example.load().users_url)
        else:
            users = Users(example.load().users_url)
            users.add("zoe@example.test", "zoe-secret")
            assert [user.aor for user in users.list()] == ["sip:zoe@example.test"]
            users.close()
        monkeypatch.delenv("PGHOSTADDR")
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
