"""Two engines must agree: what OpenSSL refuses our own checks refuse without it, and what it lets pass they refuse alone.

Each refusal of OpenSSL is switched off in turn, by its number; each check that only we make is switched off
where nothing but that check is in the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from attacks.cells import Came, Model, World, alert_for, shared
from sipmesh.demo.attacker import knock
from sipmesh.demo.cast import Cast, write_partner_ca
from sipmesh.demo.forge import Forged, KeyKind
from sipmesh.demo.impostors import Credentials, by, front_end, partner_edge, self_signed
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.judgement.judge import CHECKS, judge
from sipmesh.trust.path.openssl_errors import is_left_to_us
from sipmesh.trust.verdict import Verdict
from support.network import EDGE, EXAMPLE, FE1, FE2
from support.peer import Peer

MALFORMED, NOT_FOR_NAME = "malformed-certificate", "issuer-not-for-this-name"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SERVER, PARTNERS = (FE1, LinkKind.SERVER), (EDGE, LinkKind.PARTNER)
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
UNREADABLE = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.32"), b"\x30\x03\x02\x01\x01")  # policies
NO_POLICY = x509.PolicyConstraints(0, None)
WITHIN_EXAMPLE = x509.DNSName(EXAMPLE)
NAMES_OF_FE2 = x509.SubjectAlternativeName([x509.DNSName(FE2), x509.UniformResourceIdentifier(f"sip:{FE2}")])
NAMELESS: dict[str, Any] = {"common_name": "", "names": (), "extra": (NAMES_OF_FE2,)}

# Partners whose CAs have one fault each; a name stands for partner and CA alike.
FAULTY_CAS: dict[str, dict[str, Any]] = {
    "short-key.test": {"key": KeyKind.RSA_1024},
    "expired.test": {"begins": -3 * DAY, "ends": -DAY},
    "early.test": {"begins": DAY},
    "no-ca.test": {"ca": False, "cert_sign": True},
    "no-signer.test": {"cert_sign": False},
    "no-key-usage.test": {"with_key_usage": False},
    "no-aki.test": {"with_aki": False},
    "strange.test": {"critical": (STRANGE,)},
    "outside.test": {"permitted": (x509.DNSName("inside.test"),)},
    "excluded.test": {"excluded": (x509.DNSName("excluded.test"),)},
    "code.test": {"usages": (ExtendedKeyUsageOID.CODE_SIGNING,)},
    "within.test": {"permitted": (x509.DNSName("within.test"),)},
    # URI constraints, which neither engine reads
    "uri.test": {"permitted": (x509.UniformResourceIdentifier("uri.test"),)},
    "uri-outside.test": {"permitted": (x509.UniformResourceIdentifier("inside.test"),)},
    "lax.test": {"extra": (x509.NameConstraints([x509.UniformResourceIdentifier("lax.test")], None),)},
}
DEEP = "deep.test"


@dataclass(frozen=True, slots=True)
class Faulty:
    """example.test with all these partners, not running."""

    model: Model
    authorities: dict[str, Forged]

    @classmethod
    def build(cls, folder: Path) -> Faulty:
        """Add the partners to the model's two."""
        model = Model.build(folder)
        forge, authorities, entries = model.cast.forge, {}, []
        for name, changes in (FAULTY_CAS | {DEEP: {}}).items():
            authorities[name], entry = write_partner_ca(forge, folder / "partners" / name, name, **changes)
            entries.append({"domains": [name], **entry})
        authorities[DEEP] = forge.authority("one below what the path length allows", authorities[DEEP])
        federation: Any = model.organisation.document["federation"]
        federation["partners"] += entries
        model.organisation.write()
        return cls(model, authorities)


@dataclass(frozen=True, slots=True)
class Stage:
    """The same, running."""

    faulty: Faulty
    runner: asyncio.Runner
    world: World

    def knock(self, row: Row, credentials: Forged) -> Came:
        """Knock at the door of *row*."""
        return self.runner.run(self.world.knock(*row.door, credentials))

    def impostor(self, row: Row) -> Forged:
        """The credentials that must be refused."""
        return row.credentials(self.faulty)

    def twin(self, row: Row) -> Forged:
        """Credentials that are served at the same door."""
        made = (front_end() if row.door == SERVER else partner_edge())(self.world.cast)
        assert made is not None
        return made


@pytest.fixture(name="stage", scope="module")
def _stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("engines")
    faulty = Faulty.build(folder / "model")
    with shared(faulty.model, folder / "copy", FE1, EDGE) as (runner, world):
        yield Stage(faulty, runner, world)


