"""The one command of the page on public certificates, on a host with a public address: then two real phones call each other.

The hosts are network namespaces, with the ports of the page. The CA is Pebble, which the hosts trust as a system trusts its CAs.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.world import until
from interop.baresip import Baresip
from support.checkout import ROOT
from support.namespaces import SWITCH, Host, Hosts, require_namespaces
from support.pebble import WEB, make_web_certificate
from support.programs import ended
from support.running import on_loop

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from types import TracebackType

pytestmark = [pytest.mark.soak, pytest.mark.peer("baresip"), pytest.mark.peer("pebble")]

PAGE = ROOT / "docs/howto/public-certificates.md"
SERVER, CA, ADDRESS = "fe1.example.com", "172.65.32.248", "203.0.113.5"
HOSTS = {"server": "192.0.2.10", "ca": "192.0.2.11", "alice": "192.0.2.21", "bob": "192.0.2.22"}
ROOTS = "/etc/ssl/certs/ca-certificates.crt"
FETCH = "import ssl,sys,urllib.request as r; print(r.urlopen(sys.argv[1], cafile=sys.argv[2]).read().decode())"
PACKETS = 10


def the_command() -> list[str]:
    """The words of the command of the page, with the directory of Pebble in place of Let's Encrypt."""
    [line] = re.findall(r"^sipmesh init .*$", PAGE.read_text(), re.MULTILINE)
    words = shlex.split(line)
    words[words.index("letsencrypt")] = f"https://{WEB}/dir"
    return words


class Phone(Baresip):
    """A real phone on a host of its own; it knows the roots of the system alone."""

    _relay: Process

    def __init__(self, host: Host) -> None:
        self.host, user = host, host.folder.name
        server = f"{SERVER}:5061"
        super().__init__(
            host.folder / "phone", user, f"{user}-secret", "example.com", server, anchor=Path(ROOTS), dns=f"{SWITCH}:53"
        )
        config = self.folder / "config"
        config.write_text(config.read_text().replace("net_interface 127.0.0.1", "net_interface eth0"))
        config.write_text(config.read_text().replace("sip_listen 127.0.0.1:0", "sip_listen 0.0.0.0:0"))
        self.within = host.inside(())

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        """Reach its control port from its own host."""
        relay = (
            f"until exec 3<>/dev/tcp/127.0.0.1/{self.control}; do sleep 0.1; done 2>/dev/null; cat <&3 & exec cat >&3"
        )
        self._relay = await asyncio.create_subprocess_exec(
            *self.host.inside(("bash", "-c", relay)), stdin=PIPE, stdout=PIPE
        )
        assert self._relay.stdout is not None
        assert self._relay.stdin is not None
        return self._relay.stdout, self._relay.stdin

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        await super().__aexit__(_type, _error, _trace)
        await ended(self._relay)


@pytest.fixture(name="hosts")
def _hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    require_namespaces()
    folder = tmp_path_factory.mktemp("h")
    with Hosts(folder, HOSTS) as hosts:
        for host in hosts.hosts.values():
            host.files[ROOTS] = folder / "roots.pem"
        hosts.has_public("ca", CA)
        hosts.has_public("server", ADDRESS)
        hosts.serve_names({(WEB, "A"): [CA], (SERVER, "A"): [ADDRESS]})
        yield hosts


def run_ca(host: Host, roots: Path) -> None:
    """Run Pebble, and have the system of each host trust its roots."""
    make_web_certificate(host.folder)
    roots.write_bytes((host.folder / "web.pem").read_bytes())
    listening = {
        "listenAddress": f"{CA}:443",
        "managementListenAddress": "127.0.0.1:15000",
        "httpPort": 80,
        "tlsPort": 443,
    }
    files = {"certificate": "leaf.pem", "privateKey": "leaf.key"}
    settings = {**listening, **files, "certificateValidityPeriod": 7776000, "retryAfter": {"authz": 1, "order": 1}}
    (host.folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    host.start("env", "PEBBLE_VA_NOSLEEP=1", "pebble", "-config", "pebble.json", log=host.folder / "log")
    until("Listening on", host.folder / "log")
    until("Management interface", host.folder / "log")
    read = host.type(sys.executable, "-c", FETCH, "https://127.0.0.1:15000/roots/0", "web.pem")
    assert read.code == 0, read.err
    with roots.open("a") as file:
        file.write(read.out)


@on_loop
async def test_one_command_leads_from_a_public_name_to_two_phones_that_call(hosts: Hosts) -> None:
    server = hosts["server"]
    run_ca(hosts["ca"], server.files[ROOTS])
    log = server.folder / "log"
    options = ("--password-stdin", "--digest", "md5")  # instead of a terminal; the page says who needs MD5
    server.start(*the_command(), *options, log=log, typed="alice-secret\nbob-secret\n")
    until("certificate of a public CA", log)
    async with Phone(hosts["alice"]) as alice, Phone(hosts["bob"]) as bob:
        await alice.registered()
        await bob.registered()
        await alice.command("dial", "sip:bob@example.com")
        await bob.event("CALL_ESTABLISHED")
        await alice.event("CALL_ESTABLISHED")
        await bob.hears(PACKETS)
        await alice.hears(PACKETS)
        assert "SRTP is Enabled" in alice.log
