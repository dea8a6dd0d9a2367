"""The directory of the organisation, from which management takes its users by LDAP."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from sipmesh.topology.document.names import Address, AnchorFile, CrlFile, Fqdn, FqdnAndPort, SecretFile
from sipmesh.topology.document.parts.part import Part

MOST_SERVERS: Final = 8
MOST_POOL_RULES: Final = 100
MOST_LOSS: Final = 20
"""Percent of the users who may lose their access by syncs of one day."""


class DirectoryKind(StrEnum):
    """The directories whose attributes are known."""

    ACTIVE_DIRECTORY = "active-directory"
    OPENLDAP = "openldap"


class DirectoryTls(StrEnum):
    """How TLS begins."""

    LDAPS = "ldaps"
    STARTTLS = "starttls"


def _balanced(text: str) -> str:
    depth = 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
    if depth or not (text.startswith("(") and text.endswith(")")):
        remedy = "write one filter in parentheses, such as (objectClass=person); write a parenthesis in a value as \\28 or \\29"
        raise PydanticCustomError("filter", "{reason}", {"reason": f"{text!r} is no LDAP filter", "remedy": remedy})
    return text


def _formed(pattern: str, what: str, example: str, least: int = 1) -> AfterValidator:
    """Accept text of *least* characters that fits *pattern* as a whole."""

    def check(text: str) -> str:
        if len(text) < least or re.fullmatch(pattern, text) is None:
            context = {"reason": f"{text[:40]!r} is no {what}", "remedy": f"write {what}, such as {example}"}
            raise PydanticCustomError("name", "{reason}", context)
        return text

    return AfterValidator(check)


_ATTRIBUTE: Final = r"[A-Za-z][A-Za-z0-9-]{0,63}"
_DN: Final = r"[^\x00-\x1f\x7f]*=[^\x00-\x1f\x7f]*"
LEAST_DN: Final = 3
MOST_DN: Final = 1_024
Attribute = Annotated[
    str,
    _formed(_ATTRIBUTE, "name of an attribute", "uid"),
    WithJsonSchema({"type": "string", "pattern": f"^{_ATTRIBUTE}$"}),
]
"""The name of an attribute (RFC 4512 section 2.5); no options."""
Dn = Annotated[
    str,
    StringConstraints(max_length=MOST_DN),
    _formed(_DN, "distinguished name", "ou=people,dc=example,dc=com", LEAST_DN),
    WithJsonSchema({"type": "string", "pattern": f"^{_DN}$", "minLength": LEAST_DN, "maxLength": MOST_DN}),
]
"""A distinguished name (RFC 4514)."""
GSSAPI: Final = "gssapi"
Bind = Annotated[
    str,
    StringConstraints(max_length=MOST_DN),
    _formed(f"{_DN}|{GSSAPI}", f"distinguished name or {GSSAPI}", "cn=sipmesh,dc=example,dc=com", LEAST_DN),
    WithJsonSchema({"type": "string", "pattern": f"^({_DN}|{GSSAPI})$", "minLength": LEAST_DN, "maxLength": MOST_DN}),
]
"""The name of a login by a password, or ``gssapi`` for one by Kerberos."""
_PRINCIPAL: Final = r"[A-Za-z0-9][A-Za-z0-9._$/-]{0,254}@[A-Z0-9][A-Z0-9.-]{0,254}"
ClientPrincipal = Annotated[
    str,
    _formed(_PRINCIPAL, "principal with its realm in capitals", "sipmesh@CORP.EXAMPLE.COM"),
    WithJsonSchema({"type": "string", "pattern": f"^{_PRINCIPAL}$"}),
]
"""An account of a Kerberos realm, with the realm."""
LdapFilter = Annotated[
    str,
    StringConstraints(max_length=2_048, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(_balanced),
    WithJsonSchema({"type": "string", "pattern": r"^\(.*\)$", "maxLength": 2_048}),
]
"""A search filter (RFC 4515)."""


def _named(given: object) -> object:
    """Read a server that has only a name."""
    return {"name": given} if isinstance(given, str) else given


class DirectoryServer(Part):
    """A server of the directory."""

    name: FqdnAndPort = Field(description="its name, as in its certificate; with a port, if it is not the usual one")
    address: Address | None = Field(
        default=None, description="its address; by default DNS is asked, which proves nothing"
    )

    def __str__(self) -> str:
        return self.name


AnyDirectoryServer = Annotated[DirectoryServer, BeforeValidator(_named, json_schema_input_type=str | DirectoryServer)]


class GroupPool(Part):
    """The home pool of the members of a group."""

    group: Dn = Field(description="distinguished name of the group; members of groups in it count too")
    pool: Fqdn = Field(description="their home pool, a front-end pool")


class Directory(Part):
    """The LDAP directory whose entries are users here. The management server reads it."""

    kind: DirectoryKind = Field(description="active-directory or openldap: which attributes say who may log in")
    servers: tuple[AnyDirectoryServer, ...] = Field(
        min_length=1, max_length=MOST_SERVERS, description="its servers, which are tried in this order"
    )
    tls: DirectoryTls = Field(
        default=DirectoryTls.LDAPS, description="how TLS begins: ldaps (port 636) or starttls (port 389)"
    )
    anchors: tuple[AnchorFile, ...] = Field(
        default=(), description="root certificates of its servers, in PEM; by default the enterprise CA"
    )
    crls: tuple[CrlFile, ...] = Field(
        default=(), description="files of the CRLs of each CA between them and its servers; needed with `anchors`"
    )
    bind: Bind = Field(
        description="distinguished name as which management logs in, or gssapi for Kerberos; it needs no right to write"
    )
    password_file: SecretFile | None = Field(
        default=None, description="file with the password for `bind`, mode 0600; not for `bind: gssapi`"
    )
    principal: ClientPrincipal | None = Field(
        default=None, description="for `bind: gssapi`: account with its realm, such as sipmesh@CORP.EXAMPLE.COM"
    )
    keytab: SecretFile | None = Field(
        default=None, description="for `bind: gssapi`: keytab with the keys of `principal`, mode 0600"
    )
    tickets: SecretFile | None = Field(
        default=None,
        description="for `bind: gssapi`, instead of `keytab`: credential cache that another program renews, mode 0600",
    )
    base: Dn = Field(description="entry below which the users are")
    filter: LdapFilter = Field(default="(objectClass=person)", description="which entries below it are users")
    user: Attribute | None = Field(
        default=None,
        description="attribute with the name of the user, with or without a SIP domain; by default sAMAccountName or uid",
    )
    name: Attribute = Field(default="displayName", description="attribute with the name that people read")
    mail: Attribute = Field(
        default="mail", description="attribute with the mail address; one in a SIP domain is an alias"
    )
    numbers: Attribute = Field(default="telephoneNumber", description="attribute with the telephone numbers: aliases")
    group_base: Dn | None = Field(default=None, description="entry below which the groups are; by default `base`")
    pools: tuple[GroupPool, ...] = Field(
        default=(),
        max_length=MOST_POOL_RULES,
        description="home pools of members of groups: the first match counts; others have the default pool",
    )
    most_loss: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        default=MOST_LOSS,
        description="percent of the users who may lose access in a day; a sync above it changes nothing until you accept it",
    )

    @property
    def user_attribute(self) -> str:
        """The attribute with the name of the user."""
        return self.user or ("sAMAccountName" if self.kind is DirectoryKind.ACTIVE_DIRECTORY else "uid")
