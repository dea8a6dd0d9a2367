"""Our issuing CA below a CA of another organisation: its signing request, and the next generation that its certificate makes."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.pki import files
from sipmesh.pki.authority import BETWEEN, EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.crl.updater import publish_crl
from sipmesh.pki.importing.ca_path import CaPath, must_be_ours, path_of
from sipmesh.pki.importing.encrypted_file import refused
from sipmesh.pki.issuance.profiles import CertificateKind, ca_name, key_usage
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.keys.algorithm import digest
from sipmesh.pki.ledger.ledger import CRLS, OTHER, PUBLISHED, ROOT, YES, Ledger
from sipmesh.pki.offline.cross_certificate import CROSS
from sipmesh.pki.tokens.key_place import new_key, token_of
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.importing.bundle import Bundle
    from sipmesh.pki.keys.algorithm import OwnKey

REQUEST_KEY: Final = Path("request", "issuing.key")
"""The key of an open request, in the folder of the CA. It is no key of a generation before the certificate is there."""
TRIAL: Final = timedelta(hours=1)
"""The lifetime of the certificate that the new CA issues first, for a key that is discarded, and revokes."""


def request_ca(generations: CaGenerations) -> bytes:
    """Return the signing request, in PEM, for our next issuing CA. Its key is made once: another call gives the same request."""
    generations.must_be_free()
    file = generations.folder / REQUEST_KEY
    if not file.exists() or _is_of_a_ca(generations, files.read_key(file)):
        file.parent.mkdir(mode=files.FOLDER, exist_ok=True)
        now = generations.current
        label = f"{now.organisation} {CertificateKind.ISSUING} {generations.unused()}"
        key = new_key(token_of(now.folder / "issuing.key"), label)
        files.write(file, files.key_pem(key), files.SECRET)
    key = files.read_key(file)
    name = ca_name(generations.current.organisation, CertificateKind.ISSUING, generations.unused())
    builder = (
        x509.CertificateSigningRequestBuilder(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(is_ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, digest(key)).public_bytes(Encoding.PEM)


def _is_of_a_ca(generations: CaGenerations, key: OwnKey) -> bool:
    """Tell whether a generation has this key: another host of a management pool keeps the file of a request that was answered."""
    return any(generations.open(number).issuing.public_key() == key.public_key() for number in generations.numbers)


def import_ca(
    generations: CaGenerations, bundle: Bundle, names: Sequence[str], crls: Sequence[str], at: datetime
) -> EnterpriseCa:
    """Make the next generation of the CA in a file: the CA that `request_ca` has asked for, or a CA with its key.

    *names* are all names of the topology. *crls* are the CRLs of the CAs above it, if their certificates do not name them. The
    generation issues nothing yet. Raises `OperatorError` with all that is wrong; then nothing was changed.
    """
    generations.must_be_free()
    key = bundle.key or _requested(generations, bundle)
    path = path_of(bundle, _ca_of(bundle, key))
    path.must_be_usable(names, at)
    must_be_ours(path)
    _must_be_new(generations, path)
    folder = generations.folder_of(generations.unused())
    beside = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        made = _build(beside, path, key, _facts(generations, int(folder.name), sources_of(path, crls)), at)
        _try(made, names, at)
        if generations.current.crls.has_key(CertificateKind.ROOT):
            files.write(beside / CROSS, generations.current.cross_certify(made, at))
        Ledger.share(beside, folder)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    files.sync_folder(folder.parent)
    shutil.rmtree((generations.folder / REQUEST_KEY).parent, ignore_errors=True)
    return EnterpriseCa.open(folder)


def sources_of(path: CaPath, given: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the CRLs of the CAs above *path*: those *given*, or the URLs in the certificates; raises `OperatorError` without."""
    if given:
        return tuple(given)
    urls, unnamed = named_crls(path)
    if unnamed:
        reason = f"names no CRL of {unnamed[0]} with an HTTP URL"
        raise refused(path.file, reason, "name its CRL with --crl, as URL or as file below anchors/")
    return urls


