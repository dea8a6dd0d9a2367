"""Where users, registrations and messages are stored."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sipmesh.topology.document.names import (
    HostChainFile,
    HostKeyFile,
    OurAnchorFile,
    SecretFile,
)
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.storage.valkey_url import FileOrStore


class Valkey(Part):
    """How servers log in to the Valkey or Redis that `bindings` names. The files are on each server."""

    user: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        default=None, description="ACL user; by default `default`"
    )
    password_file: SecretFile | None = Field(
        default=None,
        description="file with the password, mode 0600; by default the environment has it (SIPMESH_VALKEY_PASSWORD)",
    )
    anchors: tuple[OurAnchorFile, ...] = Field(
        default=(), description="PEM files of the CA of its certificate, for valkeys://"
    )
    certificate: HostChainFile | None = Field(default=None, description="certificate chain that servers present to it")
    key: HostKeyFile | None = Field(default=None, description="private key of that certificate")
    sentinel: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        default=None, description="name of the primary: the addresses in `bindings` are those of Sentinels then"
    )


class PoolStorage(Part):
    """Where the registrations of one pool are stored; nothing of the general `storage` counts for them beside it."""

    bindings: FileOrStore = Field(
        description="the pool's registrations: a file on a disk of this machine, or a store that several machines share, "
        "valkeys://HOST:PORT (valkey:// on this machine)",
    )
    valkey: Valkey = Field(default=Valkey(), description="login and certificates for that store")


class Storage(Part):
    """Where users and registrations are stored."""

    users: str = Field(default="sqlite:///users.db", min_length=1, description="database URL of the users")
    management: str | None = Field(
        default=None,
        min_length=1,
        description="database that the management servers share, without its password; by default files on one host",
    )
    bindings: FileOrStore = Field(
        default="state/bindings.db",
        description="the registrations of pools without a `storage` of their own: a file on a disk of this machine, or a store "
        "that several machines share, valkeys://HOST:PORT (valkey:// on this machine)",
    )
    valkey: Valkey = Field(default=Valkey(), description="login and certificates for a store of registrations")
    messages: str = Field(
        default="sqlite:///state/messages.db",
        min_length=1,
        description="database URL of the messages for users who are not registered; the servers of a pool share it",
    )
    calls: str = Field(
        default="sqlite:///state/calls.db",
        min_length=1,
        description="database URL of the records of calls; the management servers share it",
    )


class Messages(Part):
    """How many messages are stored for users who are not registered, and for how long."""

    per_user: int = Field(default=200, ge=0, le=10_000, description="messages stored for one user; 0 stores none")
    per_sender: int = Field(default=50, ge=1, le=10_000, description="of these, messages of one user or partner")
    lifetime_days: int = Field(default=7, ge=1, le=366, description="days after which a stored message is removed")
