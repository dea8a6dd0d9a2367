"""A clock that jumps is one fault, at its cause; the remedy that `sipmesh status` prints mends it.

Each server is a process with a clock of its own, which libfaketime sets; the monotonic clock is that of the machine. One test
follows another on the same network.
"""

from __future__ import annotations

import asyncio
import html
import math
import re
import shlex
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import aiohttp
import pytest

from cli.world import EDGE, FE1, FE2, MGMT, START_S, Organisation, end, environment
from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.console.access.secret_table import hash_of
from support.alert_rules import fired
from support.figures import LOOK_AGAIN_S, Figures, figures

pytestmark = pytest.mark.wide

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
SERVERS = (MGMT, FE1, FE2, EDGE)
WEEKS_AHEAD, WEEK_S = "+24d", 7 * 86_400
"""A certificate is valid for 30 days, and is renewed in the last ten of them."""

DAYS_BEHIND = "-9d"
RIGHT, DAYS_AHEAD, HOUR_AHEAD, HOUR_BEHIND = "+0", "+9d", "+1h", "-1h"
TOKEN = "viewer-token"
ALERTS = {"SipmeshServerFault"}


class Clocks:
    """The servers of an organisation, each with a clock that can be set.

    `FE1` and `MGMT` show their metrics at *ports*; `MGMT` serves the console at *console*.
    """

    def __init__(self, organisation: Organisation, ports: Mapping[str, int], console: int) -> None:
        self.organisation, self.ports, self.console = organisation, ports, console
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def set(self, to: str, *servers: str) -> None:
        """Set the clocks of *servers*: *to* is the difference to the right time."""
        for name in servers:
            file = self._file(name)
            file.with_suffix(".new").write_text(to)
            file.with_suffix(".new").replace(file)

    def _file(self, server: str) -> Path:
        return self.organisation.folder / f"{server}.clock"

    def _environment(self, server: str) -> Mapping[str, str]:
        return environment() | {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(server)),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def start(self) -> None:
        self.set(RIGHT, *SERVERS)
        self.run(*SERVERS)

    def run(self, *servers: str) -> None:
        """Start *servers*, and wait until they answer."""
        for name in servers:
            command = [sys.executable, "-m", "sipmesh", "serve", name, "--topology", str(self.organisation.file)]
            with (self.organisation.folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=self._environment(name)
                )
        for name in servers:
            self.organisation.wait_for(name, self._processes[name])

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
            end(process)

    def end(self, server: str) -> None:
        """Stop a server."""
        process = self._processes.pop(server)
        process.terminate()
        end(process)

    def figures(self, holds: Callable[[float], bool]) -> Figures:
        """Wait until *holds* is true of the seconds after which the first certificate ends; gives all figures."""
        deadline = time.monotonic() + 2 * START_S
        while True:
            found = asyncio.run(figures(self.ports[FE1]))
            left = [
                value
                for (name, labels), value in found.items()
                if name == "sipmesh_ends_in_seconds" and "CRL" not in dict(labels)["what"]
            ]
            if left and holds(min(left)):
                return found
            assert time.monotonic() < deadline, left
            time.sleep(LOOK_AGAIN_S)

    def counted(self, **codes: float) -> Figures:
        """Wait until the metric of management counts these faults of servers, by their codes; gives all its figures."""
        deadline = time.monotonic() + START_S
        while True:
            found = asyncio.run(figures(self.ports[MGMT]))
            counts = {
                of["code"]: value
                for name, labels in found
                if name == "sipmesh_network_faults"
                and (of := dict(labels))["kind"] == "server"
                and (value := found[name, labels])
            }
            if counts == codes:
                return found
            assert time.monotonic() < deadline, counts
            time.sleep(LOOK_AGAIN_S)

    async def page_of_servers(self) -> str:
        """Give the page of the console that shows all servers."""
        context = ssl.create_default_context(cafile=str(self.organisation.root))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"https://{HOST}:{self.console}/status"
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(url, ssl=context, server_hostname=MGMT) as answer,
        ):
            assert answer.status == 200
            return html.unescape(await answer.text())

    def type_at(self, server: str, *arguments: str, code: int = 0) -> str:
        """Run a command on the machine of *server*, by its clock, which ends with *code*; gives what it prints."""
        command = [sys.executable, "-m", "sipmesh", *arguments]
        env = {**self._environment(server), "SIPMESH_TOPOLOGY": str(self.organisation.file)}
        ended = subprocess.run(
            command, env=env, check=False, timeout=START_S, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert ended.returncode == code, ended.stdout
        return ended.stdout

    def fault(self, wanted: str) -> str:
        """Wait until `sipmesh status` has one fault, which names *wanted*; give what it prints.

        In the moment of the jump a server may show others too: its links are opened again.
        """
        return self.status(1, wanted, most=1)

    def status(self, code: int, wanted: str = "", most: float = math.inf) -> str:
        """Wait until `sipmesh status` ends with *code*, names *wanted*, and has *most* faults; give what it prints."""
        deadline = time.monotonic() + 2 * START_S
        while True:
            shown = self.organisation.type("status")
            if shown.code == code and wanted in shown.out and len(faults(shown.out)) <= most:
                return shown.out
            assert time.monotonic() < deadline, shown.out
            time.sleep(0.1)


@pytest.fixture(name="clocks", scope="module")
def _clocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clocks]:
    if not LIBRARY.exists():
        pytest.skip("needs faketime, which tools/peers installs")
    organisation = Organisation.make(tmp_path_factory.mktemp("c") / "c", whole=True)
    made = Clocks(organisation, {FE1: free_port(), MGMT: free_port()}, free_port())
    text = organisation.file.read_text()
    for name, port in made.ports.items():
        plain = f"{{name: {name}, address: 127.0.0.1"
        assert plain in text
        text = text.replace(plain, f"{plain}, metrics: {port}")
    viewer = f"{{name: ada, role: viewer, token_sha256: {hash_of(TOKEN)}}}"
    organisation.file.write_text(f"{text}\nconsole: {{listen: {HOST}:{made.console}, operators: [{viewer}]}}\n")
    organisation.publish("metrics, and a console")
    try:
        made.start()
        yield made
    finally:
        made.stop()


