"""The pages at which a person or a phone takes an invitation.

A GET changes nothing where a person opens a link: programs that scan mails open each link. The software of a phone can only GET:
its secret is a ticket, which is given to a person who has sent the form, or stands together with the MAC address of the phone.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sipmesh.errors import OperatorError
from sipmesh.server.console.access.guard import form_of, is_of_another_site
from sipmesh.server.invitations.strangers import LATER_S, must_be_of_phone, phone_origins
from sipmesh.server.process.http_runner import unavailable
from sipmesh.server.provisioning import softphones
from sipmesh.server.provisioning.client_kind import CHOICES, DESK_PHONES, ClientKind
from sipmesh.server.provisioning.desk_phones import DESK_FORMATS, is_file_of, polycom_master
from sipmesh.server.provisioning.fingerprint import hex_fingerprint, word_fingerprint
from sipmesh.server.provisioning.letter import qr_svg
from sipmesh.server.provisioning.trust_packages import PACKAGES
from sipmesh.storage.users.invitations import SECRET, NotOpenError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sipmesh.server.invitations.strangers import Strangers
    from sipmesh.server.invitations.taking import Taking
    from sipmesh.server.provisioning.profile import Profile
    from sipmesh.storage.users.invitation import Invitation
    from sipmesh.topology.view import ServerView

DOWNLOADS: Final[Mapping[ClientKind, tuple[str, str, Callable[[Profile], bytes]]]] = {
    ClientKind.BARESIP: ("baresip.sh", "text/x-shellscript", softphones.baresip),
    ClientKind.PJSIP: ("pjsip.json", "application/json", softphones.pjsip),
    ClientKind.JSON: ("account.json", "application/json", softphones.generic),
}
"""The files that answer the form of a person."""

WITH_CERTIFICATES: Final = {
    **DOWNLOADS,
    ClientKind.LINPHONE: ("linphone.sh", "text/x-shellscript", softphones.linphone_script),
}
"""The same for devices that get a certificate: Linphone reads its files only, and a browser shows none to a WebSocket port."""

TICKETS: Final = frozenset({ClientKind.LINPHONE, ClientKind.WEB})
"""Software that fetches its account itself, with a ticket."""


@cache
def _templates() -> Environment:
    """Return the templates, which a process compiles once."""
    loader = PackageLoader("sipmesh.server.invitations")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined)


class InvitationPages:
    """The pages of the server with *view*; *taking* changes the accounts, and *strangers* counts what fails."""

    def __init__(self, view: Callable[[], ServerView], taking: Taking, strangers: Strangers) -> None:
        self._view, self._taking, self._strangers = view, taking, strangers
        self._templates = _templates()

    def routes(self) -> list[web.RouteDef]:
        """Return every path."""
        return [
            web.get("/", self._start),
            web.get("/style.css", self._style),
            web.get("/trust/{file}", self._trust),
            web.get("/i/{secret}", self._open),
            web.post("/i/{secret}", self._send),
            web.get("/p/{secret}/linphone.xml", self._linphone),
            web.post("/p/{secret}/account", self._web),
            web.get("/d/{secret}/{file}", self._desk_phone),
        ]

    async def _start(self, _request: web.Request) -> web.Response:
        return self._page("start.html")

    async def _style(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._templates.get_template("style.css").render(), content_type="text/css")

    async def _trust(self, request: web.Request) -> web.Response:
        """Return a package with our roots, which are public."""
        name = request.match_info["file"]
        if name not in PACKAGES:
            raise web.HTTPNotFound
        _, content_type, write = PACKAGES[name]
        loaded = self._view().loaded
        return _file(name, content_type, write(loaded.authority.anchors, loaded.topology.organisation))

    async def _open(self, request: web.Request) -> web.Response:
        """Show the form of an open invitation."""
        found = await self._for_a_person(request)
        return self._page("invitation.html", user=found.aor.removeprefix("sip:"), choices=self._choices(found))

    async def _for_a_person(self, request: web.Request) -> Invitation:
        """Return the open invitation of a link; raises the answer to any other secret."""
        found = await self.found(request)
        if found.is_ticket or found.client in DESK_PHONES:
            raise self._strangers.failed(request, "the secret is no link for a person")
        return found

    def _choices(self, found: Invitation) -> Mapping[ClientKind, str]:
        """Return the kinds of phones that may take an invitation, in words; front ends may have no web phone, edges have none."""
        has_web = bool(phone_origins(self._view())) and not found.remote and not found.certificate
        chosen = {kind: words for kind, words in CHOICES.items() if found.client in ("", kind)}
        return {kind: words for kind, words in chosen.items() if has_web or kind is not ClientKind.WEB}

    async def _send(self, request: web.Request) -> web.Response:
        """Take the invitation: answer with the file of the phone, or with a ticket for the phone."""
        if is_of_another_site(request):
            raise web.HTTPForbidden(text="another site has caused this request\n")
        found = await self._for_a_person(request)
        kind = _chosen(await form_of(request), self._choices(found))
        if kind not in TICKETS or found.certificate:
            name, content_type, write = (WITH_CERTIFICATES if found.certificate else DOWNLOADS)[kind]
            return _file(name, content_type, write(await self._taken(request, kind)))
        ticket = await self._exchanged(request, kind)
        base = f"https://{self._view().invitation_host}/p/{ticket}"
        if kind is ClientKind.WEB:
            return self._page("web.html", link=await self._phone_link(found, ticket))
        url = f"{base}/linphone.xml"
        link = f"linphone-config:{url}"
        return self._page("linphone.html", url=url, link=link, qr=Markup(qr_svg(url)))  # noqa: S704 - of segno

    async def _phone_link(self, found: Invitation, ticket: str) -> str:
        """Return the link that opens the web phone logged in; the fragment is not sent to any server."""
        reach = await self._taking.reach_of(found)
        return f"{reach.web_phones[0]}/phone#invitation={ticket}@{self._view().invitation_host}"

    async def _linphone(self, request: web.Request) -> web.Response:
        profile = await self._by_ticket(request, ClientKind.LINPHONE)
        return web.Response(body=softphones.linphone(profile), content_type="application/xml")

    async def _web(self, request: web.Request) -> web.Response:
        """Return the account for the web phone: its page comes from a front end, which is another origin."""
        must_be_of_phone(self._view(), request)
        profile = await self._by_ticket(request, ClientKind.WEB)
        return web.Response(body=softphones.web(profile), content_type="application/json")

    async def _by_ticket(self, request: web.Request, kind: ClientKind) -> Profile:
        found = await self.found(request)
        if not found.is_ticket or found.client != kind:
            raise self._strangers.failed(request, f"the secret is no ticket of {kind}")
        return await self._taken(request, kind)

    async def _desk_phone(self, request: web.Request) -> web.Response:
        """Return the file of a desk phone: the secret and the MAC address must be those of one invitation.

        Polycom's phones read a master file first. It exchanges the secret for a ticket, which the address of the second file has.
        """
        found, name = await self.found(request), request.match_info["file"]
        if found.client not in DESK_PHONES:
            raise self._strangers.failed(request, "the invitation is for no desk phone")
        kind = ClientKind(found.client)
        if kind is ClientKind.POLYCOM and found.is_ticket and name == POLYCOM_FILE:
            return self._desk_file(await self._taken(request, kind), kind)
        if found.is_ticket or not is_file_of(kind, found.mac, name):
            raise self._strangers.failed(request, "the file is not that of the phone of the invitation")
        if kind is ClientKind.POLYCOM:
            ticket = await self._exchanged(request, kind)
            second = f"https://{self._view().invitation_host}/d/{ticket}/{POLYCOM_FILE}"
            return web.Response(body=polycom_master(second), content_type="application/xml")
        return self._desk_file(await self._taken(request, kind), kind)

    def _desk_file(self, profile: Profile, kind: ClientKind) -> web.Response:
        root = f"https://{self._view().invitation_host}/trust/root.pem"
        content_type = "text/plain" if kind is ClientKind.YEALINK else "application/xml"
        return web.Response(body=DESK_FORMATS[kind](profile, root), content_type=content_type)

    async def found(self, request: web.Request) -> Invitation:
        """Return the open invitation of a request; raises the answer to a wrong secret."""
        secret = request.match_info["secret"]
        if not SECRET.fullmatch(secret):
            raise self._strangers.failed(request, "the secret is malformed")
        try:
            return await self._taking.look(secret, request.remote or "")
        except NotOpenError:
            raise self._strangers.failed(request, "no open invitation has this secret") from None

    async def _exchanged(self, request: web.Request, kind: ClientKind) -> str:
        return str(await self._used(request, self._taking.exchange, kind))

    async def _taken(self, request: web.Request, kind: ClientKind) -> Profile:
        profile: Profile = await self._used(request, self._taking.take, kind)
        return profile

    async def _used(self, request: web.Request, use: Any, kind: ClientKind) -> Any:
        """Use the secret of a request; the log says why an account is not made, and the answer does not."""
        try:
            return await use(request.match_info["secret"], str(kind), request.remote or "")
        except NotOpenError:
            raise self._strangers.failed(request, "another request was first") from None
        except OperatorError as wrong:
            self._strangers.tell(f"an invitation could not be taken: {wrong}")
            raise unavailable(NOT_NOW, LATER_S) from None

    def _page(self, template: str, **values: object) -> web.Response:
        view = self._view()
        common = {
            "organisation": view.loaded.topology.organisation,
            "roots": [(word_fingerprint(root), hex_fingerprint(root)) for root in view.loaded.authority.anchors],
            "packages": {name: words for name, (words, _, _) in PACKAGES.items()},
        }
        return web.Response(
            text=self._templates.get_template(template).render({**common, **values}), content_type="text/html"
        )


NOT_NOW: Final = "This invitation cannot be taken now. Try again in a minute, or ask your administrator.\n"
POLYCOM_FILE: Final = "account.cfg"


def _chosen(sent: Mapping[str, str], choices: Collection[ClientKind]) -> ClientKind:
    """Return the chosen kind of phone; raises HTTP 400 for any other text."""
    asked = sent.get("client", "")
    if asked not in choices:
        raise web.HTTPBadRequest(text=f"client is one of: {', '.join(choices)}\n")
    return ClientKind(asked)


def _file(name: str, content_type: str, body: bytes) -> web.Response:
    """Return a file that a browser stores under this *name*."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=body, content_type=content_type, headers=headers)
