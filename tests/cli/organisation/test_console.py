"""`sipmesh console`: a link that logs in once, and a token that is in force with the next version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.running import on_loop


@on_loop
@pytest.mark.wide
async def test_link_logs_in_and_its_code_is_in_its_fragment_alone(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as visitor:
        told = await network.type("console", "login", "--role", "viewer")
        link = next(line for line in told.splitlines() if line.startswith("https://"))
        address, _, code = link.partition("#")
        assert address == f"https://{MGMT}:{visitor.port}/login"
        assert (await visitor.ask("POST", "/login", data={"code": code})).status == 303
        answer = json.loads(await network.type("console", "login", "--json"))
        assert (answer["role"], answer["url"]) == ("operator", address)


@on_loop
async def test_token_is_printed_once_and_counts_from_the_next_version_on(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network:
        told = (await network.type("console", "token", "ansible", "--role", "operator")).splitlines()
        token = told[1].strip()
        draft = network.organisation.file.read_text()
        assert "ansible" in draft
        assert token not in draft
        async with Visitor(network, token) as program:
            assert (await program.get("/api/v1/status")).status == 401
            plan = await network.ask(MGMT, "plan")
            assert plan["changes"] == ["operator ansible may use the console as operator"]
            await network.ask(MGMT, "publish", why="ansible", base=plan["base"], digest=plan["digest"])
            assert (await program.get("/api/v1/status")).status == 200


@on_loop
async def test_name_that_is_taken_is_refused_and_the_draft_stays(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network:
        before = network.organisation.file.read_text()
        told = await network.type("console", "token", "vera", code=1)
        assert "give each operator a name and a token" in told
        assert network.organisation.file.read_text() == before


@on_loop
@pytest.mark.wide
async def test_certificate_is_issued_in_a_sealed_file_and_its_operator_is_in_the_draft(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network:
        file = network.organisation.folder / "operators" / "ada.p12"
        given = ("console", "certificate", "ada", "--role", "operator", "--password-stdin")
        told = await network.type(*given, typed="correct horse\n")
        assert "ada is in the draft as operator" in told
        assert "set `client_certificates: true`" in told
        assert file.stat().st_mode & 0o777 == 0o600
        key, certificate, issuers = load_key_and_certificates(file.read_bytes(), b"correct horse")
        assert key is not None
        assert certificate is not None
        assert len(issuers) == 1
        assert "exists already" in await network.type(*given, typed="other\n", code=1)
        audit = network.master.management_db.audit.read()[-1]
        assert (audit.act, audit.about["operator"]) == ("issue", "ada")
        await network.type("ca", "revoke", "ada")
        assert "is a server of the topology" in await network.type("console", "certificate", MGMT, code=1)


@on_loop
async def test_command_ends_every_session_and_code(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as visitor, Visitor(network) as late:
        await visitor.log_in("viewer")
        code = (await network.ask(MGMT, "console-login", role="viewer"))["code"]
        assert "1 session ended" in await network.type("console", "logout")
        assert (await visitor.get("/")).headers["Location"] == "/login"
        assert (await late.ask("POST", "/login", data={"code": code})).status == 401


@on_loop
async def test_operator_logs_in_with_a_key_that_never_leaves_the_own_machine(tmp_path: Path) -> None:
    async with management_with_console(tmp_path, client_certificates=True) as network:
        key, asked = ec.generate_private_key(ec.SECP256R1()), tmp_path / "ada.csr"
        made = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, hashes.SHA256())
        asked.write_bytes(made.public_bytes(Encoding.PEM))
        file, key_file = network.organisation.folder / "operators" / "otto.pem", tmp_path / "ada.key"
        await network.type("console", "certificate", "otto", "--request", str(asked))
        assert b"PRIVATE KEY" not in file.read_bytes()
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        async with Visitor(network, credentials=(file, key_file)) as otto:
            assert (await otto.get("/api/v1/status")).status == 200
        for given, why in (
            (("Otto",), "is not a name of an operator"),
            (("ada", "--request", "none"), "cannot be read"),
        ):
            assert why in await network.type("console", "certificate", *given, code=1)