@dataclass(frozen=True, slots=True)
class Row:
    """One faulty chain; *check* is ours that names the reason, *error* the number of OpenSSL's objection, if any."""

    title: str
    credentials: Callable[[Faulty], Forged]
    code: str
    check: str
    error: int = 0
    alert: str = ""
    behind: tuple[int, ...] = ()  # what OpenSSL would object to next, were it not for *error*
    door: tuple[str, LinkKind] = SERVER


def ours(credentials: Credentials) -> Callable[[Faulty], Forged]:
    """Credentials that the cast can make."""

    def make(faulty: Faulty) -> Forged:
        made = credentials(faulty.model.cast)
        assert made is not None
        return made

    return make


def under(name: str, **changes: Any) -> Callable[[Faulty], Forged]:
    """Credentials of the partner *name* by its own CA."""
    return lambda faulty: faulty.model.cast.forge.server(faulty.authorities[name], name, **changes)


def with_its_root(cast: Cast) -> Forged:
    """A stranger's chain up to its root, which is shown too."""
    root = cast.stranger.issuer
    assert root is not None
    shown = replace(cast.stranger, issuer=replace(root, issuer=root))
    return cast.forge.server(shown, FE2)


def by_a_server(cast: Cast) -> Forged:
    """Signed by the key of a server of ours, which is no CA."""
    return cast.forge.server(cast.forge.server(cast.ours, EDGE), FE2)


def by_a_namesake(cast: Cast) -> Forged:
    """Names our CA as its issuer, down to the key identifier; the signature is another's."""
    return signed_anew(cast.forge.server(cast.ours, FE2), cast.stranger, hashes.SHA256())


def by_serial(cast: Cast) -> Forged:
    """Names its issuer by serial, and the key not at all."""
    above = cast.ours.certificate
    named = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(above.issuer)], above.serial_number)
    return cast.forge.server(cast.ours, FE2, with_aki=False, extra=(named,))


def signed_anew(credentials: Forged, signer: Forged, digest: hashes.SHA224 | hashes.SHA256) -> Forged:
    """The same certificate, but for the signature."""
    old = credentials.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(old.serial_number)
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
    )
    for held in old.extensions:
        builder = builder.add_extension(held.value, held.critical)
    return replace(credentials, certificate=builder.sign(signer.key, digest))


def over_sha_224(name: str) -> Callable[[Faulty], Forged]:
    """Credentials of the partner *name*, with a signature over a short digest."""

    def make(faulty: Faulty) -> Forged:
        authority = faulty.authorities[name]
        return signed_anew(faulty.model.cast.forge.server(authority, name), authority, hashes.SHA224())

    return make


def _at_partner(
    title: str,
    credentials: Callable[[Faulty], Forged],
    code: str,
    check: str,
    error: int = 0,
    alert: str = "",
    *behind: int,
) -> Row:
    return Row(title, credentials, code, check, error, alert, behind, PARTNERS)


# The numbers are those of openssl/x509_vfy.h; the alerts those of RFC 8446 6.2, in OpenSSL's words.
OBJECTIONS = (
    Row("wrong signature", ours(by_a_namesake), "untrusted-issuer", "issuer", 7, "decrypt error"),
    Row("not yet valid", ours(front_end(begins=DAY)), "not-yet-valid", "validity", 9, "bad certificate"),
    Row("expired", ours(front_end(begins=-3 * DAY, ends=-DAY)), "expired", "validity", 10, "certificate expired"),
    Row("self-signed", ours(self_signed), "untrusted-issuer", "issuer", 18, "unknown ca"),
    Row("a stranger's root", ours(with_its_root), "untrusted-issuer", "issuer", 19, "unknown ca"),
    Row("a stranger", ours(by("stranger", FE2)), "untrusted-issuer", "issuer", 20, "unknown ca"),
    Row("critical, unknown", ours(front_end(critical=(STRANGE,))), MALFORMED, "issuing", 34, "certificate unknown"),
    Row("RSA-1024", ours(front_end(key=KeyKind.RSA_1024)), "weak-key", "key", 66, "bad certificate"),
    Row("a server signs", ours(by_a_server), "untrusted-issuer", "issuing", 79, "unknown ca", (25, 32)),
    Row("keyCertSign", ours(front_end(cert_sign=True)), "not-a-leaf", "leaf", 82, "certificate unknown"),
    Row("no AKI", ours(front_end(with_aki=False)), MALFORMED, "issuing", 85, "certificate unknown"),
    _at_partner("CA not yet valid", under("early.test"), "not-yet-valid", "validity", 9, "bad certificate"),
    _at_partner("CA expired", under("expired.test"), "expired", "validity", 10, "certificate expired"),
    _at_partner("path too long", under(DEEP), "untrusted-issuer", "issuing", 25, "unknown ca"),
    _at_partner("CA critical, unknown", under("strange.test"), MALFORMED, "issuing", 34, "certificate unknown"),
    _at_partner("not permitted", under("outside.test"), NOT_FOR_NAME, "constraints", 47, "certificate unknown"),
    _at_partner("excluded", under("excluded.test"), NOT_FOR_NAME, "constraints", 48, "certificate unknown"),
    _at_partner("CA of RSA-1024", under("short-key.test"), "weak-key", "key", 67, "bad certificate"),
    _at_partner("issuer is not a CA", under("no-ca.test"), "untrusted-issuer", "issuing", 79, "unknown ca", 82),
    _at_partner("issuer may not sign", under("no-signer.test"), "untrusted-issuer", "issuing", 79, "unknown ca", 81, 32),
    _at_partner("CA without usage", under("no-key-usage.test"), MALFORMED, "second-engine", 81, "certificate unknown", 92),
    _at_partner("CA without AKI", under("no-aki.test"), MALFORMED, "issuing", 85, "certificate unknown"),
)  # fmt: skip
"""What OpenSSL refuses in the handshake."""

