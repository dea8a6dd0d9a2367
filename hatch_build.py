"""Compiles the way of a message with mypyc when a wheel is built, where there is a C compiler; the source is the same.

``SIPMESH_COMPILE=0`` wants a wheel of sources alone, ``SIPMESH_COMPILE=1`` takes it for an error if nothing can be compiled.
An editable install runs from source.

A wheel also gets the web phone, where there is npm (``tools/web_phone``); without it, the servers say that it was not built.
``SIPMESH_WEB_PHONE=0`` does not build it, ``SIPMESH_WEB_PHONE=1`` takes it for an error if it cannot be built.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOME = Path("src/sipmesh")
COMPILED = ("sip", "routing", "transport", "server/in_force", "server/proxy", "server/quotas")
"""The packages that every message passes through. Each module in them is compiled, but for those that `FROM_SOURCE` names."""

FROM_SOURCE = {
    **dict.fromkeys(("transport/connector", "transport/accept/listener", "transport/resolver"), "has coroutines"),
    **dict.fromkeys(
        (
            "transport/reactor/event_loop",
            "server/proxy/login/user_stores",
            "server/proxy/control_plane",
            "server/proxy/outside",
        ),
        "is the base of a class that is not compiled",
    ),
    **dict.fromkeys(
        ("transport/tls/contexts", "transport/tls/path_check", "transport/tls/self_handshake"), "runs once"
    ),
    **dict.fromkeys(
        ("transport/reactor/descriptors", "transport/accept/greeting", "server/quotas/known_addresses"),
        "runs once for each link",
    ),
    "transport/accept/random_choice": "the kernel reads memory of a local variable, which compiled code frees after its last use",
    "server/proxy/calls/identity_service": "runs where a partner has a policy about identity only",
    "server/proxy/trunks/signer_lists": "runs for calls with a signature only",
    **dict.fromkeys(("server/proxy/gatekeeper", "server/proxy/counters"), "runs once for each link"),
    **dict.fromkeys(
        ("server/proxy/login/login_failures", "server/proxy/message_refusals", "server/quotas/limited_log"),
        "runs for refusals only",
    ),
    "server/proxy/login/bearer_auth": "imports the module of its HTTP client late, which mypyc takes for unreachable",
    **dict.fromkeys(
        ("transport/dnssec/denial", "transport/dnssec/signed_zone", "transport/dnssec/validation"),
        "runs once a minute for a partner with TLSA records",
    ),
    **dict.fromkeys(
        ("server/proxy/refused_message", "routing/events/history_entry"), "is read back from JSON by its annotations"
    ),
    **dict.fromkeys(
        ("server/quotas/overload_report", "server/quotas/shortage_report"),
        "runs twice a second",
    ),
}
"""Modules of these packages that are not compiled, and why: mypyc mishandles some coroutines and some subclasses."""

ALSO = (
    "storage/call_records/journal_entry",
    "storage/call_records/json_time",
    "storage/location_service/locations",
    "storage/location_service/version_table",
    "storage/users/known_users",
    "topology/server_choice",
    "trust/evidence",
    "trust/trusted_peer",
)
"""Compiled too: what runs for each login, each message to another pool or each record of a call, and the classes that are read
for every message: those of `evidence`, and the peer of a server link."""

OPTIONS = (
    "--config-file=",  # whether the types are right is for `make check` to say; here they only make the code quicker
    "--no-site-packages",  # the same code comes out whether or not our libraries are there: mypyc makes no use of theirs
    "--ignore-missing-imports",
    "--follow-imports=silent",
)
ERRORS = """\
#include <Python.h>
__attribute__((cold)) void CPy_AddTraceback(const char *, const char *, int, PyObject *);
__attribute__((cold)) void CPy_TypeErrorTraceback(const char *, const char *, int, PyObject *, const char *, PyObject *);
__attribute__((cold)) void CPy_AttributeError(const char *, const char *, const char *, const char *, int, PyObject *);
__attribute__((cold)) void CPy_TypeError(const char *, PyObject *);
"""
"""What mypyc's code calls when something has gone wrong: the compiler puts what leads there away from what always runs."""

OFTEN = Path("hatch_often.txt")
"""The functions that every message or every call runs through, as `python -m bench.stages --often` has found them."""

WEB_PHONE = "tools/web_phone"
WEB_PHONE_S = 300
WITHOUT_NPM = 3
BUNDLE = HOME / "server/web_phone/bundle/phone.js"

