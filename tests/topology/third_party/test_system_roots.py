"""The roots of the system are found by fingerprint."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge
from sipmesh.errors import OperatorError
from sipmesh.topology.third_party.system_roots import roots_file, system_roots
from sipmesh.trust.x509.certificate import fingerprint


def test_roots_are_read_from_the_file_that_openssl_reads(tmp_path: Path) -> None:
    root = Forge(datetime.now(UTC)).root("Root").certificate
    file = roots_file({"SSL_CERT_FILE": str(tmp_path / "roots.pem")})
    file.write_bytes(root.public_bytes(Encoding.PEM))
    assert system_roots(file) == {fingerprint(root): root}
    assert roots_file({}).is_absolute()


def test_system_without_roots_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="install ca-certificates"):
        system_roots(tmp_path / "none.pem")
