"""Certificate policies of a path (RFC 5280 6.1, with the policy graph of RFC 9618).

A CA may require that certificates below it are issued under a known policy (requireExplicitPolicy). It may also forbid policy
mappings, or anyPolicy. Neither engine checks that: OpenSSL does it only on request, and cryptography never. Our links accept
any policy, so a path without such a requirement passes with all policies.

The policy tree of RFC 5280 can grow without limit. RFC 9618 has one node for each policy and certificate. For the result
it is enough to know, for each policy, the policies of the topmost CA's domain that it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from sipmesh.trust.x509.certificate import KEPT, extension
from sipmesh.trust.x509.der import dotted, elements

if TYPE_CHECKING:
    from collections.abc import Sequence

ANY = "2.5.29.32.0"  # anyPolicy
MOST = 64  # policies or mappings of one certificate; real certificates have a handful


@dataclass(frozen=True, slots=True)
class Wanted:
    """The user's requirements (RFC 5280 6.1.1 (c) to (g)). The defaults are those of all links."""

    policies: frozenset[str] = frozenset({ANY})
    explicit: bool = False
    mapping_inhibited: bool = False
    any_inhibited: bool = False


LINKS = Wanted()


class Demands(NamedTuple):
    """The policy extensions of one certificate; ``None`` if an extension is absent. *fault*: why they cannot be read."""

    policies: frozenset[str] | None = None
    mappings: tuple[tuple[str, str], ...] = ()  # (issuer's policy, subject's policy)
    explicit_after: int | None = None
    no_mapping_after: int | None = None
    no_any_after: int | None = None
    fault: str = ""


NONE = Demands()


class _Node(NamedTuple):
    """One policy at one depth: the policies that it means below, and the top-level policies that it comes from."""

    expected: frozenset[str]
    origins: frozenset[str]


def unmet(path: Sequence[x509.Certificate], wanted: Wanted = LINKS) -> list[str]:
    """List the policy requirements that *path* (leaf first, anchor last) does not meet. An anchor requires nothing."""
    below = path[-2::-1]  # from the topmost certificate to the leaf
    demands = [demands_of(certificate) for certificate in below]
    if wanted == LINKS and not any(
        demand.mappings or demand.explicit_after is not None or demand.fault for demand in demands
    ):
        return []  # no certificate requires a policy, so all policies are accepted
    walk = _Walk(wanted, len(below))
    for certificate, demand in zip(below, demands, strict=True):
        if fault := walk.step(certificate, demand, last=certificate is below[-1]):
            return [f"{certificate.subject.rfc4514_string()} {fault}"]
    return walk.outcome(path[0])


