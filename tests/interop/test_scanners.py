"""What scanners of TLS find on each kind of port of servers that run: nothing above LOW but what is argued here.

Their servers are processes of their own; the scanners show the credentials of a server that is trusted there, or they would see
nothing but a refusal.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cli.world import Organisation as Running
from sipmesh.demo.organisation import Organisation
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, EDGES, FE1, FE2, PARTNER_EDGE, copied, federate

SOUND = {"OK", "INFO", "LOW", "DEBUG"}
"""What testssl calls what needs nothing to be done about it; its own debugging is no finding."""

ARGUED = {
    ("HIGH", "cert_expirationStatus"): "a certificate lives 30 days, and renews itself at 20",
    ("HIGH", "cert_notAfter"): "the same, as a date",
    ("WARN", "engine_problem"): "of the scanner's own OpenSSL, which has no GOST",
    ("WARN", "HTTP_status_code"): "where it shows a certificate it asks in HTTP, whatever the port",
    ("WARN", "sessionresumption_ticket"): "its s_client may leave before the ticket of TLS 1.3 has come",
    ("WARN", "scanProblem"): "the same: there is no answer in HTTP to look at",
    ("WARN", "BREACH"): "the same: an attack on compression in HTTP",
}
"""What is above LOW, or could not be tested, and may be there. The private CA is none of it: the scanner is given its root."""

LONGEST_S = 900


@dataclass(frozen=True)
class Port:
    """One kind of port: where it is, by which name it is meant, and whose credentials are shown there."""

    address: tuple[str, int]
    name: str
    root: Path
    credentials: tuple[Path, Path] | None


Ports = dict[LinkKind, Port]
each_port = pytest.mark.parametrize("kind", [LinkKind.CLIENT, LinkKind.SERVER, LinkKind.PARTNER])


def credentials_of(organisation: Organisation, name: str) -> tuple[Path, Path]:
    folder = organisation.folder / "servers"
    return folder / f"{name}.pem", folder / f"{name}.key"


@pytest.fixture(name="ports", scope="module")
def _ports(
    example_model: Organisation, partner_model: Organisation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ports]:
    """A front end and an edge that serve, each as the process that an operator would start."""
    folder = tmp_path_factory.mktemp("scanned")
    example, partner = copied(example_model, folder / "e"), copied(partner_model, folder / "p")
    federate(example, partner)
    running = Running(example.folder, example.domain)
    try:
        running.serve(FE1, EDGE)
        yield {
            kind: Port(example.address(server, kind), name, example.root, credentials)
            for kind, server, name, credentials in (
                (LinkKind.CLIENT, FE1, FE1, None),
                (LinkKind.SERVER, FE1, FE1, credentials_of(example, FE2)),
                (LinkKind.PARTNER, EDGE, EDGES, credentials_of(partner, PARTNER_EDGE)),
            )
        }
    finally:
        running.stop()


@pytest.mark.peer("sslscan")
@each_port
@pytest.mark.wide
def test_sslscan_finds_two_versions_of_tls_strong_ciphers_and_nothing_old(
    ports: Ports, kind: LinkKind, tmp_path: Path
) -> None:
    found = sslscan(ports[kind], tmp_path / "found.xml")
    enabled = {f"{one.get('type')} {one.get('version')}" for one in found.iter("protocol") if one.get("enabled") == "1"}
    assert enabled == {"tls 1.2", "tls 1.3"}
    ciphers = {one.get("cipher", ""): int(one.get("bits", "0")) for one in found.iter("cipher")}
    assert len(ciphers) == 6
    assert all("GCM" in name or "CHACHA20" in name for name in ciphers)
    assert all(name.startswith(("TLS_", "ECDHE-ECDSA-")) for name in ciphers)
    assert min(ciphers.values()) >= 128
    assert [one.get("supported") for one in found.iter("renegotiation")] == ["0"]
    assert [one.get("supported") for one in found.iter("compression")] == ["0"]
    assert {one.get("vulnerable") for one in found.iter("heartbleed")} == {"0"}
    assert all(int(one.get("bits", "0")) >= 112 for one in found.iter("group"))
    algorithms = [one.text for one in found.iter("signature-algorithm")]
    assert set(algorithms) == {"ecdsa-with-SHA256"}


def sslscan(port: Port, file: Path) -> ET.Element:
    """Scan one port; gives what was found."""
    host, number = port.address
    shown = [f"--certs={port.credentials[0]}", f"--pk={port.credentials[1]}"] if port.credentials else []
    command = ["sslscan", f"--xml={file}", f"--sni-name={port.name}", *shown, f"{host}:{number}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert ran.returncode == 0, ran
    return ET.parse(file).getroot()  # noqa: S314 - written by the scanner that we have just run


@pytest.mark.soak
@pytest.mark.peer("testssl")
@each_port
def test_testssl_finds_nothing_above_low_that_is_not_argued(ports: Ports, kind: LinkKind, tmp_path: Path) -> None:
    found = scanned(ports[kind], tmp_path)
    counts = {severity: sum(one["severity"] == severity for one in found) for severity in sorted(severities(found))}
    above = {(one["severity"], one["id"]): one["finding"] for one in found if one["severity"] not in SOUND}
    print(f"testssl, {kind} port: {len(found)} findings, {counts}; above LOW: {above}")  # noqa: T201
    assert {"OK", "INFO"} <= set(counts)
    assert set(above) <= set(ARGUED), above


def severities(found: list[dict[str, str]]) -> set[str]:
    return {one["severity"] for one in found}


def scanned(port: Port, folder: Path) -> list[dict[str, str]]:
    """Scan one port with everything that it tests; gives the findings. Nothing but the port is asked, no DNS either."""
    host, number = port.address
    file = folder / "found.json"
    where = ["--nodns", "none", "--ip", host, "--add-ca", str(port.root)]
    if port.credentials:
        both = folder / "both.pem"
        both.write_bytes(b"".join(paper.read_bytes() for paper in port.credentials))
        where += ["--mtls", str(both)]
    how = ["--quiet", "--color", "0", "--warnings", "off", "--jsonfile", str(file)]
    command = ["testssl", *how, *where, f"{port.name}:{number}"]
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert file.exists(), ran
    found: list[dict[str, str]] = json.loads(file.read_text())
    return found
