"""The PIN is in a file that its owner alone can read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.tokens.pin import CREDENTIAL, VARIABLE, read_pin, source
from sipmesh.pki.tokens.token_uri import TokenUri

URI = TokenUri("ca", "/usr/lib/hsm.so")


def test_file_of_the_uri_comes_before_the_variable_and_systemd(tmp_path: Path) -> None:
    (tmp_path / CREDENTIAL).write_text("1")
    named = replace(URI, pin_source="file:/etc/pin")
    variables = {VARIABLE: "/var/pin", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert source(named, variables) == Path("/etc/pin")
    assert source(URI, variables) == Path("/var/pin")
    assert source(URI, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == tmp_path / CREDENTIAL
    with pytest.raises(OperatorError, match="there is no PIN for the token ca"):
        source(URI, {})


def test_pin_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pin"
    file.write_text("271828\n")
    file.chmod(0o644)
    uri = replace(URI, pin_source=f"file:{file}")
    with pytest.raises(OperatorError, match="is readable for other users") as refused:
        read_pin(uri)
    assert "271828" not in str(refused.value)
    file.chmod(0o600)
    assert read_pin(uri) == "271828"
    file.write_text("\n")
    with pytest.raises(OperatorError, match="has no PIN in its first line"):
        read_pin(uri)
