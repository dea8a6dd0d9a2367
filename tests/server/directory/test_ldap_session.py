"""Searches: whole answers only, by pages, with names that are values and no filters; tried with a real OpenLDAP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.directory import ldap_session
from sipmesh.server.directory.directory_reader import read_entry
from sipmesh.server.directory.ldap_session import escaped
from support.directory_ca import HOST
from support.directory_world import DirectoryWorld, directory_world
from support.openldap import PEOPLE, SUFFIX, add, write_password
from support.tiers import WIDE

pytestmark = pytest.mark.peer("openldap")


def test_many_entries_arrive_by_pages(world: DirectoryWorld) -> None:
    count = 2 * ldap_session.PAGE + 1
    with world.ldap.administrator() as admin:
        for n in range(count):
            add(admin, f"uid=u{n},{PEOPLE}", objectClass="inetOrgPerson", uid=f"u{n}", cn="U", sn="U")
    assert len(world.look().answer.entries) == count


@pytest.mark.parametrize(("total", "reason"), [("3", "Size limit exceeded"), ("4", "")])
def test_answer_that_is_not_whole_is_an_error(tmp_path: Path, total: str, reason: str) -> None:
    """The server gives three entries of four, and says that there is more; the control gives all four."""
    with directory_world(tmp_path, total=total) as world:
        for name in ("carol", "dave", "erin", "frank"):
            world.ldap.person(name)
        if not reason:
            assert len(world.look().answer.entries) == 4
            return
        with pytest.raises(OperatorError, match=reason):
            world.look()
        with pytest.raises(OperatorError, match=reason):
            world.sync()
        assert set(world.users()) == {"alice", "bob"}


@contextmanager
def cutting(port: int, after: int) -> Iterator[int]:
    """A wire to *port* that is cut after so many octets from the server; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def carry() -> None:
            client, _ = listening.accept()
            with client, socket.create_connection(("127.0.0.1", port)) as server, suppress(OSError):
                threading.Thread(target=_copy, args=(client, server), daemon=True).start()
                _copy(server, client, after)

        threading.Thread(target=carry, daemon=True).start()
        yield listening.getsockname()[1]


def _copy(source: socket.socket, target: socket.socket, most: int = 1 << 40) -> None:
    with suppress(OSError):
        while most > 0 and (data := source.recv(min(65_536, most))):
            target.sendall(data)
            most -= len(data)


@pytest.mark.parametrize(("after", "is_cut"), [pytest.param(6_000, True, marks=WIDE), (1 << 30, False)])
def test_connection_that_ends_in_the_middle_is_an_error(world: DirectoryWorld, after: int, is_cut: bool) -> None:  # noqa: FBT001
    for n in range(30):
        world.ldap.person(f"u{n}", description="x" * 1_000, displayName="y" * 500)
    with cutting(world.ldap.ldaps, after) as port:
        servers = [{"name": f"{HOST}:{port}", "address": "127.0.0.1"}]
        if is_cut:
            with pytest.raises(OperatorError, match=r"does not answer|cannot be used"):
                world.sync(more={"servers": servers})
            assert set(world.users()) == {"alice", "bob"}
        else:
            world.sync(more={"servers": servers})
            assert len(world.users()) == 32


def test_no_entry_at_all_is_an_error(world: DirectoryWorld) -> None:
    with pytest.raises(OperatorError, match="has no entry that fits"):
        world.look()


def test_base_that_is_elsewhere_is_an_error_and_no_server_is_asked_for_it(world: DirectoryWorld) -> None:
    """The server refers to another one, which a client that follows referrals would connect to, and log in at."""
    world.ldap.person("carol")
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.2)
        url = f"ldap://127.0.0.1:{elsewhere.getsockname()[1]}/"
        with world.ldap.administrator() as admin:
            for dn in (f"ou=remote,{SUFFIX}", f"ou=remote,{PEOPLE}"):
                add(admin, dn, objectClass=["referral", "extensibleObject"], ref=url + dn, ou="remote")
        with pytest.raises(OperatorError, match="referrals are not followed"):
            world.look(base=f"ou=remote,{SUFFIX}")
        looked = world.look()  # a reference below the base is passed over
        assert [entry.aor for entry in looked.answer.entries] == ["sip:carol@example.test"]
        with pytest.raises(TimeoutError):
            elsewhere.accept()


@pytest.mark.parametrize("password", ["wrong", "correct horse"])
def test_login_decides(world: DirectoryWorld, password: str) -> None:
    world.ldap.person("carol")
    write_password(world.folder, password)
    if password == "wrong":
        with pytest.raises(OperatorError, match=r"refuses the login as cn=sipmesh.*Invalid credentials"):
            world.look()
    else:
        assert world.look().answer.entries


@pytest.mark.parametrize("name", ["*", "*)(uid=*", "carol)(|(uid=*", "ca*l", "\\2a", "c\x00arol", "(", "käthe"])
def test_name_with_a_filter_in_it_finds_only_who_has_this_name(world: DirectoryWorld, name: str) -> None:
    for uid in ("carol", "dave"):
        world.ldap.person(uid)
    answer, _ = read_entry(world.loaded(), name, datetime.now(UTC))
    assert (list(answer.entries), dict(answer.unusable)) == ([], {})
    answer, _ = read_entry(world.loaded(), "carol", datetime.now(UTC))
    assert [entry.aor for entry in answer.entries] == ["sip:carol@example.test"]


def test_octets_of_a_value_are_escaped() -> None:
    assert escaped(b"a1*()\\\x00\xc3") == "a1\\2a\\28\\29\\5c\\00\\c3"
