"""Every path of the pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from sipmesh.server.console.pages import calls_page, directory_page, enrolment_page, trace_page, verdict_stream
from sipmesh.server.console.pages.calls_page import CallsPage
from sipmesh.server.console.pages.directory_page import DirectoryPage
from sipmesh.server.console.pages.enrolment_page import EnrolmentPage
from sipmesh.server.console.pages.event_streams import EventStreams
from sipmesh.server.console.pages.form_page import FormPage
from sipmesh.server.console.pages.forms import FORMS
from sipmesh.server.console.pages.live import LivePages
from sipmesh.server.console.pages.login import LoginPages
from sipmesh.server.console.pages.network import NetworkPages
from sipmesh.server.console.pages.overview import OverviewPage
from sipmesh.server.console.pages.trace_page import TracePage
from sipmesh.server.console.pages.verdict_stream import VerdictStream

if TYPE_CHECKING:
    from sipmesh.server.console.access.guard import Guard
    from sipmesh.server.console.access.kerberos_logins import KerberosLogins
    from sipmesh.server.console.access.openid.flow import OpenIdFlow
    from sipmesh.server.console.pages.frame import Frame

STATIC: Final = Path(__file__).parent.parent / "static"


def page_routes(
    frame: Frame, guard: Guard, flow: OpenIdFlow, kerberos: KerberosLogins
) -> list[web.RouteDef | web.StaticDef]:
    """Return every page, every form, and the static files."""
    streams = EventStreams(frame)
    verdicts, trace, calls = VerdictStream(frame, streams), TracePage(frame, streams), CallsPage(frame)
    live = {
        directory_page.PATH: DirectoryPage(frame).page,
        "/": OverviewPage(frame).page,
        "/verdicts": verdicts.page,
        "/trace": trace.page,
        calls_page.PATH: calls.page,
        enrolment_page.PATH: EnrolmentPage(frame).page,
    }
    shown = {**NetworkPages(frame).pages(), **LivePages(frame).pages(), **live}
    forms = {form.path: FormPage(frame, form) for form in FORMS}
    return [
        *LoginPages(frame, guard, flow, kerberos).routes(),
        web.static("/static", STATIC),
        web.get(verdict_stream.EVENTS, verdicts.answer),
        web.get(trace_page.EVENTS, trace.answer),
        web.get(calls_page.EXPORT, calls.export),
        *(web.get(path, frame.page(show)) for path, show in shown.items()),
        *(web.get(path, frame.page(page.show)) for path, page in forms.items()),
        *(web.post(path, frame.form(page)) for path, page in forms.items()),
        web.get("/{path:.*}", frame.missing),
    ]