def named_crls(path: CaPath) -> tuple[tuple[str, ...], Sequence[str]]:
    """Return the URLs of the CRLs of the CAs above *path* in its certificates, and the names of the CAs whose CRL none names."""
    found = {one.issuer.rfc4514_string(): _http(one) for one in path.certificates[:-1]}
    return tuple(dict.fromkeys(filter(None, found.values()))), [ca for ca, url in found.items() if not url]


def _http(one: x509.Certificate) -> str:
    try:
        points = one.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return ""
    urls = (str(name.value) for point in points for name in point.full_name or ())
    return next((url for url in urls if url.startswith(("http://", "https://"))), "")


def _requested(generations: CaGenerations, bundle: Bundle) -> OwnKey:
    file = generations.folder / REQUEST_KEY
    if not file.exists():
        reason = "has no private key, and there is no open request"
        raise refused(
            bundle.file, reason, "make one: sipmesh ca request FILE; or import a PKCS #12 file with the key of the CA"
        )
    return files.read_key(file)


def _ca_of(bundle: Bundle, key: OwnKey) -> x509.Certificate:
    """Return the certificate of *key*."""
    found = next((one for one in bundle.certificates if one.public_key() == key.public_key()), None)
    if found is None and bundle.key is not None:
        reason = "has a private key that does not match any certificate in it"
        raise refused(bundle.file, reason, "export the CA with its own key and its own certificate")
    if found is None:
        reason = "has no certificate for the key of the open request"
        raise refused(bundle.file, reason, "give the certificate that was made from the file of `sipmesh ca request`")
    return found


def _must_be_new(generations: CaGenerations, path: CaPath) -> None:
    """Raise `OperatorError` if a generation has an issuing CA of the same name: CRLs are found by the name of their issuer."""
    if any(
        path.ca.subject in {ca.issuing.subject, ca.root.subject} for ca in map(generations.open, generations.numbers)
    ):
        reason = f"has a CA with the name of a CA of ours, {path.ca.subject.rfc4514_string()}"
        raise refused(path.file, reason, "let the CA above keep the name in the request, which is new")


def _facts(generations: CaGenerations, number: int, crls: Sequence[str]) -> dict[str, str]:
    now = generations.current
    facts = {"organisation": now.organisation, "crl_base": generations.crl_base_of(number)}
    published = {PUBLISHED: YES} if now.is_published else {}
    return {**facts, **published, ROOT: OTHER, CRLS: "\n".join(crls)}


def _build(folder: Path, path: CaPath, key: OwnKey, facts: Mapping[str, str], at: datetime) -> EnterpriseCa:
    """Make the complete CA in an empty folder."""
    ledger = Ledger.create(folder, facts)
    for kind, made in ((CertificateKind.ROOT, path.root), (CertificateKind.ISSUING, path.ca)):
        files.write(folder / f"{kind}.pem", made.public_bytes(Encoding.PEM))
        validity = (made.not_valid_before_utc, made.not_valid_after_utc)
        names = (made.subject.rfc4514_string(),)
        ledger.reserve(made.serial_number, CertificateKind.ROOT, kind, names, validity, at)
        ledger.issued(made.serial_number, made.public_bytes(Encoding.DER))
    if path.between:
        files.write(folder / BETWEEN, files.certificates_pem(path.between))
    files.write(key_file := folder / "issuing.key", files.key_pem(key), files.SECRET)
    publish_crl(folder, CaSigner(CertificateKind.ISSUING, key_file, path.ca), path.ca, ledger, at)
    return EnterpriseCa.open(folder)


def _try(made: EnterpriseCa, names: Sequence[str], at: datetime) -> None:
    """Issue a certificate with all names, which the lint and the engine of peers check, and revoke it."""
    issued = made.issue(names, Role.FRONT_END, at, TRIAL)
    made.revoke(issued.certificate.serial_number, Reason.CESSATION_OF_OPERATION, at)