def faults(shown: str) -> list[str]:
    """Give the lines of faults of what `sipmesh status` has printed."""
    return [line for line in shown.splitlines() if line.startswith("✗")]


def must_be_on_the_page(clocks: Clocks, server: str, what: str) -> None:
    """The row of *server*, and no other, has a fault of a clock; below it is the remedy."""
    page = asyncio.run(clocks.page_of_servers())
    below = page[page.index(f">{server}</a></th>") :].split("<tr", 2)[1]
    assert (page.count("its clock is"), page.count("set the clock of")) == (1, 1), page
    assert re.search(what, below), page
    assert f"set the clock of {server}, for example by NTP" in below, page


@pytest.mark.peer("promtool")
@pytest.mark.parametrize(
    ("server", "to", "side"),
    [(FE2, HOUR_AHEAD, "ahead of"), (FE2, HOUR_BEHIND, "behind"), (EDGE, HOUR_AHEAD, "ahead of")],
)
def test_server_with_a_wrong_clock_is_one_fault_until_its_clock_is_set(
    clocks: Clocks, tmp_path: Path, server: str, to: str, side: str
) -> None:
    """Metric, alert and console say it as `status` does, and end with it."""
    clocks.status(0)
    well = clocks.counted()
    clocks.set(to, server)
    shown = clocks.fault("its clock is")
    (fault,) = faults(shown)
    what = rf"its clock is 3[56]\d\d s {side} that of management"
    assert re.match(rf"✗ {server}: {what}", fault), shown
    assert f"set the clock of {server}" in shown
    must_be_on_the_page(clocks, server, what)
    bad = clocks.counted(clock=1)
    clocks.set(RIGHT, server)
    clocks.status(0)
    assert "clock" not in asyncio.run(clocks.page_of_servers())
    after = clocks.counted()
    assert fired(tmp_path, ALERTS, well, bad, after, after) == {"before": set(), "during": ALERTS, "after": set()}


