"""Keeps the content of the directory in memory between two syncs, so that a sync reads only what has changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sipmesh.server.directory.directory_content import Content, changed_content, whole_content
from sipmesh.server.directory.directory_login import directory_of, logged_in
from sipmesh.server.directory.directory_reader import answer_of
from sipmesh.server.directory.group_rules import GroupRules, group_rules
from sipmesh.server.directory.ldap_changes import Changes, followed
from sipmesh.server.directory.ldap_session import DirectoryAnswerError
from sipmesh.topology.document.parts.directory import Directory

if TYPE_CHECKING:
    from sipmesh.server.directory.entry_reader import Answer
    from sipmesh.server.directory.ldap_session import LdapSession
    from sipmesh.topology.document.load import Loaded

WHOLE_EVERY: Final = timedelta(minutes=10)
"""After this time everything is read again: a server does not tell each change of what the account may read."""

MOST_CHANGED: Final = 1_000
"""Changed entries that are read one by one; with more of them, everything is read."""


@dataclass(frozen=True, slots=True)
class _Held:
    """The *content* of *server*, read as a whole at the instant *whole_at*, and the *cookies* of its places."""

    directory: Directory
    rules: GroupRules
    server: str
    content: Content
    whole_at: datetime
    cookies: Mapping[str, bytes]


class DirectoryMirror:
    """The content of the directory as of the last sync, with the cookies that ask for what changes after it.

    It counts for one server, and for one `directory` and the groups of a topology. It is empty after each error: then
    everything is read.
    """

    def __init__(self) -> None:
        self._held: _Held | None = None
        self.whole, self.partial = 0, 0

    @property
    def follows(self) -> bool:
        """Tell whether the next sync asks for changes alone."""
        return self._held is not None and bool(self._held.cookies)

    def read(self, loaded: Loaded, at: datetime) -> tuple[Answer, str]:
        """Return the answer at the instant *at*, and its server; raises `OperatorError` if the answer is not whole."""
        directory, rules, (held, self._held) = directory_of(loaded), group_rules(loaded.topology), (self._held, None)
        with logged_in(loaded, directory) as (session, server):
            is_known = held is not None and (held.directory, held.rules, held.server) == (directory, rules, server)
            now = _partial(session, held, at) if held is not None and is_known else None
            self.partial, self.whole = self.partial + (now is not None), self.whole + (now is None)
            now = now or _whole(session, directory, rules, server, at)
            answer = answer_of(loaded, session, server, now.content, at)
        self._held = now
        return answer, server


def _whole(session: LdapSession, directory: Directory, rules: GroupRules, server: str, at: datetime) -> _Held:
    """Read everything. The cookies are older than the content: what changes meanwhile is in the next changes too."""
    try:
        cookies = {place: ask(None).cookie for place, ask in followed(session, directory, rules).items()}
    except DirectoryAnswerError:  # the account may not follow the changes
        cookies = {}
    return _Held(directory, rules, server, whole_content(session, directory, rules), at, cookies)


def _partial(session: LdapSession, held: _Held, at: datetime) -> _Held | None:
    """Return the content with what has changed, None if everything must be read."""
    if not held.cookies or not held.whole_at <= at < held.whole_at + WHOLE_EVERY:
        return None
    try:
        asked = followed(session, held.directory, held.rules)
        if asked.keys() != held.cookies.keys():
            return None
        changes = {place: ask(held.cookies[place]) for place, ask in asked.items()}
        content = _with(session, held, changes.values())
    except DirectoryAnswerError:  # an unknown cookie, among other reasons
        return None
    cookies = {place: one.cookie for place, one in changes.items()}
    return replace(held, content=content, cookies=cookies) if content is not None else None


def _with(session: LdapSession, held: _Held, changes: Collection[Changes]) -> Content | None:
    """Return the content after *changes*, None if a place above other entries may have another name or place."""
    changed: dict[str, bool] = {}
    for identity, may_be_place in (item for one in changes for item in one.changed.items()):
        changed[identity] = changed.get(identity, True) and may_be_place
    if len(changed) > MOST_CHANGED:
        return None
    new, before = changed_content(session, held.directory, held.rules, [*changed]), held.content
    known = {*before.people, *before.groups, *new.people, *new.groups}
    if any(may_be_place and identity not in known for identity, may_be_place in changed.items()):
        return None
    people = {identity: one for identity, one in before.people.items() if identity not in changed}
    groups = {identity: one for identity, one in before.groups.items() if identity not in changed}
    return Content({**people, **new.people}, {**groups, **new.groups})
