"""What holds for every test: real peers are there or it is skipped, and what is tested is what was asked for.

In CI a test whose real peer is not installed fails.
"""

from __future__ import annotations

import gc
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from _pytest.pathlib import import_path
from hypothesis import settings

from support import commands
from support.cpu_time import CpuTimes

MEMORY = Path("/dev/shm")  # noqa: S108 - only a private folder in it is used
ROOM = 4 << 30
"""So many octets must be free in memory for the tests to keep their files there; they use less than one GiB."""

PREFIX = "sm-"


def _folder_in_memory() -> Path | None:
    """Have this process, and each process that a test starts, make temporary files in memory: nobody waits for a disk.

    Gives the folder, which is ours to remove. Folders of runs that have failed, and are over, are removed as well. None if
    the caller has chosen a place (``TMPDIR``), or there is no room.
    """
    if "TMPDIR" in os.environ or not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        return None
    for old in MEMORY.glob(f"{PREFIX}*"):
        pid = old.name.removeprefix(PREFIX).partition("-")[0]
        if old.stat().st_uid == os.geteuid() and (pid == str(os.getpid()) or not Path("/proc", pid).exists()):
            shutil.rmtree(old, ignore_errors=True)
    folder = MEMORY / f"{PREFIX}{os.getpid()}"
    folder.mkdir(0o700)
    folder.chmod(0o711)  # PostgreSQL runs as another user, and has a folder of its own in here
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return folder


FOLDER = _folder_in_memory()

gc.disable()  # until all tests are collected

# Tests start hundreds of interpreters. Without byte code on disk each one compiles all of our sources, and pytest rewrites all
# assertions in each process that tests: a tenth of the whole run.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The same examples in each run, and none is timed: a test that fails has to fail for whoever looks at it next.
settings.register_profile("sipmesh", derandomize=True, deadline=None)
# For `make test`; `make test-wide` tries all examples.
settings.register_profile("quick", settings.get_profile("sipmesh"), max_examples=20)
settings.load_profile("sipmesh")

YOUNG, MIDDLE, OLD = 10_000, 10, 10
"""The thresholds of the garbage collector while tests run."""

COMMANDS = {
    "adcli": "adcli",
    "ansible": "ansible-playbook",
    "asterisk": "asterisk",
    "baresip": "baresip",
    "certbot": "certbot",
    "certtool": "certtool",
    "certutil": "certutil",
    "chromium": "chromium",
    "firefox-esr": "firefox-esr",
    "coturn": "turnserver",
    "rtpengine": "rtpengine",
    "kamailio": "kamailio",
    "kerberos": "krb5kdc",
    "knot": "knotd",
    "lego": "lego",
    "libest": "estclient",
    "linphone": "linphone-daemon",
    "npm": "npm",
    "openssl": "openssl",
    "openldap": "slapd",
    "postgresql": "initdb",
    "samba": "samba",
    "curl": "curl",
    "ssh-keygen": "ssh-keygen",
    "pebble": "pebble",
    "promtool": "promtool",
    "realm": "realm",
    "sipp": "sipp",
    "socat": "socat",
    "softhsm": "softhsm2-util",
    "sslscan": "sslscan",
    "strongswan": "pki",
    "testssl": "testssl",
    "tshark": "tshark",
    "unbound": "unbound",
    "valkey": "valkey-server",
}
"""The command that each peer of the marker `peer` is known by."""

PACKAGES = {"acme": True, "pjsua2": sys.version_info < (3, 13) and platform.machine() == "x86_64"}
"""The peers that are Python packages, and whether there is one for this Python and this machine (`pyproject.toml`)."""


OPTIONAL = frozenset({"asterisk"})
"""The peers that CI may do without: Debian stable lacks them, and `tools/peers` needs a mirror of Debian sid."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make test-compiled` say what it wants to test."""
    parser.addoption("--compiled", action="store_true", help="refuse to test anything but a compiled install")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Keep the paths of tests short: a control socket has a path of 107 octets at most."""
    if FOLDER is not None and config.option.basetemp is None:
        config.option.basetemp = str(FOLDER / "t")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """With ``-n auto``, run three processes on two cores: tests wait for timers and processes a quarter of their time.

    Four took more CPU time, and longer, on a machine that did nothing else.
    """
    cores = len(os.sched_getaffinity(0))
    return cores + cores // 2


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Shorten the paths of a process that runs a share of the tests ("popen-gw0"), and measure the CPU time of tests."""
    worker = getattr(config, "workerinput", None)
    if worker is not None and config.option.basetemp is not None:
        config.option.basetemp = str(Path(config.option.basetemp).with_name(worker["workerid"].removeprefix("gw")))
    if Path("/proc/self/stat").exists():
        config.pluginmanager.register(CpuTimes(), "cpu-times")


def _share(config: pytest.Config) -> list[Path]:
    """Give every n-th test module to one of n processes; none if only some tests were asked for."""
    worker = getattr(config, "workerinput", None)
    tests = config.rootpath / "tests"
    if worker is None or [Path(argument).resolve() for argument in config.args] != [tests]:
        return []
    return sorted(tests.rglob("test_*.py"))[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Import the own share of the tests, then collect all of them.

    In a new checkout the first import of a module writes its assertions anew, which takes longer than all else together.
    Without shares each process would do so with every module.

    The garbage collector is spared what this makes: thousands of objects that live as long as the process.
    """
    for path in _share(session.config):
        with suppress(Exception):  # the collection will tell
            import_path(path, mode="importlib", root=session.config.rootpath, consider_namespace_packages=False)
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Exclude what was collected from the garbage collector, as a server does with the objects of its start.

    Garbage stays too: to look for it takes each process more than half a second, and finds a few megabytes.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def pytest_sessionfinish(exitstatus: int) -> None:
    """Remove what tests have left in memory, unless somebody may want to look at it."""
    if FOLDER is not None and exitstatus == 0:
        shutil.rmtree(FOLDER, ignore_errors=True)


def pytest_sessionstart(session: pytest.Session) -> None:
    """With ``--compiled`` nothing of this checkout's sources may be what is tested."""
    if session.config.getoption("compiled"):
        from sipmesh.cli.versions import __file__ as found
        from sipmesh.cli.versions import built

        if Path(sys.prefix) not in Path(found).parents or built() != "compiled":
            raise pytest.UsageError(f"not compiled, or not in {sys.prefix}: {found}")


def is_installed(peer: str) -> bool:
    """Whether a peer of the marker `peer` is there."""
    if peer in PACKAGES:
        return find_spec(peer) is not None
    return commands.found(COMMANDS[peer]) is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for the peers that a test names before it is set up."""
    for marker in item.iter_markers("peer"):
        for name in marker.args:
            if not is_installed(name):
                reason = f"the real peer {name} is not installed (as root: make peers browsers peer-asterisk)"
                if os.environ.get("CI") and PACKAGES.get(name, name not in OPTIONAL):
                    pytest.fail(reason, pytrace=False)
                pytest.skip(reason)