LET_PASS = (
    Row("CA:TRUE", ours(front_end(ca=True)), "not-a-leaf", "leaf"),
    Row("not for signing", ours(front_end(digital_signature=False)), "wrong-usage", "usage"),
    Row("policies that nobody can read", ours(front_end(extra=(UNREADABLE,))), MALFORMED, "certificate"),
    Row("issuer by serial", ours(by_serial), MALFORMED, "issuing"),
    Row("names not critical", ours(front_end(**NAMELESS)), MALFORMED, "issuing"),
    _at_partner("CA for code only", under("code.test"), "wrong-usage", "usage"),
    _at_partner("a name that is none", under("within.test", dns=("_sip.within.test",)), MALFORMED, "second-engine"),
    _at_partner("a leaf with constraints", under("uri.test", permitted=(WITHIN_EXAMPLE,)), MALFORMED, "issuing"),
    _at_partner("signed over SHA-224", over_sha_224("uri.test"), "weak-key", "key"),
    _at_partner("URI outside", under("uri-outside.test"), NOT_FOR_NAME, "constraints"),
    _at_partner("critical policy constraints", under("uri.test", critical=(NO_POLICY,)), MALFORMED, "issuing"),
    _at_partner("constraints not critical", under("lax.test"), MALFORMED, "issuing"),
)  # fmt: skip
"""What OpenSSL lets pass, or leaves to us."""

ALONE = {
    "not for signing",
    "issuer by serial",
    "names not critical",
    "a name that is none",
    "a leaf with constraints",
    "signed over SHA-224",
    "URI outside",
    "critical policy constraints",
    "constraints not critical",
}
"""Those of them that one check of ours alone keeps out. The others meet the second engine too, and it has no name for them."""

UNHEARD = "policies that nobody can read"
"""Without the check its link comes up, and is closed at the first message: no user has proved to be its sender."""

every = pytest.mark.parametrize("row", OBJECTIONS + LET_PASS, ids=lambda row: row.title.replace(" ", "-"))
objection = pytest.mark.parametrize("row", OBJECTIONS, ids=lambda row: row.title.replace(" ", "-"))
passed = pytest.mark.parametrize("row", LET_PASS, ids=lambda row: row.title.replace(" ", "-"))


def errors_in(verdict: Verdict) -> str:
    """What the verdict tells of OpenSSL."""
    return next(found.saw for found in verdict.findings if found.check == "engine")


def reasons(verdict: Verdict) -> set[str]:
    """The checks that give the verdict its code."""
    return {found.check for found in verdict.findings if found.code is verdict.code}


@every
def test_faulty_chain_is_refused_and_its_control_served(stage: Stage, row: Row) -> None:
    came = stage.knock(row, stage.impostor(row))
    assert came.verdict is not None
    assert (came.code, came.spoke) == (row.code, False)
    assert row.check in reasons(came.verdict), came.verdict.failed
    assert (f"error {row.error} at depth" in errors_in(came.verdict)) is (row.error > 0)
    assert stage.knock(row, stage.twin(row)).answer == "SIP/2.0 200 OK"