@dataclass(slots=True)
class _Walk:
    """The state variables of RFC 5280 6.1.2. *nodes* is None where the tree of the RFC is NULL."""

    wanted: Wanted
    length: int
    nodes: dict[str, _Node] | None = field(init=False)
    explicit: int = field(init=False)
    mapping: int = field(init=False)
    any_policy: int = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = {ANY: _Node(frozenset({ANY}), frozenset({ANY}))}
        self.explicit = 0 if self.wanted.explicit else self.length + 1
        self.mapping = 0 if self.wanted.mapping_inhibited else self.length + 1
        self.any_policy = 0 if self.wanted.any_inhibited else self.length + 1

    def step(self, certificate: x509.Certificate, demands: Demands, *, last: bool) -> str:
        """Process one certificate, and prepare for the next unless it is the *last*. Returns an error, or ""."""
        if demands.fault:
            return demands.fault
        self_issued = certificate.subject == certificate.issuer
        self.nodes = self._under(demands.policies, any_counts=self.any_policy > 0 or (self_issued and not last))
        if self.explicit == 0 and self.nodes is None:
            return "was not issued under a required policy (RFC 5280 6.1.3 (f))"
        if last:
            return ""
        if any(ANY in pair for pair in demands.mappings):
            return "maps a policy to or from anyPolicy (RFC 5280 6.1.4 (a))"
        self._map(demands.mappings)
        self._count(demands, self_issued=self_issued)
        return ""

    def _under(self, policies: frozenset[str] | None, *, any_counts: bool) -> dict[str, _Node] | None:
        """Apply RFC 5280 6.1.3 (d) and (e): give the expected policies under which this certificate is issued."""
        if policies is None or self.nodes is None:
            return None
        expected = self._expected()
        found = {policy: expected.get(policy) or expected.get(ANY) for policy in policies if policy != ANY}
        if ANY in policies and any_counts:
            found = {**expected, **found}
        return {
            policy: _Node(frozenset({policy}), origins if origins != _ANY_ORIGIN else frozenset({policy}))
            for policy, origins in found.items()
            if origins
        } or None

    def _expected(self) -> dict[str, frozenset[str]]:
        """Give each policy that is expected next, with all policies that it comes from."""
        expected: dict[str, frozenset[str]] = {}
        for node in (self.nodes or {}).values():
            for policy in node.expected:
                expected[policy] = expected.get(policy, frozenset()) | node.origins
        return expected

    def _map(self, mappings: Sequence[tuple[str, str]]) -> None:
        """Apply RFC 5280 6.1.4 (b): a mapped policy means the subject's policies below, or is removed if inhibited."""
        if self.nodes is None:
            return
        for policy in {ours for ours, _ in mappings}:
            if self.mapping == 0:
                self.nodes.pop(policy, None)
                continue
            origins = self.nodes[policy].origins if policy in self.nodes else frozenset({policy})
            if policy in self.nodes or ANY in self.nodes:
                self.nodes[policy] = _Node(frozenset(theirs for ours, theirs in mappings if ours == policy), origins)
        self.nodes = self.nodes or None

    def _count(self, demands: Demands, *, self_issued: bool) -> None:
        """Apply RFC 5280 6.1.4 (h) to (j)."""
        if not self_issued:
            self.explicit, self.mapping, self.any_policy = (
                max(0, left - 1) for left in (self.explicit, self.mapping, self.any_policy)
            )
        self.explicit = _lesser(self.explicit, demands.explicit_after)
        self.mapping = _lesser(self.mapping, demands.no_mapping_after)
        self.any_policy = _lesser(self.any_policy, demands.no_any_after)

    def outcome(self, leaf: x509.Certificate) -> list[str]:
        """Apply RFC 5280 6.1.5: check the requirements after the last certificate, and the user's policies."""
        explicit = max(0, self.explicit - 1)
        if demands_of(leaf).explicit_after == 0:
            explicit = 0
        origins = frozenset().union(*(node.origins for node in (self.nodes or {}).values()))
        suits = bool(origins) and (
            ANY in self.wanted.policies or ANY in origins or bool(origins & self.wanted.policies)
        )
        if explicit > 0 or suits:
            return []
        return [f"{leaf.subject.rfc4514_string()} was not issued under a required policy (RFC 5280 6.1.5 (g))"]


_ANY_ORIGIN = frozenset({ANY})


def _lesser(left: int, limit: int | None) -> int:
    return left if limit is None else min(left, limit)


@lru_cache(maxsize=KEPT)
def demands_of(certificate: x509.Certificate) -> Demands:
    """Read the policy extensions of *certificate*."""
    policies = extension(certificate, x509.CertificatePolicies)
    limits, no_any = extension(certificate, x509.PolicyConstraints), extension(certificate, x509.InhibitAnyPolicy)
    mapped = next((entry.value for entry in certificate.extensions if entry.oid == ExtensionOID.POLICY_MAPPINGS), None)
    if policies is None and limits is None and no_any is None and mapped is None:
        return NONE
    try:
        mappings = _mappings(mapped.public_bytes()) if mapped is not None else ()
    except ValueError as wrong:
        return Demands(fault=f"has policy mappings that cannot be read ({wrong})")
    if max(len(policies or ()), len(mappings)) > MOST:
        return Demands(fault=f"has more than {MOST} policies or mappings of them")
    return Demands(
        policies=None if policies is None else frozenset(entry.policy_identifier.dotted_string for entry in policies),
        mappings=mappings,
        explicit_after=limits.require_explicit_policy if limits else None,
        no_mapping_after=limits.inhibit_policy_mapping if limits else None,
        no_any_after=no_any.skip_certs if no_any else None,
    )


def _mappings(der: bytes) -> tuple[tuple[str, str], ...]:
    """Parse the extension that cryptography does not parse (RFC 5280 4.2.1.5); ValueError if it is malformed."""
    (outer,) = elements(der)
    pairs = [tuple(map(dotted, pair.sequence())) for pair in outer.sequence()]
    if not pairs or any(len(pair) != 2 for pair in pairs):  # noqa: PLR2004 - a pair
        raise ValueError("not pairs of policies")
    return tuple((ours, theirs) for ours, theirs in pairs)
