"""What a mutual-TLS handshake costs with post-quantum key exchange and signatures: octets, and CPU time of both ends together.

``python -m bench.post_quantum`` prints a table. Each round measures all kinds one after the other. The median of the rounds
counts, as a ratio to the first kind.
"""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import product
from tempfile import NamedTemporaryFile
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from sipmesh.transport.tls.pyopenssl import require_group

ROUNDS: Final = 7
HANDSHAKES: Final = 60
STEPS: Final = 8
GROUPS: Final = ("X25519", "X25519MLKEM768", "MLKEM768")
NOW: Final = datetime.now(UTC)
DAYS: Final = timedelta(days=9)

Key = ec.EllipticCurvePrivateKey | mldsa.MLDSA44PrivateKey


def new_key(kind: str) -> Key:
    """Make a key of a certificate."""
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ECDSA P-256" else mldsa.MLDSA44PrivateKey.generate()


def certificate(subject: str, key: Key, issuer: str, by: Key, *, is_ca: bool) -> x509.Certificate:
    """Issue a certificate with what OpenSSL asks for."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (issuer, subject)]
    begun = x509.CertificateBuilder().issuer_name(names[0]).subject_name(names[1]).public_key(key.public_key())
    begun = begun.serial_number(x509.random_serial_number()).not_valid_before(NOW).not_valid_after(NOW + DAYS)
    begun = begun.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    begun = begun.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return begun.sign(by, SHA256() if isinstance(by, ec.EllipticCurvePrivateKey) else None)


def context(kind: str, group: str) -> SSL.Context:
    """Present a leaf below an issuing CA below a root, and require the same of the peer."""
    root, issuing, leaf = (new_key(kind) for _ in range(3))
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *answer: bool(answer[-1]))
    store = made.get_cert_store()
    assert store is not None  # noqa: S101
    store.add_cert(crypto.X509.from_cryptography(certificate("root", root, "root", root, is_ca=True)))
    made.use_certificate(certificate("fe1.example.test", leaf, "issuing", issuing, is_ca=False))
    made.add_extra_chain_cert(certificate("issuing", issuing, "root", root, is_ca=True))
    with NamedTemporaryFile() as file:
        file.write(leaf.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        made.use_privatekey_file(file.name)
    require_group(made, group)
    return made


def handshake(both: SSL.Context) -> tuple[int, int]:
    """Connect a context with itself; return the octets of the client and of the server."""
    client, server = SSL.Connection(both, None), SSL.Connection(both, None)
    client.set_connect_state()
    server.set_accept_state()
    octets = {client: 0, server: 0}
    for _, (here, there) in product(range(STEPS), ((client, server), (server, client))):
        with suppress(SSL.WantReadError):
            here.do_handshake()
        with suppress(SSL.WantReadError):
            sent = here.bio_read(1 << 20)
            octets[here] += len(sent)
            there.bio_write(sent)
    assert server.get_peer_certificate() is not None  # noqa: S101
    return octets[client], octets[server]


def main() -> None:
    """Measure, and print the table."""
    kinds = [(kind, group, context(kind, group)) for kind in ("ECDSA P-256", "ML-DSA-44") for group in GROUPS]
    taken: dict[SSL.Context, list[float]] = {both: [] for _, _, both in kinds}
    for both in [both for _ in range(ROUNDS) for _, _, both in kinds]:
        begun = time.process_time()
        for _ in range(HANDSHAKES):
            handshake(both)
        taken[both].append((time.process_time() - begun) / HANDSHAKES)
    first = statistics.median(taken[kinds[0][2]])
    lines = ["| certificates | key exchange | octets of the client | of the server | CPU, both ends | ratio |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for kind, group, both in kinds:
        client, server = handshake(both)
        median = statistics.median(taken[both])
        cpu = f"{median * 1000:.2f} ms | {median / first:.2f}"
        lines.append(f"| {kind} | {group} | {client:,} | {server:,} | {cpu} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
