"""The users and groups of SCIM as we have them (RFC 7643), and how far their clients may depart from RFC 7644."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Union

from pydantic import Field
from scim2_models import (
    CaseExact,
    ComplexAttribute,
    Context,
    Mutability,
    Name,
    PatchOp,
    PhoneNumber,
    Reference,
    Required,
    Resource,
    ResponseParameters,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Uniqueness,
)
from scim2_models import Group as CoreGroup
from scim2_models import User as CoreUser

from sipmesh.storage.users.scim_resource import ScimKind

MOST_RESULTS: Final = 200
"""Resources of one page."""


class Email(ComplexAttribute):
    """A mail address as the client has it, also of a domain that no public DNS has."""

    value: str | None = None
    display: str | None = None
    type: str | None = None
    primary: bool | None = None


class User(Resource[Any]):
    """The attributes of a user that we keep. Other attributes of a client are passed over; no password is read."""

    __schema__ = CoreUser.__schema__
    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    name: Name | None = None
    display_name: str | None = None
    active: bool | None = None
    emails: list[Email] | None = None
    phone_numbers: list[PhoneNumber] | None = None


class Member(ComplexAttribute):
    """A member of a group, by its id; the rest is what we know of this id."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[Reference[Union["User", "Group"]] | None, Mutability.immutable] = Field(  # noqa: UP007, UP037 - names are read
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User", "Group"])


class Group(Resource[Any]):
    """A group: clients know it by its name, and the topology by its id or external id."""

    __schema__ = CoreGroup.__schema__
    display_name: Annotated[str | None, Required.true] = None
    members: list[Member] | None = None


MODELS: Final[Mapping[ScimKind, type[Resource[Any]]]] = {ScimKind.USER: User, ScimKind.GROUP: Group}
PATCHES: Final[Mapping[ScimKind, type[PatchOp[Any]]]] = {ScimKind.USER: PatchOp[User], ScimKind.GROUP: PatchOp[Group]}
PARAMETERS: Final[Mapping[ScimKind, type[ResponseParameters[Any]]]] = {
    ScimKind.USER: ResponseParameters[User],
    ScimKind.GROUP: ResponseParameters[Group],
}
POLICY: Final = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
"""Clients send attributes that we do not have. Entra names members to remove by a value, and changes absent entries."""

CONFIG: Final = ServiceProviderConfig.model_validate(
    {
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MOST_RESULTS},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {"type": "oauthbearertoken", "name": "Bearer token", "description": "sipmesh directory token NAME"}
        ],
    }
)
PROVIDER: Final = ScimProvider(models=list(MODELS.values()), config=CONFIG, policy=POLICY)


def created(kind: ScimKind, given: object) -> Resource[Any]:
    """Read the body of a POST; raises `ValidationError` of pydantic."""
    return MODELS[kind].model_validate(given, scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY)


def replaced(kind: ScimKind, given: object, before: Resource[Any]) -> Resource[Any]:
    """Read the body of a PUT in place of the resource *before*; raises `ValidationError` or `SCIMException`."""
    made = MODELS[kind].model_validate(given, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST, scim_policy=POLICY)
    with POLICY:
        made.replace(before)
    return made


def patched(kind: ScimKind, given: Mapping[str, Any], before: Resource[Any]) -> Resource[Any]:
    """Apply the body of a PATCH to a copy of *before*; raises `ValidationError` or `SCIMException`."""
    made: Resource[Any] = before.model_copy(deep=True)
    patch: type[PatchOp[Any]] = PATCHES[kind]
    operations = given.get("Operations")
    if isinstance(operations, list):
        given = {**given, "Operations": [one for asked in operations for one in _plain(asked, str(before.id))]}
    with POLICY:
        patch.model_validate(given, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY).patch(made)
    return made


def _plain(asked: object, resource_id: str) -> Iterator[object]:
    """Yield operations without what Okta and Entra add: the id of the resource itself, and paths as keys of a value."""
    value = asked.get("value") if isinstance(asked, dict) else None
    if not isinstance(asked, dict) or asked.get("path") or not isinstance(value, dict):
        yield asked
        return
    for key in [key for key in value if "[" in key]:
        yield {**asked, "path": key, "value": value[key]}
    left = {key: one for key, one in value.items() if "[" not in key and (key, one) != ("id", resource_id)}
    if left:
        yield {**asked, "value": left}


def with_members(group: Group, members: Sequence[tuple[str, ScimKind]], base: str) -> None:
    """Set the members of a group; *base* is the URL of SCIM here."""
    group.members = [
        Member.model_validate({"value": member, "$ref": f"{base}/{kind}s/{member}", "type": str(kind)})
        for member, kind in members
    ] or None


def ids_of_members(group: Group) -> frozenset[str]:
    """Return the ids of the members of a group."""
    return frozenset(member.value for member in group.members or () if member.value)


def kind_of(resource: Resource[Any]) -> ScimKind:
    """Return whether a resource is a user or a group."""
    return ScimKind.USER if isinstance(resource, User) else ScimKind.GROUP
