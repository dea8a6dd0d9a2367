"""Cases of our own: name constraints over the names that SIP servers have, which no suite knows and no engine reads.

RFC 5280 4.2.1.10 speaks of URIs with an authority component. A ``sip:`` URI has its host elsewhere, but has one; what
identifies a server there (RFC 5922 7.1) must satisfy constraints on URIs and constraints on DNS names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from conformance.stage import Trial
from sipmesh.demo.forge import Forge
from trust.network import NOON

PARTNER, OTHER = "partner.test", "ours.test"


def uri(text: str) -> x509.GeneralName:
    """A URI, or a constraint on URIs."""
    return x509.UniformResourceIdentifier(text)


def dns(text: str) -> x509.GeneralName:
    """A DNS name, or a constraint on such."""
    return x509.DNSName(text)


@dataclass(frozen=True)
class Names:
    """The names of a leaf, what the CA above it permits or excludes, and whether they are good together."""

    what: str
    names: tuple[x509.GeneralName, ...]
    permitted: tuple[x509.GeneralName, ...] = ()
    excluded: tuple[x509.GeneralName, ...] = ()
    good: bool = False


def _permits(base: x509.GeneralName, good: str, *bad: str) -> tuple[Names, ...]:
    """The names that *base* lets in (one *good*) and keeps out."""
    kind = "a DNS" if isinstance(base, x509.DNSName) else "a URI"
    told = f"{kind} constraint permits {base.value!r}"
    yes = Names(f"{told}: {good}", (uri(good),), permitted=(base,), good=True)
    return yes, *(Names(f"{told}, not {one}", (uri(one),), permitted=(base,)) for one in bad)


def _excludes(base: x509.GeneralName, good: str, *bad: str) -> tuple[Names, ...]:
    kind = "a DNS" if isinstance(base, x509.DNSName) else "a URI"
    told = f"{kind} constraint excludes {base.value!r}"
    yes = Names(f"{told}, not {good}", (uri(good),), excluded=(base,), good=True)
    return yes, *(Names(f"{told}: {one}", (uri(one),), excluded=(base,)) for one in bad)


CASES = (
    # A host without a leading period is that host alone; with one, each host below it (RFC 5280 4.2.1.10).
    *_permits(uri(PARTNER), f"sip:{PARTNER}", f"sip:{OTHER}", f"sip:sip.{PARTNER}", f"sip:not{PARTNER}"),
    *_permits(uri(f".{PARTNER}"), f"sip:sip.{PARTNER}", f"sip:{PARTNER}", f"sip:{OTHER}", f"sip:sip.{PARTNER}.{OTHER}"),
    *_excludes(uri(OTHER), f"sip:{PARTNER}", f"sip:{OTHER}"),
    *_excludes(uri(f".{OTHER}"), f"sip:{OTHER}", f"sip:sip.{OTHER}"),
    # A DNS constraint holds the host of a sip: URI, with all that lies below the name.
    *_permits(dns(PARTNER), f"sip:{PARTNER}", f"sip:{OTHER}", f"sips:{OTHER}", f"sip:not{PARTNER}"),
    *_permits(dns(PARTNER), f"sip:sip.{PARTNER}", f"sip:{PARTNER}.{OTHER}"),
    *_excludes(dns(OTHER), f"sip:{PARTNER}", f"sip:{OTHER}", f"sip:sip.{OTHER}", f"sips:{OTHER}"),
    # Port, parameters and headers are not the host; neither is the user.
    *_permits(uri(PARTNER), f"sip:{PARTNER}:5061", f"sip:{OTHER}:5061", f"sip:{OTHER};maddr={PARTNER}"),
    *_permits(uri(PARTNER), f"sip:{PARTNER};transport=tls", f"sip:{OTHER}?to={PARTNER}", f"sip:{OTHER}/{PARTNER}"),
    *_permits(dns(PARTNER), f"sip:{PARTNER}:5061;lr", f"sip:{OTHER}:5061", f"sip:{OTHER}#{PARTNER}"),
    *_permits(uri(PARTNER), f"sip:alice@{PARTNER}", f"sip:alice@{OTHER}", f"sip:{PARTNER}@{OTHER}"),
    *_permits(dns(PARTNER), f"sip:alice@{PARTNER}", f"sip:alice@{OTHER}", f"sip:{PARTNER}@{OTHER}"),
    *_permits(uri(PARTNER), f"sip:{OTHER}@{PARTNER}", f"sip:{PARTNER}:secret@{OTHER}"),
    # Upper and lower case are one (RFC 3986 3.2.2), in the scheme too.
    *_permits(uri(PARTNER.upper()), f"sip:{PARTNER}", f"SIP:{OTHER}"),
    *_permits(dns(PARTNER), f"SIP:{PARTNER.upper()}", f"SIP:{OTHER.upper()}", f"Sips:{OTHER}"),
    *_excludes(dns(OTHER), f"sip:{PARTNER}", f"sIp:{OTHER.upper()}"),
    # What is escaped is not read, and what is not read is refused: it is not needed in a host.
    *_permits(uri(PARTNER), f"sip:{PARTNER}", "sip:p%61rtner.test", f"sip:{PARTNER}%00.{OTHER}"),
    *_excludes(dns(OTHER), f"sip:{PARTNER}", "sip:%6furs.test", "sip:ours%2etest"),
    *_excludes(uri(OTHER), f"sip:{PARTNER}", "sip:%6furs.test", f"sip:{OTHER}."),
    # An address is no host name: "if ... a host name specified as a fully qualified domain name" is missing, reject.
    *_permits(uri(PARTNER), f"sip:{PARTNER}", "sip:[2001:db8::1]", "sip:[2001:db8::1]:5061", "sip:192.0.2.1"),
    *_permits(dns(PARTNER), f"sip:{PARTNER}", "sip:[2001:db8::1]", "sip:192.0.2.1", f"sip:[::1]@{OTHER}"),
    *_excludes(dns(OTHER), f"sip:{PARTNER}", "sip:[2001:db8::1]", "sip:[2001:db8::1"),
    # Only URI constraints apply to other URIs; a URI without a host is rejected there.
    *_permits(uri(PARTNER), f"https://{PARTNER}/x", f"https://{OTHER}/", "urn:uuid:f81d4fae", f"mailto:a@{PARTNER}"),
    *_permits(dns(PARTNER), f"https://{OTHER}/"),
    # Every name counts, not only the intended name.
    Names("a second name outside", (uri(f"sip:{PARTNER}"), uri(f"sip:{OTHER}")), permitted=(dns(PARTNER),)),
    Names("a DNS name inside, a URI outside", (dns(PARTNER), uri(f"sip:{OTHER}")), permitted=(dns(PARTNER),)),
    Names("a URI inside, a DNS name outside", (uri(f"sip:{PARTNER}"), dns(OTHER)), permitted=(dns(PARTNER),)),
    Names("both inside", (uri(f"sip:{PARTNER}"), dns(PARTNER)), permitted=(dns(PARTNER),), good=True),
    Names("both inside both", (uri(f"sip:{PARTNER}"), dns(PARTNER)), permitted=(dns(PARTNER), uri(PARTNER)), good=True),
    Names(
        "permitted as a domain, excluded as a host",
        (uri(f"sip:bad.{PARTNER}"),),
        permitted=(uri(f".{PARTNER}"),),
        excluded=(uri(f"bad.{PARTNER}"),),
    ),
    Names(
        "addresses excluded, names free",
        (uri(f"sip:{PARTNER}"),),
        excluded=(x509.IPAddress(ip_network("::/0")),),
        good=True,
    ),
)


@lru_cache(maxsize=1)
def trials() -> tuple[Trial, ...]:
    """Every case as a trial, under a root of its own; a good name without a user can be meant."""
    forge = Forge(NOON)
    root = forge.root("Partner root")
    anchor = root.certificate.public_bytes(Encoding.DER)
    made = []
    for case in CASES:
        ca = forge.authority("Partner issuing CA", root, permitted=case.permitted, excluded=case.excluded)
        names = (x509.SubjectAlternativeName(case.names),)
        leaf = forge.server(ca, common_name="", critical=names)
        meant = next((one for one in (PARTNER, OTHER) if any(_means(name, one) for name in case.names)), "")
        made.append(Trial(case.what, case.good, leaf.presented, (anchor,), NOON, meant=meant))
    return tuple(made)


def _means(name: x509.GeneralName, host: str) -> bool:
    return str(name.value).lower() in {f"sip:{host}", host}
