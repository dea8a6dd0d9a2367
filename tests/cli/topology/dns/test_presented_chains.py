"""The TLSA records that are printed let a DANE client of OpenSSL accept our servers, and no other record does."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cli.world import FE1, Organisation, Result, sipmesh


def verified(organisation: Organisation, host: str, record: str) -> str:
    """What `openssl s_client` says of a server that it checks by DANE only."""
    address = organisation.address(FE1)
    dane = ("-dane_tlsa_domain", host, "-dane_tlsa_rrdata", record, "-verify_return_error")
    command = ["openssl", "s_client", "-connect", address, *dane, "-brief"]
    done = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=30)
    return (done.stdout + done.stderr).decode()


def tlsa(organisation: Organisation) -> dict[str, list[str]]:
    records = organisation.type("topology", "dns", "--json").json
    found: dict[str, list[str]] = {}
    for record in records:
        if record["type"] == "TLSA":
            found.setdefault(record["name"], []).append(record["data"])
    return found


def test_dane_client_accepts_our_server_by_the_printed_record_only(organisation: Organisation) -> None:
    assert tlsa(organisation) == {}
    assert organisation.type("topology", "change", "network", "dane=true").code == 0
    organisation.publish("DANE")
    [record] = tlsa(organisation)[f"_{organisation.ports[f'{FE1} client']}._tcp.{FE1}"]
    organisation.serve_together("mgmt.example.com", FE1)
    try:
        good = verified(organisation, FE1, record)
        assert "Verification: OK" in good, good
        assert "DANE TLSA 2 1 1" in good
        other = record[:-2] + ("00" if record[-2:] != "00" else "11")
        assert "Verification: OK" not in verified(organisation, FE1, other)
        assert "Verification: OK" not in verified(organisation, "fe9.example.com", record)
    finally:
        organisation.stop()


def test_prepared_root_has_its_record_before_it_issues(organisation: Organisation) -> None:
    assert organisation.type("topology", "change", "network", "dane=true").code == 0
    [(name, [first])] = tlsa(organisation).items()
    assert organisation.type("ca", "root", "prepare").code == 0
    assert tlsa(organisation)[name][0] == first
    assert len(tlsa(organisation)[name]) == 2


def test_certificate_of_another_ca_has_the_record_of_that_ca(organisation: Organisation, tmp_path: Path) -> None:
    assert organisation.type("topology", "change", "network", "dane=true").code == 0
    before = tlsa(organisation)
    assert sipmesh_init(tmp_path / "p").code == 0
    chain = tmp_path / "p" / "servers" / "fe1.public.test.pem"
    entry = f"client_certificates=[{{certificate: {chain}, key: {chain.with_suffix('.key')}}}]"
    changed = organisation.type("topology", "change", FE1, entry)
    assert changed.code == 0, changed.err
    [(name, data)] = tlsa(organisation).items()
    assert data[:1] == before[name]
    assert len(data) == 2


def test_machine_without_the_ca_cannot_print_them_and_a_plan_says_so(organisation: Organisation) -> None:
    assert organisation.type("topology", "change", "network", "dane=true").code == 0
    (organisation.folder / "ca" / "ledger.db").rename(organisation.folder / "elsewhere.db")
    refused = organisation.type("topology", "dns")
    assert (refused.code, "there is no CA here" in refused.err) == (1, True)
    planned = organisation.type("topology", "plan")
    assert (planned.code, "TLSA records:\n  their data is not known: there is no CA here" in planned.out) == (0, True)


def sipmesh_init(folder: Path) -> Result:
    return sipmesh("init", "public.test", "--dir", folder)