@pytest.mark.peer("promtool")
@pytest.mark.parametrize(
    ("server", "to", "side"),
    [
        (FE2, WEEKS_AHEAD, "ahead of"),
        (FE2, DAYS_BEHIND, "behind"),
        (EDGE, WEEKS_AHEAD, "ahead of"),
        (EDGE, DAYS_BEHIND, "behind"),
    ],
)
def test_server_that_starts_with_a_wrong_clock_and_refuses_all_is_one_fault_until_its_clock_is_set(
    clocks: Clocks, tmp_path: Path, server: str, to: str, side: str
) -> None:
    """It sends no report: its peers have its time from the handshake. Metric, alert and console say it too."""
    clocks.status(0)
    well = clocks.counted()
    clocks.end(server)
    clocks.set(to, server)
    clocks.run(server)
    thousands = 86_400 * int(to[1:-1]) // 1000  # a handshake may show a second less
    shown = clocks.fault(f"{server}: its clock is {thousands}")
    assert f"s {side} that of management" in faults(shown)[0], shown
    assert f"set the clock of {server}" in shown
    doctor = clocks.organisation.type("doctor").out
    assert f"{server}: its clock is" in doctor, doctor
    told = clocks.organisation.type("status", "--json").json
    assert [one["code"] for server in told["servers"] for one in server["faults"]] == ["clock"], told
    explained = clocks.organisation.type("explain", clocks.organisation.address(server, "server"), "--as", FE1).out
    assert f"s {side} that of this machine" in explained, explained
    assert f"set the clock of {server}, for example by NTP" in explained, explained
    there = clocks.type_at(server, "explain", clocks.organisation.address(FE1, "server"), "--as", server, code=1)
    assert "set the clock of this machine, for example by NTP" in there, there
    must_be_on_the_page(clocks, server, rf"its clock is {thousands}\d\d\d s {side} that of management")
    bad = clocks.counted(clock=1)
    clocks.set(RIGHT, server)
    clocks.status(0)
    assert "clock" not in asyncio.run(clocks.page_of_servers())
    after = clocks.counted()
    assert fired(tmp_path, ALERTS, well, bad, after, after) == {"before": set(), "during": ALERTS, "after": set()}


@pytest.mark.parametrize(("to", "side"), [(WEEKS_AHEAD, "ahead of"), (DAYS_BEHIND, "behind")])
def test_management_that_starts_with_a_wrong_clock_is_one_fault_until_its_clock_is_set(
    clocks: Clocks, to: str, side: str
) -> None:
    clocks.status(0)
    clocks.end(MGMT)
    clocks.set(to, MGMT)
    clocks.run(MGMT)
    shown = clocks.fault(f"✗ {MGMT}: its clock is {86_400 * int(to[1:-1]) // 1000}")
    doctor = clocks.type_at(MGMT, "doctor", code=1)
    assert doctor.count("→ set the clock") == (2 if to == DAYS_BEHIND else 1), (
        doctor
    )  # of this host, and of the network
    assert "correct the clocks" not in doctor, doctor
    assert f"s {side} the clocks of most servers" in faults(shown)[0], shown
    clocks.set(RIGHT, MGMT)
    clocks.status(0)


def test_management_with_a_wrong_clock_is_one_fault_and_no_server_counts_as_silent(clocks: Clocks) -> None:
    """The age of a report is that of the monotonic clock: a jump of nine days makes no server silent."""
    clocks.status(0)
    clocks.set(DAYS_AHEAD, MGMT)
    shown = clocks.fault(f"✗ {MGMT}: its clock is 777")  # once most servers have reported
    assert "sends no reports" not in shown
    assert f"set the clock of {MGMT}" in shown
    clocks.set(RIGHT, MGMT)
    clocks.status(0)


def test_expired_crl_after_a_jump_of_all_clocks_is_a_fault_of_the_ca_until_it_signs_again(clocks: Clocks) -> None:
    """The command in the remedy is typed as it is printed, on the machine of management."""
    clocks.status(0)
    clocks.set(DAYS_AHEAD, *SERVERS)
    shown = clocks.fault("sipmesh ca crl")
    assert "CRL" in faults(shown)[0], shown
    remedy = re.search(r"→ .*?: sipmesh ([^;]+);", shown)
    assert remedy is not None, shown
    clocks.type_at(MGMT, *shlex.split(remedy[1]))
    clocks.status(0)


@pytest.mark.peer("promtool")
def test_certificate_that_ends_soon_because_management_is_off_is_renewed_once_it_runs(
    clocks: Clocks, tmp_path: Path
) -> None:
    """The last test: the clocks stay where they are, since a clock that goes back is another fault."""
    clocks.status(0)
    well = clocks.figures(lambda left: left > WEEK_S)
    clocks.end(MGMT)
    clocks.set(WEEKS_AHEAD, *SERVERS)
    bad = clocks.figures(lambda left: left < WEEK_S)
    shown = clocks.type_at(MGMT, "ca", "inventory", code=1)
    assert f"to renew it: sipmesh ca issue {FE1}" in shown, shown
    clocks.run(MGMT)
    after = clocks.figures(lambda left: left > WEEK_S)
    clocks.status(0)
    alerts = {"SipmeshExpiresSoon"}
    phases = fired(tmp_path, alerts, well, bad, after, after, every_s=60)
    assert phases == {"before": set(), "during": alerts, "after": set()}
