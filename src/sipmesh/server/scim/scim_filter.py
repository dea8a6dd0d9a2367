"""The filters of SCIM that the database answers by an index: equal values, joined by ``and`` (RFC 7644 section 3.4.2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from scim2_models import InvalidFilterException, ScimFilter
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from sipmesh.database.lazy_module import sql
from sipmesh.routing.identity.alias import folded
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.users import scim_tables
from sipmesh.storage.users.scim_resource import ScimKind

LONGEST: Final = 1_024
_NAMES: Final = {"username": ScimKind.USER, "displayname": ScimKind.GROUP}
_REMEDY: Final = "filter by eq on userName, externalId, id, and displayName and members of groups, joined by and"


def conditions(kinds: Sequence[ScimKind], text: str, domains: Sequence[str]) -> list[sql.ColumnElement[bool]]:
    """Return what the rows of *kinds* must fulfil that *text* selects; raises `InvalidFilterException`.

    A userName without a domain is in the first of *domains*, as in `address_of`.
    """
    of_kinds = scim_tables.RESOURCES.c.kind.in_([str(kind) for kind in kinds])
    if len(text) > LONGEST:
        raise InvalidFilterException(detail=f"the filter has more than {LONGEST} characters")
    try:
        return [of_kinds, *(_of(ScimFilter(text).ast, domains) if text else ())]
    except RecursionError:
        raise InvalidFilterException(detail="the filter has too many parentheses") from None


def spellings(name: str, domains: Sequence[str]) -> tuple[str, ...]:
    """Return the texts that name the same user as the userName *name*: with and without the first of *domains*."""
    user, at, domain = folded(name).partition("@")
    if at and domain != domains[0]:
        return (folded(name),)
    return (user, f"{user}@{domains[0]}")


def _of(node: FilterNode, domains: Sequence[str]) -> Iterator[sql.ColumnElement[bool]]:
    if isinstance(node, LogicalExpr) and node.op is LogicalOperator.and_:
        for term in node.terms:
            yield from _of(term, domains)
    elif isinstance(node, Comparison) and node.op is CompareOperator.eq and isinstance(node.value, str):
        part = ascii_lower(node.attr_path.sub_attr or "")
        yield _equal(ascii_lower(node.attr_path.attr), part, node.value, domains)
    else:
        raise InvalidFilterException(detail=_REMEDY)


def _equal(attribute: str, part: str, value: str, domains: Sequence[str]) -> sql.ColumnElement[bool]:
    resources, members = scim_tables.RESOURCES.c, scim_tables.MEMBERS.c
    if attribute in _NAMES and not part:
        kind = _NAMES[attribute]
        names = spellings(value, domains) if kind is ScimKind.USER else (folded(value),)
        return sql.and_(resources.kind == str(kind), resources.name.in_(names))
    if attribute == "externalid" and not part:
        return sql.and_(resources.external_id == value, resources.external_id != "")
    if attribute == "id" and not part:
        return resources.id == value
    if attribute == "members" and part in {"", "value"}:
        return resources.id.in_(sql.select(members.group_id).where(members.member_id == value))
    raise InvalidFilterException(detail=_REMEDY)
