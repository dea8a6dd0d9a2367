"""RFC 5280 6.1 to the letter, with the tree that grows without end: what the graph has to agree with on small paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cryptography import x509

from sipmesh.trust.x509.certificate_policies import ANY, Demands, Wanted, demands_of


@dataclass(eq=False)
class Node:
    """One node of the tree (RFC 5280 6.1.2 (a))."""

    policy: str
    expected: set[str]
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    def grow(self, policy: str, expected: set[str]) -> None:
        self.children.append(Node(policy, expected, self))

    def at(self, depth: int) -> Iterator[Node]:
        """The nodes of one depth below this one."""
        if depth == 0:
            yield self
        for child in self.children:
            yield from child.at(depth - 1) if depth else ()

    def prune(self, depth: int) -> bool:
        """Drop what has no descendant at *depth*; whether anything is left."""
        self.children = [child for child in self.children if child.prune(depth - 1)]
        return depth == 0 or bool(self.children)


def accepts(path: Sequence[x509.Certificate], wanted: Wanted) -> bool:
    """Whether *path* (leaf first, anchor last) passes."""
    certificates = list(reversed(path[:-1]))
    n = len(certificates)
    tree: Node | None = Node(ANY, {ANY})
    explicit, mapping, inhibit = (
        0 if now else n + 1 for now in (wanted.explicit, wanted.mapping_inhibited, wanted.any_inhibited)
    )
    for i, certificate in enumerate(certificates, 1):
        said, self_issued = demands_of(certificate), certificate.subject == certificate.issuer
        tree = _issued(tree, said, i, any_counts=inhibit > 0 or (i < n and self_issued))
        if explicit == 0 and tree is None:
            return False
        if i == n:
            break
        if any(ANY in pair for pair in said.mappings):
            return False
        tree = _mapped(tree, said, i, mapping)
        if not self_issued:
            explicit, mapping, inhibit = max(explicit - 1, 0), max(mapping - 1, 0), max(inhibit - 1, 0)
        explicit = min(explicit, explicit if said.explicit_after is None else said.explicit_after)
        mapping = min(mapping, mapping if said.no_mapping_after is None else said.no_mapping_after)
        inhibit = min(inhibit, inhibit if said.no_any_after is None else said.no_any_after)
    explicit = max(explicit - 1, 0)
    if demands_of(certificates[-1]).explicit_after == 0:
        explicit = 0
    return explicit > 0 or _suits(tree, wanted, n)


def _issued(tree: Node | None, said: Demands, i: int, *, any_counts: bool) -> Node | None:
    """6.1.3 (d) and (e)."""
    if tree is None or said.policies is None:
        return None
    above = list(tree.at(i - 1))
    for policy in said.policies - {ANY}:
        matching = [node for node in above if policy in node.expected]
        for node in matching or [node for node in above if node.policy == ANY]:
            node.grow(policy, {policy})
    if ANY in said.policies and any_counts:
        for node in above:
            for policy in node.expected - {child.policy for child in node.children}:
                node.grow(policy, {policy})
    return tree if tree.prune(i) else None


def _mapped(tree: Node | None, said: Demands, i: int, mapping: int) -> Node | None:
    """6.1.4 (b)."""
    for policy in {ours for ours, _ in said.mappings} if tree is not None else ():
        theirs = {other for ours, other in said.mappings if ours == policy}
        level = list(tree.at(i)) if tree else []
        held = [node for node in level if node.policy == policy]
        if mapping == 0:
            for node in held:
                assert node.parent is not None
                node.parent.children.remove(node)
            continue
        for node in held:
            node.expected = set(theirs)
        anything = [node for node in level if node.policy == ANY]
        if not held and anything:
            assert anything[0].parent is not None
            anything[0].parent.grow(policy, set(theirs))
    return tree if tree is not None and tree.prune(i) else None


def _suits(tree: Node | None, wanted: Wanted, n: int) -> bool:
    """6.1.5 (g)."""
    if tree is None or ANY in wanted.policies:
        return tree is not None
    for depth in range(1, n + 1):
        for node in list(tree.at(depth)):
            assert node.parent is not None
            if node.parent.policy == ANY and node.policy not in {ANY, *wanted.policies}:
                node.parent.children.remove(node)
    return tree.prune(n)
