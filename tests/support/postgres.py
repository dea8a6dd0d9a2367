"""A PostgreSQL server of our own: a folder and a Unix socket of its own, and a database for each test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psycopg

from sipmesh.server.process.fork_server import die_with_parent
from support.commands import found
from support.running import LOOK_AGAIN_S

OWNER, PASSWORD = "sipmesh", "database-secret"
START_S = 20.0
UNPRIVILEGED = "nobody"
SETTINGS = {
    "listen_addresses": "",
    "timezone": "Asia/Tokyo",  # as an operator's server may have: what we keep must not depend on it
    "fsync": "off",  # it is processes that are killed here, not machines
    "autovacuum": "off",
    "shared_buffers": "16MB",
}
_HANG_UP = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


class Cluster:
    """One PostgreSQL server; PostgreSQL does not run as root, so that there it runs as *nobody*."""

    def __init__(self, **settings: str) -> None:
        """Make its folder; the cluster is made and runs within ``with``, with further *settings*."""
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket has a path of 107 bytes at most
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            other = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self.folder, other.pw_uid, other.pw_gid)
            self._as = {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": ()}
        self._data, self._log = self.folder / "data", self.folder / "log"
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers, self._uses, self._free = count(1), count(1), list[str]()

    def __repr__(self) -> str:
        return f"<Cluster in {self.folder}, {'up' if self._server else 'down'}>"

    def __enter__(self) -> Self:
        try:
            self._make()
            self.start()
            self._run(f"ALTER ROLE {OWNER} PASSWORD '{_verifier(PASSWORD)}'")
            os.environ["PGPASSWORD"] = PASSWORD  # a topology names the database without its password
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Run the server and wait until it lets us in.

        Call it in the main thread: with the thread that has started it the server ends.
        """
        settings = {**SETTINGS, "unix_socket_directories": str(self.folder), **self._settings}
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [_command("postgres"), "-D", str(self._data), *given],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl
                **self._as,
            )
        self._until_ready(self._server)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End the server and every connection to it: "fast", so no client is waited for; or by another signal."""
        assert self._server is not None
        server, self._server = self._server, None
        server.send_signal(number)
        server.wait(START_S)

    def kill(self) -> None:
        """End the server as a crash does ("immediate"): it writes nothing more, and recovers at its next start."""
        self.stop(signal.SIGQUIT)

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Let the server take no new connection; those that are open are served on."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.send_signal(signal.SIGCONT)

    def url(self, database: str) -> str:
        """The URL of a database, as an operator writes it."""
        return f"postgresql+psycopg://{OWNER}:{PASSWORD}@/{database}?host={quote(str(self.folder), safe='')}"

    def set(self, settings: Mapping[str, str]) -> None:
        """Add *settings*, before the server starts."""
        self._settings |= settings

    def give(self, name: str, content: bytes) -> Path:
        """Write a file that only PostgreSQL can read."""
        file = self.folder / name
        file.write_bytes(content)
        file.chmod(0o600)
        if self._as:
            os.chown(file, self._as["user"], self._as["group"])
        return file

    @staticmethod
    def public(url: str) -> str:
        """The URL of a database as a topology may have it."""
        return url.replace(f":{PASSWORD}@", "@")

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of an empty database that no other test has meanwhile; it is emptied for the next test, not dropped.

        To make one takes PostgreSQL ten times as long. No URL comes twice: a lease that a test before has left in this process
        is found by it (`sipmesh.database.shared`).
        """
        if not self._free:
            self._free.append(name := f"test{next(self._numbers)}")
            self._run(f"CREATE DATABASE {name} TEMPLATE template0")
        name = self._free.pop()
        try:
            yield f"{self.url(name)}&application_name={next(self._uses)}"
        finally:
            if self._server is None:
                self.start()
            self._run(f"{_HANG_UP}; DROP SCHEMA public CASCADE; CREATE SCHEMA public", name)
            self._free.append(name)

    def dump(self, name: str) -> bytes:
        """Give all of a database, as an operator keeps it."""
        return self._tool("pg_dump", "--no-owner", "--schema=public", name)

    def restore(self, name: str, dump: bytes) -> None:
        """Put a dump in the place of what a database has, in one transaction; each connection to it ends."""
        self._run(_HANG_UP, name)
        self._tool("psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", name, given=b"DROP SCHEMA public CASCADE;\n" + dump)

    def _tool(self, tool: str, *arguments: str, given: bytes = b"") -> bytes:
        command = (_command(tool), "-h", str(self.folder), "-U", OWNER, *arguments)
        ran = subprocess.run(command, check=False, input=given, capture_output=True, env={"PGPASSWORD": PASSWORD})
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout

    @contextmanager
    def model(self, name: str) -> Iterator[str]:
        """Give the URL of a new database; what it has at the end is the model of each `copy`."""
        self._run(f"CREATE DATABASE {name} TEMPLATE template0")
        yield self.url(name)
        self._run(f"ALTER DATABASE {name} RENAME TO {name}_model")

    def copy(self, name: str) -> AbstractContextManager[str]:
        """Give the URL of a copy of a `model`, under the name that the model had; it is dropped afterwards."""
        return self.named(name, f"{name}_model")

    @contextmanager
    def named(self, name: str, template: str = "template0") -> Iterator[str]:
        """Give the URL of a new database of this name; it is dropped afterwards."""
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _make(self) -> None:
        (secret := self.folder / "password").write_text(PASSWORD)
        if self._as:
            os.chown(secret, self._as["user"], self._as["group"])
        options = ("--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256")
        made = subprocess.run(
            [_command("initdb"), "-D", str(self._data), "-U", OWNER, f"--pwfile={secret}", *options],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            **self._as,
        )
        assert made.returncode == 0, made.stdout.decode()

    def _until_ready(self, server: subprocess.Popen[bytes]) -> None:
        latest = time.monotonic() + START_S
        while True:
            assert server.poll() is None, self._log.read_text()
            try:
                self._run("SELECT 1")
            except psycopg.OperationalError:
                assert time.monotonic() < latest, self._log.read_text()
                time.sleep(LOOK_AGAIN_S)
            else:
                return

    def _run(self, statement: str, name: str = "postgres") -> None:
        with psycopg.connect(host=str(self.folder), user=OWNER, password=PASSWORD, dbname=name, autocommit=True) as db:
            db.execute(statement.encode())


def _command(name: str) -> str:
    command = found(name)
    assert command is not None, f"{name} is not installed"
    return command


def _verifier(password: str) -> str:
    """Make what PostgreSQL keeps of a password (RFC 5803), with one iteration: each connection of a test logs in."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    client_key, server_key = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    parts = (base64.b64encode(part).decode() for part in (salt, hashlib.sha256(client_key).digest(), server_key))
    return "SCRAM-SHA-256$1:{}${}:{}".format(*parts)
