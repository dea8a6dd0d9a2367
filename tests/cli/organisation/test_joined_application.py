"""An application joins: the command prints what its program needs, and nothing that sipmesh would refuse."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from cli.world import FE1, Organisation, sipmesh

BOT = "bot.example.com"


def test_application_gets_its_files_and_links_and_no_command_that_is_refused(
    organisation: Organisation, tmp_path: Path
) -> None:
    assert organisation.type("topology", "add", "application", "bot").code == 0
    organisation.publish("an application")
    assert sipmesh("join", "request", BOT, "--dir", tmp_path).code == 0
    with chdir(tmp_path):
        assert organisation.type("join", "grant", tmp_path / f"{BOT}.csr").code == 0
    [root] = x509.load_pem_x509_certificates(organisation.root.read_bytes())
    told = sipmesh(
        "join", "accept", tmp_path / f"{BOT}.join", "--dir", tmp_path, "--fingerprint", root.fingerprint(SHA256()).hex()
    )
    assert told.code == 0, told.err
    assert "sipmesh serve" not in told.out
    for name in (f"servers/{BOT}.key", f"servers/{BOT}.pem", f"servers/{BOT}.roots.pem", "ca/root.crl"):
        assert f"  {name}  " in told.out
        assert (tmp_path / name).exists()
    assert f"it opens links to {FE1}:{organisation.ports[f'{FE1} server']}" in told.out
    assert x509.load_pem_x509_certificates((tmp_path / f"servers/{BOT}.roots.pem").read_bytes()) == [root]
    refused = sipmesh("serve", BOT, "-t", tmp_path / "topology.yaml")
    assert (refused.code, "its program is not sipmesh; start its program" in refused.err) == (1, True)
