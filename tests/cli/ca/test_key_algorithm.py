"""An organisation whose CA signs with ML-DSA-44: from `sipmesh init` to a message, and a new root with it."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from cryptography import x509

from cli.world import FE1, MGMT, Organisation, sipmesh
from sipmesh.cli.ca.key_algorithm import FIRST, usable
from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.keys.algorithm import KeyAlgorithm

NEEDED = pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO < FIRST, reason="the OpenSSL of this Python has no ML-DSA")
LOCAL = ("--management", "127.0.0.1", "--front-end", "127.0.0.1")
ML_DSA = KeyAlgorithm.ML_DSA_44


def algorithm_in(file: Path) -> KeyAlgorithm | None:
    return KeyAlgorithm.of(x509.load_pem_x509_certificates(file.read_bytes())[0].public_key())


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    folder = tmp_path_factory.mktemp("h") / "o"
    done = sipmesh("init", "example.com", "--dir", folder, "--algorithm", "ml-dsa-44", *LOCAL)
    assert done.code == 0, done.err
    organisation = Organisation(folder)
    organisation.choose_ports(whole=False)
    organisation.publish("ports that are free")
    organisation.serve_together(MGMT, FE1)
    yield organisation
    organisation.stop()


@NEEDED
@pytest.mark.peer("openssl")
def test_openssl_accepts_the_chain_of_a_front_end_and_no_peer_without_ml_dsa_gets_a_link(made: Organisation) -> None:
    given = ("-connect", made.address(FE1), "-verify_hostname", FE1, "-verify_return_error", "-brief")
    for more, is_linked in (
        (("-CAfile", made.root), True),
        (("-CAfile", made.root, "-sigalgs", "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256"), False),
        (("-CAfile", made.root, "-tls1_2"), False),
    ):
        command = ("openssl", "s_client", *given, *map(str, more))
        done = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=60)
        assert (b"Verification: OK" in done.stderr) is is_linked, done.stderr


@NEEDED
def test_ca_servers_and_signer_have_keys_of_ml_dsa_and_management_one_to_which_files_are_sealed(
    made: Organisation,
) -> None:
    below = [made.folder / "ca" / f"{name}.pem" for name in ("root", "issuing", "devices")]
    below += [made.folder / "servers" / f"{name}.pem" for name in (FE1, f"{MGMT}.signer")]
    assert [algorithm_in(file) for file in below] == [ML_DSA] * len(below)
    assert algorithm_in(made.folder / "servers" / f"{MGMT}.pem") is KeyAlgorithm.P_256


@NEEDED
def test_versions_certificates_and_crls_are_signed_while_it_runs(made: Organisation) -> None:
    assert made.type("ca", "issue", FE1).code == 0
    assert algorithm_in(made.folder / "servers" / f"{FE1}.pem") is ML_DSA
    assert made.type("ca", "crl").code == 0
    done = made.publish("one more version")
    assert done.code == 0, done.err
    assert made.type("topology", "verify").code == 0


@NEEDED
def test_check_tells_which_peers_it_breaks(made: Organisation) -> None:
    checked = made.type("topology", "check")
    assert checked.code == 0
    assert f"{FE1}: phones of linphone, of pjsua2" in checked.out


@NEEDED
def test_running_organisation_gets_a_new_root_of_ml_dsa_and_keeps_it_for_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "o"
    assert sipmesh("init", "example.com", "--dir", folder, *LOCAL).code == 0
    done = sipmesh("ca", "root", "prepare", "--algorithm", "ml-dsa-44", topology=folder / "topology.yaml")
    assert done.code == 0, done.err
    generations = CaGenerations(folder / "ca")
    coming = generations.next
    assert coming is not None
    assert (generations.current.algorithm, coming.algorithm) == (KeyAlgorithm.P_256, ML_DSA)
    checked = sipmesh("topology", "check", topology=folder / "topology.yaml")
    assert "certificate is of ML-DSA-44" in checked.out


@NEEDED
@pytest.mark.parametrize(("given", "algorithm"), [((), KeyAlgorithm.P_256), (("--algorithm", "ml-dsa-44"), ML_DSA)])
def test_request_of_a_new_machine_has_the_key_that_was_asked_for(
    tmp_path: Path, given: tuple[str, ...], algorithm: KeyAlgorithm
) -> None:
    done = sipmesh("join", "request", "fe9.example.com", "--dir", tmp_path, *given)
    assert done.code == 0, done.err
    request = x509.load_pem_x509_csr((tmp_path / "fe9.example.com.csr").read_bytes())
    assert KeyAlgorithm.of(request.public_key()) is algorithm
    assert request.is_signature_valid


@NEEDED
def test_grant_warns_of_a_key_that_is_weaker_than_the_ca_and_its_remedy_works(
    made: Organisation, tmp_path: Path
) -> None:
    """The grant counts: the operator may know that the machine has no OpenSSL 3.5."""
    asked = ("join", "request", FE1, "--dir", tmp_path)
    request, key = tmp_path / f"{FE1}.csr", tmp_path / "servers" / f"{FE1}.key"
    assert sipmesh(*asked).code == 0
    with chdir(tmp_path):
        granted = made.type("join", "grant", request, "--replace")
        assert (granted.code, "who breaks ECDSA can act as this server" in granted.out) == (0, True)
        other = sipmesh(*asked, "--algorithm", "ml-dsa-44")
        assert (other.code, f"{key} is a key of p-256; move it away" in other.err) == (1, True)
        key.unlink()
        assert sipmesh(*asked, "--algorithm", "ml-dsa-44").code == 0
        again = made.type("join", "grant", request, "--replace")
    assert (again.code, "who breaks ECDSA" in again.out) == (0, False)


@NEEDED
@pytest.mark.parametrize("step", [("init", "example.com"), ("ca", "root", "prepare")], ids=["init", "prepare"])
def test_keys_of_ml_dsa_are_in_no_token(organisation: Organisation, tmp_path: Path, step: tuple[str, ...]) -> None:
    """Before the token is opened; a P-256 key then fails at this token, which does not exist."""
    uri = "pkcs11:token=none?module-path=/nonexistent.so&pin-source=file:/nonexistent"
    where = ("--dir", tmp_path / "o") if step[0] == "init" else ()
    before = organisation.file.read_bytes()
    for algorithm, why in (("ml-dsa-44", "not made in a token"), ("p-256", "nonexistent")):
        given = (*step, *where, "--algorithm", algorithm, "--pkcs11", uri)
        refused = sipmesh(*given, topology=organisation.file) if not where else sipmesh(*given)
        assert (refused.code, why in refused.err) == (1, True), refused.err
    assert not (tmp_path / "o").exists()
    assert not (organisation.folder / "ca" / "2").exists()
    assert organisation.file.read_bytes() == before


def test_python_with_an_older_openssl_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl, "OPENSSL_VERSION_INFO", (3, 0, 13, 0, 0))
    assert usable(None) is None
    assert usable(KeyAlgorithm.P_384) is KeyAlgorithm.P_384
    with pytest.raises(OperatorError, match=r"ML-DSA-44 needs OpenSSL 3.5"):
        usable(ML_DSA)
