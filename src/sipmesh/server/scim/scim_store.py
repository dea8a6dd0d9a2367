"""The resources of SCIM clients in the user database: read from rows, and what their groups give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from scim2_models import Meta

from sipmesh.routing.identity.alias import folded
from sipmesh.server.directory.entry_reader import Answer, Unusable
from sipmesh.server.directory.group_rules import GivenByGroups, GroupRules, group_rules
from sipmesh.server.scim.resources import MODELS, POLICY, Group, User, with_members
from sipmesh.server.scim.scim_entry import entry_of
from sipmesh.server.scim.scim_error import PATH
from sipmesh.server.scim.scim_filter import spellings
from sipmesh.storage.users.directory_entry import DirectoryEntry
from sipmesh.storage.users.scim_resource import ScimKind, ScimResource
from sipmesh.storage.users.scim_rows import (
    groups_above,
    known_of,
    members_of,
    names_of_groups,
    resources_in,
)
from sipmesh.strict_json import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from scim2_models import Resource

    from sipmesh.database.lazy_module import sql
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology


def row_of(
    kind: ScimKind, resource: Resource[Any], before: ScimResource | None, new_id: str, at: datetime
) -> ScimResource:
    """Return the row of a resource, in place of the row *before*, or with *new_id*."""
    name = resource.user_name if isinstance(resource, User) else getattr(resource, "display_name", "")
    kept = resource.model_copy(
        update={"id": None, "meta": None, **({} if kind is ScimKind.USER else {"members": None})}
    )
    document = json.dumps(kept.model_dump(exclude={"schemas"}))
    if before is None:
        return ScimResource(new_id, kind, folded(str(name)), resource.external_id or "", document, 1, at, at)
    changed = at if document != before.document else before.changed
    version = before.version + 1
    return ScimResource(
        before.id, kind, folded(str(name)), resource.external_id or "", document, version, before.created, changed
    )


def resource_of(row: ScimResource, base: str = "") -> Resource[Any]:
    """Return the resource of a row, without members; *base* is the URL of SCIM here."""
    model = MODELS[row.kind]
    found = model.model_validate({"schemas": [str(model.__schema__)], **read_json(row.document)}, scim_policy=POLICY)
    found.id = row.id
    found.meta = Meta(
        resource_type=str(row.kind),
        created=row.created,
        last_modified=row.changed,
        location=f"{base}{PATH}/{row.kind}s/{row.id}",
        version=etag(row),
    )
    return found


def etag(row: ScimResource) -> str:
    """Return the version of a row as an entity tag (RFC 7644 section 3.14)."""
    return f'W/"{row.version}"'


def add_members(db: sql.Connection, group: Group, base: str) -> None:
    """Set the members of a group as the database has them; *base* is the URL of this server."""
    members = members_of(db, str(group.id))
    kinds = known_of(db, members)
    with_members(group, [(member, kinds[member]) for member in members if member in kinds], f"{base}{PATH}")


@dataclass(frozen=True, slots=True)
class GroupsHere:
    """What the groups of the database *db* give their members, by *rules*."""

    db: sql.Connection
    rules: GroupRules

    def given(self, member: str) -> GivenByGroups:
        """Return what the groups give a user; a group counts by its id and its external id, never by its name."""
        if not self.rules.groups:
            return GivenByGroups()
        names = names_of_groups(self.db, groups_above(self.db, [member]))
        within = frozenset((*names, *names.values())) - {""}
        return self.rules.given(within.__contains__)

    def decide(self, ids: Sequence[str]) -> bool:
        """Tell whether one of the groups *ids*, or one above it, is named by a rule."""
        if not self.rules.groups:
            return False
        names = names_of_groups(self.db, {*ids, *groups_above(self.db, ids)})
        return not self.rules.groups.isdisjoint({*names, *names.values()})


def entry_in(db: sql.Connection, user: User, topology: Topology) -> tuple[DirectoryEntry, Sequence[str]]:
    """Return the entry of *user* and what is wrong with its numbers; raises ValueError for one who can be no user here."""
    return entry_of(user, GroupsHere(db, group_rules(topology)).given(user.id or ""), topology.sip_domains)


def resource_for(aor: str, at: datetime) -> tuple[ScimResource, DirectoryEntry]:
    """Return a new resource with the name of a local user, and its entry."""
    user = User(user_name=aor.removeprefix("sip:"), active=True)
    row = row_of(ScimKind.USER, user, None, str(uuid4()), at)
    return row, DirectoryEntry(row.id, aor)


def scim_answer(loaded: Loaded, users: Users, name: str = "", identity: str = "") -> Answer:
    """Return all users that SCIM clients have written, or those of an address without scheme and of an id."""
    from sipmesh.storage.users import scim_tables

    table = scim_tables.RESOURCES.c
    names = spellings(name, loaded.topology.sip_domains)
    named = [table.name.in_(names) | (table.id == identity)] if name else []
    entries, unusable, faults = [], dict[str, Unusable](), list[tuple[str, str]]()
    with users.reading() as db:
        for row in resources_in(db, [table.kind == str(ScimKind.USER), *named]):
            user = resource_of(row)
            assert isinstance(user, User)  # noqa: S101 - the model of users
            try:
                entry, wrong = entry_in(db, user, loaded.topology)
            except ValueError as why:  # a domain that the topology has not any more
                unusable[row.id] = Unusable(row.name, str(why))
                continue
            entries.append(entry)
            faults += [(entry.aor.removeprefix("sip:"), reason) for reason in wrong]
    return Answer(entries, unusable, faults)
