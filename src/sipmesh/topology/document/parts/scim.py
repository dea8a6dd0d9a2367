"""The users and groups that SCIM clients write, such as Entra and Okta (RFC 7643, RFC 7644)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sipmesh.topology.document.names import Fqdn
from sipmesh.topology.document.parts.console import OperatorName, Sha256
from sipmesh.topology.document.parts.directory import MOST_LOSS, MOST_POOL_RULES
from sipmesh.topology.document.parts.group_name import GroupName
from sipmesh.topology.document.parts.part import Part

MOST_TOKENS = 8


class ScimToken(Part):
    """A token of one SCIM client. It allows nothing but SCIM, and no token of an operator allows SCIM."""

    name: OperatorName = Field(description="name of the client, as the audit log shows it")
    token_sha256: Sha256 = Field(description="SHA-256 of its token, in hex; `sipmesh directory token` makes both")


class ScimGroupPool(Part):
    """The home pool of the members of a group."""

    group: GroupName = Field(description="`id` or `externalId` of the group; members of groups in it count too")
    pool: Fqdn = Field(description="their home pool, a front-end pool")


class Scim(Part):
    """SCIM clients write the users. Management serves SCIM 2.0 at /scim/v2 of the port of `console`."""

    tokens: tuple[ScimToken, ...] = Field(
        max_length=MOST_TOKENS, description="clients that may write; without a token no client may"
    )
    pools: tuple[ScimGroupPool, ...] = Field(
        default=(),
        max_length=MOST_POOL_RULES,
        description="home pools of members of groups: the first match counts; others have the default pool",
    )
    most_loss: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        default=MOST_LOSS,
        description="percent of the users who may lose access in a day; a request above it is refused until you accept it",
    )
