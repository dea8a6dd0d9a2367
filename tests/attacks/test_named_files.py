"""What an operator's token is worth through the names in a topology: no key leaves, and no file of others is replaced."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.world import sipmesh
from sipmesh.errors import OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.files import key_pem, new_key
from sipmesh.pki.issuance.profiles import LEAF_LIFETIME
from sipmesh.server.management.enrolment import Enrolment, EnrolmentRequest
from sipmesh.server.management.issuing import issue_for
from sipmesh.server.management.own_renewal import renew_own
from sipmesh.server.proxy.login.user_stores import open_locations, open_valkey
from sipmesh.server.replication.crl_store import CrlStore
from sipmesh.topology.document.load import Loaded
from sipmesh.topology.document.names import is_url
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import Draft
from sipmesh.topology.view import view
from support.console import Visitor, management_with_console
from support.managed import MGMT, Managed, build_published
from support.network import EDGES, FE1
from support.running import on_loop

KEY = "ca/issuing.key"
OWN_STORE = "valkeys://127.0.0.1:7"
ELSEWHERE = "postgresql+psycopg://sipmesh@db.mallory.test/users"
ATTACKS = {
    "crls of ours": ("network", f"authority.crls+={KEY}", "authority.crls"),
    "anchors of ours": ("network", f"authority.anchors+={KEY}", "authority.anchors"),
    "password of the store": (
        "network",
        f"storage={{bindings: '{OWN_STORE}', valkey: {{password_file: {KEY}, anchors: [ca/root.pem]}}}}",
        "storage.valkey.password_file",
    ),
    "secret of TURN": ("network", f"turn={{servers: ['turn:t.mallory.test'], secret_file: {KEY}}}", "turn.secret_file"),
    "key of management": (MGMT, "key=ca/root.key", "servers[0].key"),
    "certificate of management": (MGMT, "certificate=ca/root.pem", "servers[0].certificate"),
    "key of another server": (FE1, f"key=servers/{MGMT}.key", "servers[0].key"),
    "key that signs versions": (MGMT, f"key=servers/{MGMT}.signer.key", "servers[0].key"),
    "file of registrations": ("network", f"storage.bindings={KEY}", "storage.bindings"),
    "users elsewhere without TLS": ("network", f"storage.users={ELSEWHERE}", "storage.users"),
    "messages elsewhere without TLS": ("network", f"storage.messages={ELSEWHERE}?sslmode=require", "storage.messages"),
    "users in another file": ("network", "storage.users=sqlite:////var/lib/other/other.db", "storage.users"),
    "users in the ledger": ("network", "storage.users=sqlite:///ca/ledger.db", "storage.users"),
    "messages in the history": ("network", "storage.messages=sqlite:///management.db", "storage.messages"),
    "password in a URL": ("network", "storage.users=postgresql+psycopg://u:hunter2@127.0.0.1/x", "storage.users"),
    "password in a parameter": (
        "network",
        "storage.messages=postgresql+psycopg://u@127.0.0.1/x?password=hunter2",
        "storage.messages",
    ),
}
"""What the operator changes in the draft, and the field that is refused."""

ALLOWED = {
    "certificate of management": (MGMT, [f"certificate=servers/{MGMT}.pem", f"key=servers/{MGMT}.key"]),
    "file of registrations": ("network", ["storage.bindings=state/other.db"]),
    "secret of TURN": ("network", ["turn={servers: ['turn:t.example.test'], secret_file: secrets/turn}"]),
    "users in another file": ("network", ["storage.users=sqlite:///state/people.db"]),
    "users elsewhere": (
        "network",
        [f"storage.users={ELSEWHERE}?sslmode=verify-full&sslrootcert=anchors/db.pem&passfile=secrets/pgpass"],
    ),
}
"""The same with the right file."""


@on_loop
async def test_operator_can_name_no_file_that_is_not_of_the_kind_of_its_key(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        draft = network.organisation.file
        before, files = draft.read_text(), _digests(network.organisation.folder / "ca")
        for name, (where, change, field) in ATTACKS.items():
            done = await operator.ask("POST", "/api/v1/draft/change", json={"name": where, "changes": [change]})
            assert (done.status, draft.read_text()) == (409, before), (name, done.text)
            assert field in done.text, (name, done.text)
            assert "hunter2" not in done.text
        for name, (where, changes) in ALLOWED.items():
            given = {"name": where, "changes": changes, "dry_run": True}
            done = await operator.ask("POST", "/api/v1/draft/change", json=given)
            assert done.status == 200, (name, done.text)
        assert _digests(network.organisation.folder / "ca") == files
        assert network.number(MGMT) == 1


def _digests(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix in {".key", ".pem"}}


@on_loop
async def test_partners_crl_is_no_key_of_ours(tmp_path: Path) -> None:
    async with _with_partner(tmp_path) as (network, operator), Visitor(network, "sona-token") as officer:
        number = network.number(MGMT)
        for change in (f"crls=[{KEY}]", f"anchors=[{KEY}]", "crls=[ca/issuing.crl]"):
            given = {"domain": "friend.test", "changes": [change]}
            done = await officer.ask("POST", "/api/v1/partner/change", json=given)
            assert done.status == 409, done.text
            assert "name a file in partners/ or anchors/" in done.text
        assert network.number(MGMT) == number
        shown = (await operator.get("/api/v1/plan")).json
        assert shown["changes"] == []
        given = {"domain": "friend.test", "changes": ["crls=[partners/friend/issuing.crl]"]}
        done = await officer.ask("POST", "/api/v1/partner/change", json=given)
        assert (done.status, network.number(MGMT)) == (200, number + 1), done.text


@asynccontextmanager
async def _with_partner(folder: Path) -> AsyncIterator[tuple[Managed, Visitor]]:
    """Management with the partner friend.test, whose CRLs lie in partners/friend."""
    async with management_with_console(folder) as network, Visitor(network, "otto-token") as operator:
        friend = network.organisation.folder / "partners" / "friend"
        EnterpriseCa.create(friend, "Friend", datetime.now(UTC), crl_base="http://crl.friend.test")
        crls = ["partners/friend/root.crl", "partners/friend/issuing.crl"]
        partner = {"domains": ["friend.test"], "anchors": ["partners/friend/root.pem"], "crls": crls}
        await network.publish(lambda document: document.update(federation={"route": EDGES, "partners": [partner]}))
        yield network, operator


TLS_CFG = """[client:default]
[client:192.0.2.1:5061]
server_name = friend.test
verify_certificate = yes
ca_list = {anchor}
crl = {crl}
"""


@pytest.mark.parametrize(("crl", "is_refused"), [(KEY, True), ("partners/friend/issuing.crl", False)])
def test_imported_file_of_kamailio_brings_no_key_of_ours(tmp_path: Path, crl: str, *, is_refused: bool) -> None:
    """And the report names each file that it brings."""
    organisation = build_published(tmp_path / "o")
    document: dict[str, Any] = organisation.document
    document["federation"] = {"route": EDGES}
    organisation.write()
    friend = organisation.folder / "partners" / "friend"
    EnterpriseCa.create(friend, "Friend", datetime.now(UTC), crl_base="http://crl.friend.test")
    (tmp_path / "tls.cfg").write_text(TLS_CFG.format(anchor="partners/friend/root.pem", crl=crl))
    done = sipmesh(
        "topology", "import", tmp_path / "tls.cfg", "--from", "kamailio-tls", "--json", topology=organisation.file
    )
    report = json.loads(done.out)
    assert report["added"] == [f"partner friend.test, with the files partners/friend/root.pem, {crl}"]
    reasons = [problem["reason"] for problem in report["problems"]]
    assert (f"{crl!r} is no place for a CRL" in reasons, done.code) == (is_refused, int(is_refused))
    plan = sipmesh("topology", "plan", topology=organisation.folder / "imported.yaml")
    assert (plan.code, crl in plan.out + plan.err) == (int(is_refused), True)


# A version in force may be of an earlier release, which took any name. What it names is parsed before it is used.


def _of_an_earlier_release(folder: Path, **changes: str) -> Loaded:
    """The version in force of *folder*, with *changes* of its text that no draft may have."""
    file = folder / "topology.yaml"
    made = Draft.read(file.read_bytes(), file).compiled(2, "ada", "because", at=datetime.now(UTC))
    text = made.topology
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return load_published(replace(made, topology=text), folder)


def _earlier(folder: Path, old: str, new: str) -> Loaded:
    return _of_an_earlier_release(folder, **{old: new})


def test_key_in_place_of_a_crl_is_not_sent(tmp_path: Path) -> None:
    organisation = build_published(tmp_path / "o")
    loaded = _earlier(organisation.folder, '"ca/issuing.crl"', f'"ca/issuing.crl", "{KEY}"')
    assert KEY in loaded.list_names
    sent = {item.name: item.body for item in CrlStore(organisation.folder).items(loaded)}
    assert set(sent) == {"ca/root.crl", "ca/issuing.crl"}
    assert not any(b"PRIVATE KEY" in body for body in sent.values())


def test_text_around_a_crl_is_not_sent(tmp_path: Path) -> None:
    """A key in the same file."""
    organisation = build_published(tmp_path / "o")
    file, key = organisation.folder / "ca" / "issuing.crl", key_pem(new_key())
    crl = file.read_bytes()
    for content in (key + crl, crl + key, crl + b"hunter2\n"):
        file.write_bytes(content)
        sent = {item.name: item.body for item in CrlStore(organisation.folder).items(organisation.load())}
        assert sent["ca/issuing.crl"] == crl


def test_key_beside_a_root_is_in_no_version(tmp_path: Path) -> None:
    organisation = build_published(tmp_path / "o")
    root = organisation.folder / "ca" / "root.pem"
    certificate = root.read_bytes()
    root.write_bytes(b"a comment\n" + certificate)
    assert Draft.read(organisation.file.read_bytes(), organisation.file).files["ca/root.pem"] == certificate
    root.write_bytes(certificate + key_pem(new_key()))
    with pytest.raises(OperatorError, match="contains a PRIVATE KEY, not certificates alone"):
        Draft.read(organisation.file.read_bytes(), organisation.file)


@on_loop
async def test_join_grant_has_no_key_in_place_of_a_crl(tmp_path: Path) -> None:
    async with _with_partner(tmp_path) as (network, _):
        controller: Any = network.services[MGMT].control_plane
        folder = network.organisation.folder
        request = EnrolmentRequest(FE1, new_key().public_key(), "ada", datetime.now(UTC), LEAF_LIFETIME, replace=True)
        enrolment = Enrolment(controller.management_db, _generations(folder), folder)
        crl = folder / "partners" / "friend" / "issuing.crl"
        was = crl.read_bytes()
        assert enrolment.enrol(request).grant.lists["partners/friend/issuing.crl"] == was
        crl.unlink()
        crl.symlink_to(folder / KEY)
        with pytest.raises(OperatorError, match="nothing was granted"):
            enrolment.enrol(request)


def _generations(folder: Path) -> Any:
    from sipmesh.pki.ca_rotation import CaGenerations

    return CaGenerations(folder / "ca")


def test_renewal_replaces_the_key_of_its_certificate_alone(tmp_path: Path) -> None:
    organisation = build_published(tmp_path / "o")
    folder = organisation.folder
    root, late = (folder / "ca" / "root.key").read_bytes(), datetime.now(UTC) + LEAF_LIFETIME
    pair = '"certificate": "servers/new.pem", "key": "ca/root.key"'
    loaded = _earlier(folder, f'"{MGMT}", "address"', f'"{MGMT}", {pair}, "address"')
    with pytest.raises(OperatorError, match="is not the key of the certificate in"):
        renew_own(view(loaded, MGMT), folder / "ca", late)
    with pytest.raises(OperatorError, match="is not the key of the certificate in"):
        issue_for(loaded, organisation.ca, MGMT, late, note=lambda *_, **__: None)
    assert (folder / "ca" / "root.key").read_bytes() == root
    assert not (folder / "servers" / "new.pem").exists()
    before = (folder / "servers" / f"{MGMT}.key").read_bytes()
    assert renew_own(view(organisation.load(), MGMT), folder / "ca", late)
    assert (folder / "servers" / f"{MGMT}.key").read_bytes() != before


def test_key_in_place_of_the_registrations_stays(tmp_path: Path) -> None:
    organisation = build_published(tmp_path / "o")
    folder = organisation.folder
    was = (folder / KEY).read_bytes()
    loaded = _earlier(folder, "pools:", f'storage: {{"bindings": "{KEY}"}}\npools:')
    with pytest.raises(OperatorError, match="it is no file of registrations"):
        open_locations(view(loaded, FE1), lambda *_: None, bytes(32))
    assert (folder / KEY).read_bytes() == was
    open_locations(view(organisation.load(), FE1), lambda *_: None, bytes(32)).close()


def test_key_in_place_of_a_password_is_not_sent(tmp_path: Path) -> None:
    organisation = build_published(tmp_path / "o")
    folder = organisation.folder
    store = f'storage: {{"bindings": "{OWN_STORE}", "valkey": {{"password_file": "%s", "anchors": ["ca/root.pem"]}}}}\npools:'
    (folder / "secrets").mkdir()
    (folder / "secrets" / "store").write_text("word\n")
    (folder / "secrets" / "store").chmod(0o600)
    for name, says in ((KEY, "is no place for a password"), ("secrets/store", "")):
        seen = view(_earlier(folder, "pools:", store % name), FE1)
        assert is_url(str(seen.valkey_url))
        if says:
            with pytest.raises(OperatorError, match=says):
                open_valkey(seen, seen.valkey_url, bytes(32), 0)  # type: ignore[arg-type]
        else:
            assert open_valkey(seen, seen.valkey_url, bytes(32), 0)  # type: ignore[arg-type]


# To compare is to look at what is in force. Nothing that only the draft names is opened.


@on_loop
async def test_plan_connects_nowhere_and_makes_no_table(tmp_path: Path) -> None:
    """A viewer may ask for it, as often as wanted."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        folder, reached = network.organisation.folder, list[None]()

        def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.append(None)
            writer.close()

        server = await asyncio.start_server(close, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        elsewhere = f"storage.users=postgresql+psycopg://u@127.0.0.1:{port}/x?connect_timeout=2"
        assert (await _draft(operator, elsewhere)).status == 200
        for visitor in (viewer, operator):
            plan = await visitor.get("/api/v1/plan")
            assert plan.status == 200, plan.text
            assert any("the database of the users changes" in change for change in plan.json["changes"])
        assert sipmesh("topology", "check", topology=network.organisation.file).code == 0
        assert reached == []
        given = {"why": "x", "base": plan.json["base"], "digest": plan.json["digest"], "force": True}
        done = await officer.ask("POST", "/api/v1/publish", json=given)
        assert (done.status, bool(reached)) == (409, True), done.text
        assert "the user database of the draft cannot be used" in done.text
        server.close()

        (folder / "state" / "other.db").touch(0o600)
        with closing(sqlite3.connect(folder / "state" / "other.db")) as other:
            other.execute("CREATE TABLE bookings (name TEXT)")
        was = (folder / "state" / "other.db").read_bytes()
        assert (await _draft(operator, "storage.users=sqlite:///state/other.db")).status == 200
        plan = await viewer.get("/api/v1/plan")
        given = {"why": "x", "base": plan.json["base"], "digest": plan.json["digest"], "force": True}
        done = await officer.ask("POST", "/api/v1/publish", json=given)
        assert done.status == 409
        assert "belongs to another program" in done.text
        assert (folder / "state" / "other.db").read_bytes() == was


async def _draft(visitor: Visitor, change: str) -> Any:
    return await visitor.ask("POST", "/api/v1/draft/change", json={"name": "network", "changes": [change]})


@on_loop
async def test_hosts_of_a_draft_are_not_asked(tmp_path: Path) -> None:
    """Each host that is silent would hold a plan for some seconds."""
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        reached = list[None]()

        def keep(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            reached.append(None)

        silent = [await asyncio.start_server(keep, "127.0.0.1", 0) for _ in range(3)]
        hosts = ",".join(f"127.0.0.1%3A{server.sockets[0].getsockname()[1]}" for server in silent)
        for key in ("users", "messages"):
            change = f"storage.{key}=postgresql+psycopg://u@/x?host={hosts}"
            assert (await _draft(operator, change)).status == 200
        assert (await operator.get("/api/v1/plan")).status == 200
        assert reached == []
        for server in silent:
            server.close()
