"""What `sipmesh --version` says."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version

import pytest

from sipmesh import __version__
from sipmesh.cli.versions import built, versions
from sipmesh.sip import rows


def test_versions_name_each_part_that_decides_about_tls_and_sip() -> None:
    told = versions()
    assert told["sipmesh"] == f"{__version__} ({built()})"
    assert told["Python"].startswith(platform.python_version())
    assert re.match(r"OpenSSL \d+\.\d+\.\d+ ", told["OpenSSL (of pyOpenSSL, on every link)"])
    assert told["cryptography"] == version("cryptography")
    assert told["pyOpenSSL"] == version("pyOpenSSL")


@pytest.mark.parametrize(("file", "told"), [("rows.py", "source"), ("rows.cpython-311.so", "compiled")])
def test_build_is_recognised_by_a_module_of_the_message_path(
    monkeypatch: pytest.MonkeyPatch, file: str, told: str
) -> None:
    monkeypatch.setattr(rows, "__file__", f"/lib/sipmesh/sip/{file}")
    assert built() == told