@objection
def test_alert_says_what_openssl_objects_to(stage: Stage, row: Row) -> None:
    """The operator at the other end reads it in his own log; refusing any later would tell him of an internal error."""
    address = stage.world.network.address(*row.door)
    knocking = asyncio.to_thread(alert_for, address, stage.impostor(row), SSL.TLS1_3_VERSION)
    assert stage.runner.run(knocking).endswith(row.alert)


@passed
def test_who_is_refused_by_our_own_checks_gets_a_goodbye_only(stage: Stage, row: Row) -> None:
    """The handshake is over by then: close_notify."""
    address = stage.world.network.address(*row.door)
    knocking = asyncio.to_thread(alert_for, address, stage.impostor(row), SSL.TLS1_3_VERSION)
    assert stage.runner.run(knocking) == "ZeroReturnError"


@objection
def test_without_that_refusal_of_openssl_our_check_refuses_for_the_same_reason(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, row: Row
) -> None:
    """The handshake is finished, and the certificate is as bad as before."""
    overlooked = {row.error, *row.behind}
    for user in ("sipmesh.transport.tls.pyopenssl", "sipmesh.trust.judgement.checks"):
        monkeypatch.setattr(f"{user}.is_left_to_us", lambda error: is_left_to_us(error) or error.code in overlooked)
    came = stage.knock(row, stage.impostor(row))
    assert came.verdict is not None
    assert (came.code, came.spoke) == (row.code, False)
    assert row.check in reasons(came.verdict)
    assert f"error {row.error} at depth" in errors_in(came.verdict)
    assert {found.check for found in came.verdict.failed}.isdisjoint({"handshake", "engine"})
    assert stage.knock(row, stage.twin(row)).answer == "SIP/2.0 200 OK"


def switch_off(patch: pytest.MonkeyPatch, check: str) -> None:
    """Take one check out of the judge's table."""
    patch.setattr(
        "sipmesh.trust.judgement.judge.CHECKS", {name: held for name, held in CHECKS.items() if name != check}
    )


@passed
def test_without_our_check_it_comes_in_or_the_log_does_not_say_what_is_wrong(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, row: Row
) -> None:
    """OpenSSL is in force, and does not help."""
    switch_off(monkeypatch, row.check)
    if row.title == UNHEARD:
        assert stage.runner.run(is_unheard(stage, row))
        return
    came = stage.knock(row, stage.impostor(row))
    assert came.spoke is (row.title in ALONE)
    assert came.code == ("accepted" if row.title in ALONE else "malformed-certificate")


async def is_unheard(stage: Stage, row: Row) -> bool:
    """Whether the link comes up and is closed at the first message."""
    server, kind = row.door
    told = stage.world.network.told[server]
    address = stage.world.network.address(server, kind)
    came = await asyncio.to_thread(knock, address, stage.impostor(row), name=server, domain=EXAMPLE)
    return not came.served and "without a verdict" in told.last("link closed")["why"]


def test_check_that_is_alone_is_so_for_each_of_them() -> None:
    """Beside OpenSSL; the other checks are covered by the mutations of the catalogue."""
    assert {row.check for row in LET_PASS if row.title in {*ALONE, UNHEARD}} == {
        "certificate", "second-engine", "key", "issuing", "constraints", "usage"
    }  # fmt: skip


@pytest.mark.parametrize(("without", "code"), [("", "expired"), ("validity", "malformed-certificate")])
def test_link_that_outlives_its_certificate_is_refused_when_it_is_judged_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, without: str, code: str
) -> None:
    """OpenSSL looked at the dates when the link came up, and never again: here the judge is alone."""
    assert outlived(stage, front_end(ends=HOUR), after=timedelta(0)) == "accepted"
    switch_off(monkeypatch, without)
    assert outlived(stage, front_end(ends=HOUR), after=2 * HOUR) == code


def outlived(stage: Stage, credentials: Credentials, *, after: timedelta) -> str:
    """What the judge says of a live link with *credentials* some time after."""
    node = stage.world.node(FE1)

    async def judged() -> str:
        files = ours(credentials)(stage.faulty).write(stage.world.organisation.folder, "outliving")
        async with await Peer.open(stage.world.network.address(*SERVER), credentials=files) as peer:
            await peer.silent()
            (link,) = node.pool.all()
            assert link.peer.evidence is not None
            policy = node.gatekeeper.policy(link.direction, link.kind, link.meant)
            verdict = judge(link.peer.evidence, policy, at=datetime.now(UTC) + after)
        await stage.world.hung_up(FE1)
        return str(verdict.code)

    return stage.runner.run(judged())
