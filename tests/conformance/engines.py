"""The two engines over the same cases, each by itself and set up as strictly as it can be: OpenSSL's and cryptography's.

OpenSSL is asked by its command line, which cannot switch off the fallback to the common name where there is no SAN.
"""

from __future__ import annotations

import subprocess
from base64 import encodebytes
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import cryptography
from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from conformance.stage import Role, Trial
from sipmesh.trust.x509.certificate import UNREADABLE

PURPOSE = {Role.SERVER: "sslserver", Role.CLIENT: "sslclient"}
ANY_PURPOSE_AUTHORITY = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)


def versions() -> str:
    """Which engines these are."""
    told = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.split()
    return f"OpenSSL {told[1]}, cryptography {cryptography.__version__}"


def openssl(trial: Trial) -> bool:
    """Whether `openssl verify` accepts the case, strictly, with lists where there are any."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        asked = ["openssl", "verify", "-x509_strict", "-attime", str(int(trial.at.timestamp()))]
        asked += ["-CAfile", _pem(folder / "anchors", trial.anchors)]
        if len(trial.shown) > 1:
            asked += ["-untrusted", _pem(folder / "shown", trial.shown[1:])]
        asked += _lists(trial, folder) + (_policies(trial) if trial.asks_policies else _server(trial))
        done = subprocess.run([*asked, _pem(folder / "leaf", trial.shown[:1])], capture_output=True, check=False)
    return done.returncode == 0


def _server(trial: Trial) -> list[str]:
    kind, name = trial.named or ("", "")
    option = {"DNS": "-verify_hostname", "IP": "-verify_ip", "RFC822": "-verify_email"}.get(kind)
    return ["-auth_level", "2", "-purpose", PURPOSE[trial.made_for], *([option, name] if option else [])]


def _policies(trial: Trial) -> list[str]:
    wanted = trial.wanted
    asked = ["-policy_check", *(word for one in sorted(wanted.policies) for word in ("-policy", one))]
    asked += ["-explicit_policy"] * wanted.explicit + ["-inhibit_map"] * wanted.mapping_inhibited
    return asked + ["-inhibit_any"] * wanted.any_inhibited


def _lists(trial: Trial, folder: Path) -> list[str]:
    if trial.crls is None:
        return []
    every = ["-crl_check_all"] if trial.whole_path else []
    return [
        "-crl_check",
        *every,
        "-extended_crl",
        "-use_deltas",
        "-CRLfile",
        _pem(folder / "lists", trial.crls, "X509 CRL"),
    ]


def _pem(file: Path, ders: tuple[bytes, ...], kind: str = "CERTIFICATE") -> str:
    blocks = (der.decode() if der.startswith(b"-----") else _block(der, kind) for der in ders)
    file.write_text("".join(blocks))
    return str(file)


def _block(der: bytes, kind: str) -> str:
    return f"-----BEGIN {kind}-----\n{encodebytes(der).decode()}-----END {kind}-----\n"


def pyca(trial: Trial) -> bool:
    """Whether `cryptography.x509.verification` accepts the case; it looks at no lists and no policies."""
    try:
        anchors = [x509.load_der_x509_certificate(der) for der in trial.anchors]
        leaf, *pool = (x509.load_der_x509_certificate(der) for der in trial.shown)
        builder = PolicyBuilder().store(Store(anchors)).time(trial.at)
        if trial.asks_policies:  # not a suite for the web
            builder = builder.extension_policies(
                ca_policy=ANY_PURPOSE_AUTHORITY, ee_policy=ExtensionPolicy.permit_all()
            )
        kind, name = trial.named or ("", "")
        if kind == "DNS":
            builder.build_server_verifier(x509.DNSName(name)).verify(leaf, pool)
        elif kind == "IP":
            builder.build_server_verifier(x509.IPAddress(ip_address(name))).verify(leaf, pool)
        else:
            builder.build_client_verifier().verify(leaf, pool)
    except (VerificationError, TypeError, *UNREADABLE):
        return False
    return True
