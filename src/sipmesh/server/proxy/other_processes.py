"""The other processes of this server, as its parts see them: they get what happens here, and are asked for what they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.routing.passport.verification import PassportUse
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.link.link import Link

NO_USERS: tuple[str, ...] = ()


class OtherProcesses:
    """Those of a server that has none; `siblings.siblings.Siblings` are those of a server with workers."""

    # Told

    def link_up(self, link: Link) -> None:
        """A link of ours is up."""

    def link_down(self, link: Link, why: str) -> None:
        """A link of ours has ended."""

    def taken_over(self, pools: frozenset[str]) -> None:
        """This process has taken over these *pools*, and no others."""

    def call_began(self, key: str, callee: Flow) -> None:
        """A call has begun, whose callee has a link of another process."""

    def call_ended(self, key: str) -> None:
        """The dialog *key* has ended here."""

    def dialog_ended(self, dialog: str) -> None:
        """A BYE of a call with a trunk was answered here, and the call is not of this process."""

    def contact_changed(self, address: str, aor: str, *, is_added: bool) -> None:
        """A user has registered the Contact *address* on a link of ours, or no longer has it there."""

    def login_failed(self, link: str, remote: str, aor: str, through: str) -> None:
        """A login has failed; *through* is the server that carries the link, or ""."""

    def token_used(self, user: str, digest: str, link: int, ends_at: float) -> None:
        """An access token of *user* has logged in on the *link* of that number; it ends at *ends_at*, in epoch seconds."""

    def passports_used(self, uses: Iterable[PassportUse]) -> None:
        """PASSporTs of a partner or trunk were accepted, each for one request."""

    def judge_again(self) -> None:
        """Another topology is in force: the peers of links elsewhere may have other rights."""

    def close(self) -> None:
        """Stop talking to them."""

    def hand_over(self, flow: Flow, request: Request, aor: str) -> None:
        """Hand a request over to the process that is the notifier of *aor*."""

    # Asked

    def exceeds(self, link: Link) -> bool:  # noqa: ARG002 - the limit of this process is looked at elsewhere
        """Tell whether a peer has opened more links to all processes together than it may; *link* is the newest."""
        return False

    def responded(self, flow: Flow, response: Response) -> bool:  # noqa: ARG002 - no branch is theirs
        """Hand on a response to the process whose branch it answers; False if it is none of another process."""
        return False

    def is_answered_without_end(self, flow: Flow, response: Response) -> bool:  # noqa: ARG002 - no branch is theirs
        """Tell whether *response* is for another process, and one more than phones send."""
        return False

    def waits_on(self, link: Link) -> bool:  # noqa: ARG002 - no request waits
        """Tell whether a request of another process waits for its response on a link of ours."""
        return False

    def rings(self, flow: Flow, call_id: str) -> bool:
        """Tell whether the INVITE of a new call waits on the link of *flow*, also one of another process."""
        return flow.rings(call_id)

    def has_notifier(self, flow: Flow, aor: str) -> bool:  # noqa: ARG002 - this process is every notifier
        """Tell whether a request on *flow* for the notifier of *aor* is to be handed over to another process."""
        return False

    def aors_at(self, address: str) -> Iterable[str]:  # noqa: ARG002 - they have no Contact
        """Give the users with a Contact of that address at other processes."""
        return NO_USERS

    def ask_for_crls(self, request: bytes) -> None:
        """Have CRLs fetched that a judged peer needs, by the process that fetches them."""
