"""Approvals: signatures of operators under the content of a version, beside the signature of management.

A network with `approvals` in its topology loads a new content only with the signatures of enough operators. So an
attacker who takes the management host cannot change who is trusted. What operators sign is a proposal: the
organisation, the serial number of the content, the document, and every file that it embeds. A server accepts a higher
serial number only. So an old content, once approved, cannot be put in force again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sipmesh.errors import SipmeshError
from sipmesh.topology.document.operators.sshsig import PublicKey, Signature, UnusableKeyError
from sipmesh.topology.document.parts.federation import Federation, Partner
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import Role
from sipmesh.typed_json import Base64, UnreadableJsonError, read_document

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.approvals import Approvals
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.versions.publication import Publication

NAMESPACE: Final = "sipmesh-topology"
"""The namespace of the signatures (`ssh-keygen -Y sign -n`): a signature for something else does not count."""

REJECTION: Final = "sipmesh-topology-rejection"
"""The namespace of rejections: none can be used as an approval."""

FORMAT: Final = 1
MOST: Final = 100
"""Signatures of one version."""

FARTHEST_BLOCK: Final = 1000
"""How much higher than in force the serial number of a version may be for which `block` approvals are enough."""


class NotApprovedError(SipmeshError):
    """A content has not the approvals that the version in force requires."""


@dataclass(frozen=True, slots=True)
class ApprovalNeed:
    """How many of *operators* must approve a content by the *rule* of one version, and who has *approved* it so far.

    *rejected* are operators who are against it, each with the reason. They do not count against those who approve.
    """

    rule: str
    needed: int
    operators: Sequence[str]
    approved: Sequence[str]
    rejected: Sequence[str] = field(default_factory=list)

    @property
    def is_met(self) -> bool:
        """Whether enough operators have approved."""
        return len(self.approved) >= self.needed

    def __str__(self) -> str:
        names = f": {tell_list(self.approved)}" if self.approved else ""
        told = f"{self.needed} of {tell_list(self.operators)} must approve; {len(self.approved)} of {self.needed}"
        against = f"; rejected by {'; by '.join(self.rejected)}" if self.rejected else ""
        return f"by {self.rule}, {told} {'has' if len(self.approved) == 1 else 'have'} approved{names}{against}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """The content that operators approve: *serial* is one more than that of the content in force."""

    organisation: str
    serial: int
    topology: str
    files: Mapping[str, Base64]

    def encode(self) -> bytes:
        """Return the octets that operators sign; the same content always gives the same octets."""
        files = {name: base64.b64encode(content).decode() for name, content in sorted(self.files.items())}
        fields = {
            "sipmesh-proposal": FORMAT,
            "organisation": self.organisation,
            "serial": self.serial,
            "topology": self.topology,
            "files": files,
        }
        return json.dumps(fields, ensure_ascii=True, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, octets: bytes) -> Proposal:
        """Read a proposal; raises `NotApprovedError` unless these are exactly the octets that `encode` makes."""
        try:
            found = read_document(cls, octets)
        except UnreadableJsonError:
            raise NotApprovedError("this is not a proposal; write one: sipmesh topology propose FILE") from None
        if found.encode() != octets:
            raise NotApprovedError("this proposal was changed: it is not what sipmesh topology propose has written")
        return found

    @property
    def digest(self) -> str:
        """The SHA-256 of its octets in hex, by which operators compare it."""
        return hashlib.sha256(self.encode()).hexdigest()


def proposal_of(publication: Publication) -> Proposal:
    """Return what operators have approved for a publication."""
    return Proposal(publication.organisation, publication.serial, publication.topology, publication.files)


def rejection_octets(proposal: Proposal, why: str) -> bytes:
    """Return the octets that an operator signs to reject a proposal for the reason *why*."""
    return json.dumps({"sipmesh-rejection": FORMAT, "proposal": proposal.digest, "why": why}).encode()


def approvers(
    rule: Approvals, octets: bytes, signatures: Iterable[bytes], namespace: str = NAMESPACE
) -> dict[str, bytes]:
    """Return the operators of *rule* who have signed *octets* for *namespace*, each with one signature."""
    keys = {PublicKey.read(operator.key).blob: operator.name for operator in rule.operators}
    found: dict[str, bytes] = {}
    for blob in signatures:
        try:
            signature = Signature.read(blob)
        except UnusableKeyError:
            continue
        name = keys.get(signature.key.blob)
        if name is not None and name not in found and signature.is_of(octets, namespace):
            found[name] = blob
    return found


def must_be_approved(held: Publication, held_topology: Topology, new: Publication, new_topology: Topology) -> None:
    """Raise `NotApprovedError` unless the content of *new* may follow *held* by the rule of the held topology.

    The same content with another number needs no new approval. A version that only blocks needs `block` approvals; few operators
    cannot use up the serial numbers by it, so that no later content would count.
    """
    rule = held_topology.approvals
    if rule is None or _is_same_content(held, new):
        return
    if new.serial <= held.serial:
        raise NotApprovedError(
            f"its content has the serial number {new.serial}, and the content in force has {held.serial}: an old content "
            "does not count again"
        )
    needed = needed_approvals(rule, held, held_topology, new, new_topology)
    names = approvers(rule, proposal_of(new).encode(), list(new.approvals.values())[:MOST])
    if len(names) < needed:
        raise NotApprovedError(f"{len(names)} of {needed} operators have approved its content{_named(names)}")


def needed_approvals(
    rule: Approvals, held: Publication, held_topology: Topology, new: Publication, new_topology: Topology
) -> int:
    """Return how many operators must approve *new* after *held*: fewer for a content that only blocks, if *rule* says so."""
    only_blocks = is_block(held_topology, new_topology) and new.files.items() <= held.files.items()
    is_near = new.serial <= held.serial + FARTHEST_BLOCK
    return rule.block if only_blocks and is_near and rule.block is not None else rule.publish


def _named(names: Iterable[str]) -> str:
    return f": {tell_list(sorted(names))}" if names else ""


def is_block(held: Topology, new: Topology) -> bool:
    """Return whether *new* only takes trust away: from names, partners, or some of several management servers.

    Names are added to `blocked`; partners, and servers of a management pool that keeps another server, are removed.
    """
    before, after = held.federation, new.federation
    same = new.model_copy(update={"federation": before, "pools": held.pools}) == held
    rest = after.model_copy(update=_of_blocks(before)) == before
    fewer = [partner for partner in before.partners if partner in after.partners] == list(after.partners)
    pools = len(held.pools) == len(new.pools) and all(map(_is_without_managers, held.pools, new.pools))
    moved = [entry for entry in after.blocked_partners if entry not in before.blocked_partners]
    kept = all(Partner.model_validate(entry) in before.partners for entry in moved)
    return same and rest and fewer and kept and pools and set(before.blocked) <= set(after.blocked)


def _of_blocks(federation: Federation) -> dict[str, object]:
    """Return the keys that a block changes."""
    return {key: getattr(federation, key) for key in ("partners", "blocked", "blocked_partners")}


def _is_without_managers(held: Pool, new: Pool) -> bool:
    """Return whether *new* is the pool *held*, or a management pool with fewer of its servers."""
    if new == held:
        return True
    same = held.role is Role.MANAGEMENT and new.model_copy(update={"servers": held.servers}) == held
    return same and [server for server in held.servers if server in new.servers] == list(new.servers)


def _is_same_content(held: Publication, new: Publication) -> bool:
    same = (held.topology, dict(held.files), held.serial) == (new.topology, dict(new.files), new.serial)
    return same and held.organisation == new.organisation
