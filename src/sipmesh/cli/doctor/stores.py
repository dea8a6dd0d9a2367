"""Whether the databases and stores that the topology names can be reached from this host."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from sipmesh.cli.doctor.check import bad, good, warning
from sipmesh.cli.output import plural
from sipmesh.errors import OperatorError
from sipmesh.topology.document.parts.files import MEGABYTE
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sipmesh.cli.doctor.check import Check
    from sipmesh.errors import Problem
    from sipmesh.server.admin.replies import FilesReply
    from sipmesh.storage.location_service.valkey.settings import ValkeySettings
    from sipmesh.topology.document.parts.files import Files
    from sipmesh.topology.view import ServerView

STORES: Final = "stores"
NEARLY_FULL: Final = 0.9


def database_checks(losses: Iterable[Problem]) -> Iterator[Check]:
    """Tell what `sipmesh topology check` finds in the databases of users and messages."""
    for problem in losses:
        yield warning(STORES, problem.reason, problem.remedy)


def file_checks(limits: Files | None, kept: Iterable[FilesReply]) -> Iterator[Check]:
    """Tell how much room the files that users send have, as the management server says it that runs here."""
    if limits is None:
        return
    for one in kept:
        told = (
            f"the files of users have {one.octets // MEGABYTE:,} of {limits.total_mb:,} MB: {plural(one.kept, 'file')}"
        )
        if one.octets >= NEARLY_FULL * limits.total_mb * MEGABYTE:
            yield warning(STORES, told, "make `files.total_mb` of the topology larger, or `files.days` fewer")
        else:
            yield good(STORES, told)


def valkey_checks(views: Mapping[str, ServerView]) -> Iterator[Check]:
    """Log in to the store of each pool of front ends, as the server of its view does."""
    from sipmesh.server.proxy.login.user_stores import valkey_settings

    for pool, view in views.items():
        if view.role is Role.FRONT_END and view.valkey_url is not None:
            yield asyncio.run(_tried(pool, valkey_settings(view, view.valkey_url)))


async def _tried(pool: str, settings: ValkeySettings) -> Check:
    from sipmesh.storage.location_service.valkey.dial import dial

    try:
        connection = await dial(settings)
    except OperatorError as wrong:
        told = f"the registrations of {pool} cannot be stored: {wrong.message}"
        return bad(STORES, told, "start the store, or correct `storage` of the topology and the password file")
    connection.close()
    return good(STORES, f"the store of the registrations of {pool} answers")
