"""What this server says of itself to SCIM clients (RFC 7644 section 4)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from scim2_models import Context, NotFoundException

from sipmesh.server.scim.resources import CONFIG, PROVIDER
from sipmesh.server.scim.scim_error import PATH
from sipmesh.server.scim.scim_request import ScimAnswer, ScimRequest, must_be_one_of
from sipmesh.storage.users.scim_resource import ScimKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scim2_models import Resource

SERVICE: Final = "ServiceProviderConfig"
TOLD: Final[Mapping[str, Sequence[Resource[Any]]]] = {
    SERVICE: (CONFIG,),
    "ResourceTypes": PROVIDER.resource_types,
    "Schemas": PROVIDER.schemas,
}
LIST: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


def discovery(request: ScimRequest) -> ScimAnswer:
    """Answer a request for one of the three paths; raises `NotFoundException` for any other."""
    name, *ids = request.path or ("",)
    if name not in TOLD or len(ids) > 1 or (ids and name == SERVICE):
        paths = ", ".join((*(f"{kind}s" for kind in ScimKind), *TOLD))
        raise NotFoundException(detail=f"there is no such path; this server has {paths}")
    must_be_one_of(request, ("GET",))
    told = [_told(one, name, request.base) for one in TOLD[name]]
    if name == SERVICE:
        return ScimAnswer(200, json.dumps(told[0]))
    if not ids:
        return ScimAnswer(200, list_text(told, len(told), 1))
    wanted = [one for one in told if one.get("id") == ids[0]]
    if not wanted:
        raise NotFoundException(detail="there is none with this id")
    return ScimAnswer(200, json.dumps(wanted[0]))


def list_text(told: Sequence[Mapping[str, Any]], total: int, first: int) -> str:
    """Return a page of resources (RFC 7644 section 3.4.2): *total* are there, and the page begins with the number *first*."""
    page = {"totalResults": total, "startIndex": first, "itemsPerPage": len(told), "Resources": told}
    return json.dumps({"schemas": [LIST], **page})


def _told(one: Resource[Any], name: str, base: str) -> dict[str, Any]:
    told = one.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    where = f"/{told['id']}" if name != SERVICE else ""
    kind = name if name == SERVICE else name.removesuffix("s")
    return {**told, "meta": {"resourceType": kind, "location": f"{base}{PATH}/{name}{where}"}}