PROBE = "#include <stdlib.h>\n#include <Python.h>\n"


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds the extension modules to a wheel; each lies beside its source, which tracebacks show."""

    _folder: TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the web phone and compile, if that is wanted and possible."""
        wanted = os.environ.get("SIPMESH_COMPILE", "")
        if version == "editable":
            return
        self._add_web_phone(os.environ.get("SIPMESH_WEB_PHONE", ""))
        if wanted == "0":
            return
        self._folder = TemporaryDirectory(prefix="sipmesh-")
        try:
            built = compile_into(Path(self._folder.name), self.app.display_info)
        except CannotCompileError as obstacle:
            if wanted == "1":
                raise
            self.app.display_warning(f"sipmesh is not compiled and runs from source: {obstacle}")
            return
        build_data["force_include"].update(built)
        build_data["pure_python"], build_data["infer_tag"] = False, True

    def _add_web_phone(self, wanted: str) -> None:
        obstacle = "" if wanted == "0" else build_web_phone()
        if obstacle and wanted == "1":
            raise CannotBuildError(obstacle)
        if obstacle:
            self.app.display_warning(f"sipmesh has no web phone: {obstacle}")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Leave nothing behind but the wheel."""
        if self._folder is not None:
            self._folder.cleanup()


def build_web_phone() -> str:
    """Build the web phone in the package, or use what is built already; return why there is none, or nothing."""
    try:
        built = subprocess.run([WEB_PHONE], capture_output=True, text=True, check=False, timeout=WEB_PHONE_S)
    except (OSError, subprocess.TimeoutExpired) as failed:
        return str(failed)
    if built.returncode == WITHOUT_NPM:
        return "" if BUNDLE.exists() else "there is no npm"
    return built.stderr.strip() or "npm has failed" if built.returncode else ""


class CannotBuildError(Exception):
    """The web phone cannot be built here."""


class CannotCompileError(Exception):
    """This machine is not fit to compile on."""


def compile_into(folder: Path, say: Callable[[str], object]) -> dict[str, str]:
    """Compile below *folder*, in the root of the project; gives the place in the wheel of each extension module.

    *say* shows what goes on, which pip shows with ``pip install -v`` only.
    """
    refuse_without_compiler()
    say(f"sipmesh: compiling {len(sources())} modules takes about five minutes; without it: SIPMESH_COMPILE=0")
    say("sipmesh: step 1 of 2, mypyc translates the modules to C")
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.errors import CompileError

    extensions = mypycify(
        [*OPTIONS, f"--cache-dir={folder / 'types'}", *sources()],
        opt_level="2",
        debug_level="0",
        target_dir=str(folder / "c"),
        group_name="sipmesh",
    )
    if sys.platform == "linux":
        make_close(extensions, folder / "errors.h")
        mark_often(folder / "c")
    command = Distribution({"name": "sipmesh", "ext_modules": extensions}).get_command_obj("build_ext")
    say("sipmesh: step 2 of 2, the C compiler compiles them")
    made = folder / "made"
    command.build_lib, command.build_temp, command.parallel = str(made), str(folder / "o"), os.cpu_count()
    command.ensure_finalized()
    try:
        command.run()
    except CompileError as failed:  # such as a machine with too little memory
        raise CannotCompileError(f"the compiler has failed: {failed}") from failed
    return {str(path): path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}


def make_close(extensions: list[Any], errors: Path) -> None:
    """Have what every message runs through lie close together: on cold caches each further line of code costs."""
    errors.write_text(ERRORS)
    for extension in extensions:
        extension.extra_compile_args = [
            *extension.extra_compile_args,
            *(
                "-fvisibility=hidden",
                "-fno-plt",
            ),  # calls within the library need no table for what others might put there
            *("-fno-align-functions", "-fno-align-jumps", "-fno-align-loops"),
            *("-include", str(errors)),
            f"-ffile-prefix-map={errors.parent}=.",  # the same commit gives the same octets, wherever it is built
        ]
        extension.extra_link_args = ["-Wl,-Bsymbolic"]  # names stay in it, for profilers


def mark_often(folder: Path) -> None:
    """Mark what every message runs through as hot in the headers below *folder*: the compiler puts that into one place."""
    often = "|".join(OFTEN.read_text().split())
    declared = re.compile(rf"^extern (?=.*\b(?:{often})\()", re.MULTILINE)
    for header in folder.rglob("*.h"):
        header.write_text(declared.sub("__attribute__((hot)) extern ", header.read_text()))


def sources() -> list[str]:
    """List the modules to compile."""
    found = {
        str(path.relative_to(HOME).with_suffix("")) for room in COMPILED for path in HOME.glob(f"{room}/**/[!_]*.py")
    }
    gone = sorted((FROM_SOURCE.keys() - found) | {name for name in ALSO if not (HOME / f"{name}.py").exists()})
    if gone:
        raise FileNotFoundError(f"listed in hatch_build.py, but not there: {', '.join(gone)}")
    return [str(HOME / f"{name}.py") for name in sorted((found - FROM_SOURCE.keys()) | {*ALSO})]


def refuse_without_compiler() -> None:
    """Try whether there is a C compiler that finds the headers of C and of this Python."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, "-fsyntax-only", "-I", sysconfig.get_path("include"), "-x", "c", "-"]
    try:
        subprocess.run(command, input=PROBE, capture_output=True, text=True, check=True)
    except OSError:
        raise CannotCompileError(f"there is no {compiler[0]}") from None
    except subprocess.CalledProcessError:
        raise CannotCompileError(f"{compiler[0]} does not find Python.h, or not even stdlib.h") from None
