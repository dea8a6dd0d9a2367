"""The end with the client's link: an edge proxy of RFC 5626 for users whose home is another pool.

It forwards their REGISTER with our Path, and remembers which server has accepted the login. From then on the requests of this
user go to that server with its token. It proves nothing, and vouches for no user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.dialog_token import PathToken
from sipmesh.routing.identity.sender import CarriedLogin, ServerSender, named_side
from sipmesh.routing.outcome import Answer, Forward, try_later
from sipmesh.routing.target import Carriage, ServerTarget
from sipmesh.server.proxy.login.carried_link import CarriedLink
from sipmesh.server.proxy.login.client_address import received_parameter
from sipmesh.sip.bearer import is_bearer
from sipmesh.sip.digest import is_digest, parse_challenge, realm_of_credentials
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION, UNAUTHORIZED, Status
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.routing.identity.tokens import Tokens
    from sipmesh.routing.proxy.forwarding import ListenerAddress
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow import Flow, SentBranch
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.server.proxy.login.digest_auth import DigestAuth
    from sipmesh.server.proxy.login.end_of_flow import EndOfFlow
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.sip.message import Request, Response
    from sipmesh.topology.server_choice import ServerChoice

NO_HOME: Final = try_later("no server of the home pool can be reached")
TOKEN_TAKEN: Final = Answer(
    Status.FORBIDDEN, code=Code.NOT_AUTHENTICATED, why="its access token has logged in on another link"
)


class AccessProxy:
    """The users whom one server carries. *inside* is our address for the servers of ours, as in our Path."""

    def __init__(
        self,
        current: Current,
        tokens: Tokens,
        flow_table: FlowTable,
        logins: DigestAuth,
        accounts: Principals,
        end_of_flow: EndOfFlow,
        inside: ListenerAddress,
        outages: Outages,
    ) -> None:
        self._tokens, self._flow_table, self._logins = tokens, flow_table, logins
        self._accounts, self._end_of_flow, self._inside = accounts, end_of_flow, inside
        self._current, self._outages = current, outages
        self._by_upstream: dict[int, dict[int, Flow]] = {}

    def home_of(self, flow: Flow, aor: str) -> str:
        """Give the pool that has to authenticate *aor*; "" if it is this one.

        An unknown name has a pool too, always the same: so the time of an answer does not tell whether a user exists. A flow
        that another front end carries goes no further: pools that disagree about a home pool send no request in circles.
        """
        view = self._current.value.view
        if view.role is Role.EDGE:
            return self._that_answers(view.next_hop or "")
        if isinstance(flow.link, CarriedLink) and view.trusted[flow.link.access].role is Role.FRONT_END:
            return ""
        return self._that_answers(self.pool_for(aor))

    def is_too_early(self, flow: Flow, aor: str) -> bool:
        """Tell whether another front end carries *aor* here as to the backup pool, and the home pool still answers here.

        It is the same for an unknown name that the home pool would challenge.
        """
        if not isinstance(flow.link, CarriedLink):
            return False
        pool = self.pool_for(aor)
        return bool(pool) and self._current.value.view.backup_of(pool) == self._current.value.view.pool.name

    def _that_answers(self, home: str) -> str:
        """Give *home*, or its backup pool while no server of *home* answers here; the backup pool judges by its own links."""
        backup = self._current.value.view.backup_of(home) if home else ""
        if backup in {"", self._current.value.view.pool.name} or not self._outages.has_all(
            self._current.value.view.servers_of(home)
        ):
            return home
        return backup

    def pool_for(self, aor: str) -> str:
        """Give the front-end pool that challenges a name; "" for this one."""
        view = self._current.value.view
        home, _ = self._logins.challenged_as(aor)
        if home == view.pool.name:
            return ""
        pool = view.pools.get(home)
        return home if pool is not None and pool.role is Role.FRONT_END else ""

    def carried(self, flow: Flow, request: Request, aor: str, home: str) -> Forward | Answer:
        """Make of a REGISTER of *aor* one for a server of *home*, with our Path (RFC 3327); an Answer if there is no server."""
        servers = self._current.value.view.choice_of(home)
        if not servers:
            return NO_HOME
        if self._logins.bearer.is_taken(flow, aor, request):
            return TOKEN_TAKEN
        token = self._tokens.path(flow.number, aor, named_side(home))
        request.remove("route")
        request.remove("path")
        request.remove("reason")
        received = received_parameter(flow.link.remote[0])
        request.prepend("path", f"<sip:{token}@{self._inside.sent_by};transport=tls;lr;ob{received}>")
        keep_credentials(request, aor.rpartition("@")[2])
        return Forward((self._target(flow, request, aor, token, servers),), None)

    def _target(self, flow: Flow, request: Request, aor: str, token: str, servers: ServerChoice) -> ServerTarget:
        """Choose the server of the home pool that knows the user, or that has challenged the user, on the same link.

        The first is chosen by *token*, not by Call-ID: between challenge and answer nothing is kept of a carried flow.
        """
        login = flow.logins.get(aor)
        if login is not None:
            return ServerTarget(
                (login.server,), LinkKind.SERVER, request.uri, carries=Carriage(login.flow, login.route, token)
            )
        upstream = self._flow_table.by_number(flow.upstream)
        if upstream is not None and upstream.link.usable and upstream.link.peer_name in servers:
            carriage = Carriage(upstream.number, "", token)
            return ServerTarget((upstream.link.peer_name,), LinkKind.SERVER, request.uri, carries=carriage)
        return ServerTarget(servers.turned(token), LinkKind.SERVER, request.uri, carries=Carriage(0, "", token))

    # Answers of the home pool

    def answered(self, sent: SentBranch, response: Response) -> None:
        """Remember a login that the home pool has accepted, and count a login that has failed."""
        flow, status = sent.proxied.flow, response.status
        flow.upstream = sent.flow.number
        if status == UNAUTHORIZED:
            self._challenged(sent, response)
        elif FIRST_FINAL <= status < FIRST_REDIRECTION:
            self._accepted(sent, response)

    def _challenged(self, sent: SentBranch, response: Response) -> None:
        """Count a failed login for the client, as where the password is checked."""
        request, flow, aor = sent.proxied.request, sent.proxied.flow, sent.proxied.received.registers
        challenges = [value for value in response.values("www-authenticate") if is_digest(value)]
        is_stale = any(parse_challenge(value).stale for value in challenges)
        if request.has("authorization") and not is_stale:
            server = sent.flow.link.peer_name
            self._logins.failed_elsewhere(flow, request, aor, self._flow_table.pool_of(server), server)

    def _accepted(self, sent: SentBranch, response: Response) -> None:
        flow, aor, upstream = sent.proxied.flow, sent.proxied.received.registers, sent.flow
        self._logins.bearer.carried(flow, aor, sent.proxied.request)
        item = response.first_item("service-route")
        route = "" if item is None else NameAddr.parse(item).uri
        home = self._flow_table.pool_of(upstream.link.peer_name)
        path = self._tokens.path(flow.number, aor, named_side(home))
        login = CarriedLogin(aor, home, upstream.link.peer_name, upstream.number, route, path)
        if flow.closed or not flow.link.usable:
            self._end_of_flow.tell(upstream, f"<{route}>", "the client has gone")
            return
        before = flow.logins.get(aor)
        flow.carries(login)
        if before is not None and all(other.flow != before.flow for other in flow.logins.values()):
            self._by_upstream.get(before.flow, {}).pop(flow.number, None)
        self._by_upstream.setdefault(upstream.number, {})[flow.number] = flow
        if before is None:
            self._accounts.proved(flow, aor)
        self._show_our_route(flow, aor, response)

    def _show_our_route(self, flow: Flow, aor: str, response: Response) -> None:
        """Replace the Service-Route of the home pool by our own: the next hop of the client, which knows the rest."""
        response.remove("service-route")
        if flow.carrier is not None:
            token = self._tokens.login(flow.number, aor)
            response.append("service-route", f"<sip:{token}@{self._inside.sent_by};transport=tls;lr;ob>")
        elif flow.service_route:
            response.append("service-route", f"<{flow.service_route}>")

    def flow_failed(self, sent: SentBranch) -> None:
        """Close the link of a client whose login the home pool does not know any more: the client logs in again."""
        if sent.flow.link.kind is LinkKind.SERVER:
            sent.proxied.flow.link.drain()

    # Ends

    def ended(self, by: Flow, token: PathToken) -> Flow | Answer | None:
        """Give the flow of a client whose home pool, at the other end of *by*, has ended the flow that *token* names.

        None if the link of the client has closed. An Answer refuses the request.
        """
        if not isinstance(by.sender, ServerSender) or not by.sender.is_side(token.home) or token.is_recorded:
            why = "only the home pool of its user ends a carried flow"
            return Answer(Status.FORBIDDEN, code=Code.NO_ROUTE, why=why)
        flow = self._flow_table.by_number(token.side.number)
        is_current = token.side.incarnation == self._tokens.incarnation
        return flow if flow is not None and is_current and flow.link.kind is LinkKind.CLIENT else None

    def link_down(self, flow: Flow) -> None:
        """Tell the home pools of a client that has gone; close the clients that a lost link to a home pool has carried.

        What the home pool knows of them has ended with that link. They log in again.
        """
        for login in flow.logins.values():
            upstream = self._flow_table.by_number(login.flow)
            if upstream is not None:
                self._by_upstream.get(login.flow, {}).pop(flow.number, None)
                self._end_of_flow.tell(upstream, f"<{login.route}>", "the link of the client has closed")
        for client in self._by_upstream.pop(flow.number, {}).values():
            client.link.close("the link to its home pool has closed")


def keep_credentials(request: Request, realm: str) -> None:
    """Remove the credentials that the home pool does not check: it checks Digest credentials for *realm*, and access tokens."""
    request.keep([row for row in request.rows if _may_go(row.name, row.value, realm)])


def _may_go(name: str, value: str, realm: str) -> bool:
    if name != "authorization":
        return name != "proxy-authorization"
    if is_bearer(value):
        return True
    try:
        return is_digest(value) and realm_of_credentials(value) == realm
    except RemoteError:
        return False
