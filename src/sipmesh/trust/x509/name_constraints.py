"""Name constraints of CAs (RFC 5280 4.2.1.10), extended to SIP.

Neither engine applies DNS constraints to ``sip:`` URIs, and both refuse URI constraints. Here a DNS constraint also applies to
the host of each ``sip:`` and ``sips:`` URI. Constraints on URIs, directory names (which the second engine refuses too) and
mailboxes are applied as in the RFC.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING
from unicodedata import normalize

from cryptography import x509
from cryptography.x509.oid import NameOID

from sipmesh.sip.text import ascii_lower
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.x509.certificate import extension
from sipmesh.trust.x509.sip_identity import alternative_names, is_host_name, spell, uri_host

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMPARISONS = 2_500  # names times constraints, about 16 ms. Only an attacker needs more (OpenSSL's limit: 2 ** 20)


_UNREAD = (x509.UniformResourceIdentifier, x509.DirectoryName)


def has_unread_constraint(path: Sequence[x509.Certificate]) -> bool:
    """Tell whether *path* has constraints on URIs or directory names, which the second engine does not support."""
    return any(
        isinstance(tree, _UNREAD)
        for constraints in map(_constraints_of, path)
        if constraints is not None
        for tree in (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ()))
    )


def violations(path: Sequence[x509.Certificate]) -> list[str]:
    """List the names in *path* (leaf first) that break the constraints of a CA above them, as text."""
    broken: list[str] = []
    for depth in range(len(path) - 1, 0, -1):
        constraints = _constraints_of(path[depth])
        if constraints is None:
            continue
        author = path[depth].subject.rfc4514_string()
        for below in _bound_by(path[:depth]):
            broken += [f"{author} {wrong}" for wrong in _violations(below, constraints)]
    return broken


def _constraints_of(certificate: x509.Certificate) -> x509.NameConstraints | None:
    return extension(certificate, x509.NameConstraints)


def _bound_by(below: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
    """RFC 5280 6.1.3 (b): self-issued certificates are exempt, unless it is the last certificate of the path."""
    for depth, certificate in enumerate(below):
        if depth == 0 or certificate.subject != certificate.issuer:
            yield certificate


def _violations(certificate: x509.Certificate, constraints: x509.NameConstraints) -> Iterator[str]:
    names = (*alternative_names(certificate), *_subject(certificate))
    if (
        len(names) * (len(constraints.permitted_subtrees or ()) + len(constraints.excluded_subtrees or ()))
        > COMPARISONS
    ):
        yield (
            f"has name constraints that are too many to check against the {len(names)} of "
            f"{certificate.subject.rfc4514_string()}"
        )
        return
    for kind in _KINDS:
        allowed, denied = _of_kind(constraints.permitted_subtrees, kind), _of_kind(constraints.excluded_subtrees, kind)
        for name in names if allowed or denied else ():
            seen = _looked_at(name, kind)
            if seen is None:
                continue
            if allowed and not any(_matches(seen, tree, doubt=False) for tree in allowed):
                yield f"permits only {tell_list([*map(spell, allowed)])}, not {spell(name)}"
            if any(_matches(seen, tree, doubt=True) for tree in denied):
                yield f"excludes {tell_list([*map(spell, denied)])}, and with it {spell(name)}"


_KINDS = (
    x509.DNSName,
    x509.UniformResourceIdentifier,
    x509.IPAddress,
    x509.RFC822Name,
    x509.DirectoryName,
    x509.OtherName,
    x509.RegisteredID,
)


def _subject(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    """RFC 5280 4.2.1.10: the subject is also a directory name, and its e-mail addresses are also mailboxes."""
    subject = certificate.subject
    mailboxes = [_mailbox(str(attribute.value)) for attribute in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)]
    return (x509.DirectoryName(subject), *mailboxes) if list(subject) else ()


def _mailbox(text: str) -> x509.RFC822Name:
    try:
        return x509.RFC822Name(text)
    except ValueError:
        return x509.RFC822Name("?")  # not a mailbox: no permitted subtree matches it, and every excluded one does


def _of_kind(trees: Sequence[x509.GeneralName] | None, kind: type[x509.GeneralName]) -> list[x509.GeneralName]:
    return [tree for tree in trees or () if isinstance(tree, kind)]


def _looked_at(name: x509.GeneralName, kind: type[x509.GeneralName]) -> str | x509.Name | None:
    """Return the part of *name* that a constraint of *kind* applies to; None if it does not apply, "" if it is unknown.

    RFC 5280 4.2.1.10: a URI without "an authority component with a host name specified as a fully qualified domain
    name" MUST be rejected under a URI constraint. A ``sip:`` URI has a host, but in another place.
    """
    if isinstance(name, x509.UniformResourceIdentifier):
        host = uri_host(name.value) or ""
        is_sip = ascii_lower(name.value).startswith(("sip:", "sips:"))
        concerned = kind is x509.UniformResourceIdentifier or (kind is x509.DNSName and is_sip)
        return (host if is_host_name(host) else "") if concerned else None
    if not isinstance(name, kind):
        return None
    if isinstance(name, x509.DNSName):
        return ascii_lower(name.value)
    if isinstance(name, x509.IPAddress):
        return str(name.value) if isinstance(name.value, IPv4Address | IPv6Address) else ""
    if isinstance(name, x509.RFC822Name):
        return name.value if _is_mailbox(name.value) else ""
    return name.value if isinstance(name, x509.DirectoryName) else ""  # other kinds are not supported


def _is_mailbox(text: str) -> bool:
    local, _, host = text.partition("@")
    return bool(local) and is_host_name(ascii_lower(host))


def _matches(seen: str | x509.Name, tree: x509.GeneralName, *, doubt: bool) -> bool:
    """Tell whether *seen* is in *tree*. *doubt* is the answer if one of them cannot be read."""
    if isinstance(seen, x509.Name):
        return _is_below(seen, tree.value) if isinstance(tree, x509.DirectoryName) else doubt
    if seen and isinstance(tree, x509.DNSName):
        return _in_domain(seen, ascii_lower(tree.value), doubt=doubt)
    if seen and isinstance(tree, x509.UniformResourceIdentifier):
        return _is_host(seen, ascii_lower(tree.value), doubt=doubt)
    if seen and isinstance(tree, x509.RFC822Name):
        return _is_mailbox_of(seen, tree.value, doubt=doubt)
    if seen and isinstance(tree, x509.IPAddress) and isinstance(tree.value, IPv4Network | IPv6Network):
        return ip_address(seen) in tree.value
    return doubt


def _is_mailbox_of(mailbox: str, base: str, *, doubt: bool) -> bool:
    """RFC 5280: a base with an @ is one mailbox; others are hosts, as for URIs. The local part is case-sensitive."""
    local, _, host = mailbox.partition("@")
    base_local, at, base_host = base.rpartition("@")
    if at:
        return local == base_local and ascii_lower(host) == ascii_lower(base_host)
    return _is_host(ascii_lower(host), ascii_lower(base), doubt=doubt)


def _is_below(name: x509.Name, base: x509.Name) -> bool:
    """RFC 5280 4.2.1.10, 7.1: the name begins with the base. Case and repeated blanks in values are ignored."""
    begins = zip(name.rdns, base.rdns, strict=False)
    return len(base.rdns) <= len(name.rdns) and all(_folded(mine) == _folded(theirs) for mine, theirs in begins)


def _folded(rdn: x509.RelativeDistinguishedName) -> set[tuple[str, str | bytes]]:
    return {(attribute.oid.dotted_string, _fold(attribute.value)) for attribute in rdn}


@lru_cache(maxsize=1024)
def _fold(value: str | bytes) -> str | bytes:
    return value if isinstance(value, bytes) else " ".join(normalize("NFKC", value).casefold().split())


def _in_domain(name: str, base: str, *, doubt: bool) -> bool:
    """RFC 5280: "adding zero or more labels to the left-hand side". The empty base contains every name."""
    if not base:
        return True
    if not is_host_name(base):
        return doubt
    overlaps = doubt and name.startswith("*.") and base.endswith(name[1:])
    return name == base or name.endswith("." + base) or overlaps


def _is_host(host: str, base: str, *, doubt: bool) -> bool:
    """RFC 5280: a base with a leading period contains all hosts below it; a base without one is one host."""
    if not is_host_name(base.removeprefix(".")):
        return doubt
    return host.endswith(base) if base.startswith(".") else host == base
