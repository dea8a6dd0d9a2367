"""A CA of another organisation, made by openssl, which is the program of most of them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

CA: Final = "basicConstraints=critical,CA:TRUE"
SIGNS: Final = "keyUsage=critical,keyCertSign,cRLSign"
SUBJECT_KEY: Final = "subjectKeyIdentifier=hash"
ISSUER_KEY: Final = "authorityKeyIdentifier=keyid"
CRL: Final = "crlDistributionPoints=URI:ldap:///CN=Corp,URI:http://pki.corp.test/{issuer}.crl"
ROOT: Final = (CA, SIGNS, SUBJECT_KEY)
BELOW: Final = (f"{CA},pathlen:0", SIGNS, SUBJECT_KEY, ISSUER_KEY, CRL)
POLICY: Final = (f"{CA},pathlen:1", SIGNS, SUBJECT_KEY, ISSUER_KEY, CRL)


def openssl(*arguments: str | Path) -> bytes:
    """Run openssl; a failure is an error that tells what it said."""
    done = subprocess.run(("openssl", *map(str, arguments)), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass(frozen=True)
class OtherCa:
    """The CA *name* in *folder*: ``NAME.pem`` and ``NAME.key``, below *above* or a root."""

    folder: Path
    name: str
    extensions: tuple[str, ...] = ROOT
    above: OtherCa | None = None
    days: int = 3000
    key: tuple[str, ...] = ("rsa:2048",)
    options: tuple[str, ...] = field(default=())

    @property
    def pem(self) -> Path:
        return self.folder / f"{self.name}.pem"

    @property
    def key_file(self) -> Path:
        return self.folder / f"{self.name}.key"

    def made(self) -> OtherCa:
        """Make its key and its certificate."""
        request = self.folder / f"{self.name}.csr"
        subject = f"/O=Corp/CN=Corp {self.name}"
        openssl(
            "req", "-new", "-newkey", *self.key, "-nodes", "-subj", subject, "-keyout", self.key_file, "-out", request
        )
        if self.above is None:
            self._sign(request, self.pem, self.extensions, "-signkey", self.key_file)
        else:
            self.above.sign(request, self.pem, self.extensions, "-days", str(self.days), *self.options)
        return self

    def sign(self, request: Path, to: Path, extensions: tuple[str, ...] = BELOW, *options: str) -> Path:
        """Sign a request."""
        return self._sign(request, to, extensions, "-CA", self.pem, "-CAkey", self.key_file, *options)

    def _sign(self, request: Path, to: Path, extensions: tuple[str, ...], *options: str | Path) -> Path:
        written = to.with_suffix(".ext")
        written.write_text("\n".join(line.format(issuer=self.name) for line in extensions) + "\n")
        days = () if "-days" in options or "-not_after" in options else ("-days", str(self.days))
        openssl("x509", "-req", "-in", request, "-extfile", written, "-out", to, *days, *options, *self.options)
        return to

    def crl(self, to: Path, *, revoked: int = 0) -> Path:
        """Write a CRL: the first one is empty, the second one has the serial number *revoked*."""
        settings = self.folder / f"{self.name}.cnf"
        row = f"R\t400101000000Z\t260101000000Z\t{revoked:040X}\tunknown\t/CN=revoked\n" if revoked else ""
        (self.folder / f"{self.name}.index").write_text(row)
        (self.folder / f"{self.name}.number").write_text("02\n" if revoked else "01\n")
        settings.write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.folder}/{self.name}.index\ncrlnumber={self.folder}/{self.name}.number\n"
            "default_md=sha256\ndefault_crl_days=30\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n"
        )
        digest = ("-md", "null") if self.key[0].startswith("ML-DSA") else ()  # it hashes by itself
        openssl("ca", "-config", settings, "-gencrl", "-keyfile", self.key_file, "-cert", self.pem, *digest, "-out", to)
        return to


def bundled(to: Path, *parts: Path) -> Path:
    """Write several PEM files into one."""
    to.write_bytes(b"".join(part.read_bytes() for part in parts))
    return to
