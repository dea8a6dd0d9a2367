"""Tokens of SoftHSM, a PKCS #11 module in software. A process has one folder of tokens: the module reads its settings once."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final

MODULE: Final = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN: Final = "271828"
_NUMBERS: Final = count(1)


@dataclass(frozen=True)
class SoftToken:
    """A token with its *label*; *pin_file* has its PIN."""

    label: str
    pin_file: Path

    @property
    def uri(self) -> str:
        return f"pkcs11:token={self.label}?module-path={MODULE}&pin-source=file:{self.pin_file}"


@cache
def token_folder() -> Path:
    """The folder of all tokens of this process, which ends with it."""
    folder = Path(tempfile.mkdtemp(prefix="sipmesh-hsm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    return folder


def new_token(folder: Path) -> SoftToken:
    """Make a token; its PIN is in *folder*."""
    token_folder()
    label = f"token{os.getpid()}-{next(_NUMBERS)}"
    command = ("softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "31415926", "--pin", PIN)
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (pin_file := folder / f"{label}.pin").write_text(PIN)
    pin_file.chmod(0o600)
    return SoftToken(label, pin_file)
