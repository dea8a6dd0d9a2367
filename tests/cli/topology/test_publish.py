"""Publishing by hand: while management runs, and while it does not."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from pathlib import Path

import pytest

from cli.world import FE1, FE2, MGMT, Organisation, end, sipmesh
from sipmesh.errors import OperatorError
from sipmesh.server.control_socket import ask
from sipmesh.storage.users.user_database import Users


def with_domain(organisation: Organisation, name: str) -> None:
    text = organisation.file.read_text()
    organisation.file.write_text(text.replace("sip_domains: [example.com", f"sip_domains: [example.com, {name}", 1))


def test_management_that_cannot_start_is_moved_by_a_version_that_is_published_at_rest(
    organisation: Organisation,
) -> None:
    """Another program has its port now: a server that must run to be asked could never be helped."""
    port = organisation.ports[f"{MGMT} server"]
    with socket.create_server(("127.0.0.1", port)):
        assert str(port) in organisation.type("serve", MGMT).err
        with socket.create_server(("127.0.0.1", 0)) as free:
            other = free.getsockname()[1]
        text = organisation.file.read_text()
        organisation.file.write_text(text.replace(f"server: {port}", f"server: {other}"))
        assert "at rest" not in organisation.publish("another port").out
        organisation.serve(FE1)
        assert organisation.type("status").code in {0, 1}
    versions = organisation.type("topology", "history", "--json").json
    assert [one["why"] for one in versions][1:] == ["ports that are free", "another port"]
    assert organisation.type("audit", "verify").code == 0


@pytest.mark.wide
def test_a_server_beside_management_begins_with_what_was_published_meanwhile(organisation: Organisation) -> None:
    organisation.serve(FE1)
    organisation.stop()
    organisation.servers.clear()
    with_domain(organisation, "example.net")
    organisation.publish("while all were off")
    log = organisation.folder / f"{FE1}.log"
    log.unlink()
    organisation.servers[FE1] = organisation.spawn("serve", FE1, log=log)
    organisation.wait_for(FE1)
    assert '"version": 3' in log.read_text()


def test_what_would_break_something_needs_force_at_rest_too(organisation: Organisation) -> None:
    users = Users(organisation.folder / "users.db")
    users.add("sip:alice@example.com", "alice-secret")
    users.close()
    text = organisation.file.read_text()
    organisation.file.write_text(text.replace("sip_domains: [example.com", "sip_domains: [example.net"))
    left = organisation.type("topology", "publish", "-m", "another domain")
    assert left.code == 1
    assert "--force" in left.err
    assert len(organisation.type("topology", "history", "--json").json) == 2
    assert '"refused"' in organisation.type("audit", "--json").out.splitlines()[-1]
    assert organisation.type("topology", "publish", "-m", "another domain", "--force").code == 0
    assert organisation.type("topology", "history", "--json").json[-1]["forced"] is True


def test_name_of_the_organisation_stays_at_rest_too(organisation: Organisation) -> None:
    text = organisation.file.read_text()
    organisation.file.write_text(text.replace("organisation: example.com", "organisation: Another"))
    left = organisation.type("topology", "publish", "-m", "another name", "--force")
    assert (left.code, "an organisation cannot change its name" in left.err) == (1, True)
    organisation.file.write_text(text)
    assert organisation.type("topology", "publish", "-m", "the same name").code == 0


def test_numbers_of_servers_are_overtaken_by_a_server_that_runs(organisation: Organisation) -> None:
    left = organisation.type("topology", "publish", "-m", "shut out", "--overtake")
    assert (left.code, "start it first" in left.err) == (1, True)
    assert len(organisation.type("topology", "history", "--json").json) == 2


def test_a_version_is_shown_as_it_was_published(organisation: Organisation) -> None:
    before = organisation.file.read_text()
    with_domain(organisation, "example.net")
    organisation.publish("another domain")
    assert organisation.type("topology", "show", "2").out == before
    assert organisation.type("topology", "show", "3").out == organisation.file.read_text()
    assert organisation.type("topology", "show", "9").code == 1


def test_a_check_says_what_is_not_published(organisation: Organisation) -> None:
    assert "equals version 2" in organisation.type("topology", "check").out
    with_domain(organisation, "example.net")
    assert "differs from version 2" in organisation.type("topology", "check").out
    assert "example.net" in organisation.type("topology", "check", "--json").json["unpublished"][0]


@pytest.mark.wide
def test_a_server_that_joins_by_a_version_is_not_waited_for(organisation: Organisation) -> None:
    """A new server cannot run before the version that names it, and has no users. A stopped server that has run is reported."""
    organisation.serve(FE1)
    text = organisation.file.read_text()
    organisation.file.write_text(text.replace("      #- {name: fe2", "      - {name: fe2"))
    told = organisation.publish("a second front end").out
    assert "In force on 1 server" in told
    assert f"Not started yet: {FE2}." in told
    organisation.add_user("alice")
    assert organisation.type("user", "disable", "alice").code == 0
    assert organisation.type("ca", "issue", "--all").code == 0
    organisation.serve(FE2)
    end(organisation.servers.pop(FE2))
    with_domain(organisation, "example.net")
    left = organisation.type("topology", "publish", "-m", "another domain", "--wait", "1")
    assert left.code == 1
    assert f"NOT yet in force on {FE2}" in left.out


def test_two_servers_share_a_process_and_a_failed_start_stops_both(organisation: Organisation) -> None:
    organisation.serve_together(MGMT, FE1)
    assert organisation.type("status", "--json").json["servers"][0]["linked"] is True
    log = organisation.folder / f"{MGMT}.log"
    organisation.servers[MGMT].send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while log.read_text().count('"event": "topology in force"') < 2:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    assert {MGMT, FE1} == {
        answer for answer in (MGMT, FE1) if (organisation.folder / "state" / f"{answer}.sock").exists()
    }
    again = organisation.type("serve", MGMT, FE1)
    assert again.code == 1
    organisation.stop()
    organisation.servers.clear()
    assert log.read_text().count('"event": "stopped"') == 2
    with socket.create_server(("127.0.0.1", organisation.ports[f"{FE1} client"])):
        left = organisation.type("serve", MGMT, FE1)
    assert (left.code, str(organisation.ports[f"{FE1} client"]) in left.err) == (1, True)
    assert not list(Path(organisation.folder / "state").glob("*.sock"))


@pytest.mark.wide
def test_a_rollback_reports_what_it_changes_as_a_publication_does(organisation: Organisation) -> None:
    organisation.serve(FE1)
    with_domain(organisation, "example.net")
    organisation.publish("another domain")
    back = organisation.type("topology", "rollback", "2", "-m", "a mistake")
    assert back.code == 0, back.err
    assert "Since version 3:" in back.out
    assert "example.net" in back.out
    assert "Nothing has changed since version 4." in organisation.type("topology", "rollback", "2").out


def test_a_machine_that_has_joined_says_where_the_history_is(organisation: Organisation, tmp_path: Path) -> None:
    """And not that nothing was ever published."""
    (tmp_path / "state").mkdir()
    organisation.serve(FE1)
    (tmp_path / "state" / f"{FE1}.topology").write_bytes(
        (organisation.folder / "state" / f"{FE1}.topology").read_bytes()
    )
    left = sipmesh("topology", "history", topology=tmp_path / "topology.yaml")
    assert (left.code, "on the management server" in left.err) == (1, True)


@pytest.mark.wide
def test_file_that_is_named_is_the_published_file(organisation: Organisation) -> None:
    """While management runs, and while it does not; topology.yaml is unchanged, and its changes stay unpublished."""
    other = organisation.folder / "other.yaml"
    for domain, runs in (("example.net", False), ("example.org", True)):
        if runs:
            organisation.serve(FE1)
        text = organisation.file.read_text()
        other.write_text(text.replace("sip_domains: [example.com", f"sip_domains: [example.com, {domain}", 1))
        published = sipmesh("topology", "publish", "-m", domain, "-t", str(other))
        assert published.code == 0, published.out + published.err
        assert domain in published.out
        version = organisation.type("topology", "history", "--json").json[-1]
        assert version["why"] == domain
        assert organisation.type("topology", "show", str(version["version"])).out == other.read_text()
        assert organisation.file.read_text() == text
    assert "other.yaml is published. topology.yaml is unchanged" in published.out


def test_file_of_another_folder_is_not_published(organisation: Organisation, tmp_path: Path) -> None:
    """Its relative names would begin elsewhere."""
    organisation.serve(FE1)
    before = organisation.type("topology", "history", "--json").json
    path = organisation.folder / "state" / f"{MGMT}.sock"
    (tmp_path / "other.yaml").write_text(organisation.file.read_text())
    for name in ("../other.yaml", str(tmp_path / "other.yaml"), "state/../topology.yaml", "", ".."):
        with pytest.raises(OperatorError, match="draft"):
            asyncio.run(ask(path, "plan", draft=name))
    assert organisation.type("topology", "history", "--json").json == before


def with_users_in(organisation: Organisation, url: str) -> None:
    text = organisation.file.read_text()
    head = text.partition("\nstorage:")[0]
    organisation.file.write_text(f"{head}\nstorage: {{users: '{url}'}}\n" if url else f"{head}\n")


@pytest.mark.wide
def test_a_users_database_that_does_not_open_is_not_published(organisation: Organisation) -> None:
    """Neither while management runs nor while it does not; `topology check` opens nothing; the valid one is published."""
    url = "postgresql+psycopg://nobody@127.0.0.1:1/users"
    with_users_in(organisation, url)
    for running in (False, True):
        if running:
            with_users_in(organisation, "")
            organisation.serve()
            with_users_in(organisation, url)
        assert organisation.type("topology", "check").code == 0
        left = organisation.type("topology", "publish", "-m", "another database")
        assert (left.code, "the user database of the draft cannot be used" in left.err) == (1, True), left.err
    with_users_in(organisation, "sqlite:///other.db")
    assert organisation.type("topology", "check").code == 0
    assert not (organisation.folder / "other.db").exists()
    assert organisation.type("topology", "publish", "-m", "another database", "--wait", "0").code == 0


def test_a_users_database_that_no_longer_opens_is_published_away_at_rest(organisation: Organisation) -> None:
    """It was overwritten, so that management cannot start; the version that names another one needs it for nothing."""
    file = organisation.folder / "people.db"
    with_users_in(organisation, "sqlite:///people.db")
    assert organisation.type("topology", "publish", "-m", "a file of their own").code == 0
    file.write_text("no database\n" * 100)
    file.chmod(0o600)
    assert organisation.type("serve", MGMT).code == 1
    with_users_in(organisation, "")
    done = organisation.type("topology", "publish", "-m", "back")
    assert done.code == 0, done.err
    assert "the user database could not be read" in done.out
    organisation.serve()
