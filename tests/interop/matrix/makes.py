"""The makes of phones that are tested."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, Protocol

from interop.baresip import Baresip
from interop.chromium import Chromium, WebPhone
from interop.linphone import Linphone
from interop.matrix.device import Device, NotOfferedError, Settings
from interop.pjsua import Pjsua

PACKETS = 50
"""One second of audio."""

OPEN = (
    '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{}"><tuple id="t1"><status>'
    "<basic>open</basic></status></tuple></presence>"
)

SETTINGS = """\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = phones
[phones]
MinProtocol = TLSv1
"""
RSA_ONLY = f"{SETTINGS}MaxProtocol = TLSv1.2\nCipherString = ECDHE+aRSA+AESGCM\n"
OLD_TLS = f"{SETTINGS}MaxProtocol = TLSv1.1\nCipherString = ALL@SECLEVEL=0\n"


class Running(Protocol):
    """A phone that runs as a process of its own; *log* has its SIP messages."""

    @property
    def log(self) -> str: ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ProgramDevice(Device):
    """A program, which runs as *running*."""

    running: Running

    async def start(self) -> None:
        await self.running.__aenter__()

    async def stop(self) -> None:
        await self.running.__aexit__(None, None, None)

    async def trace(self) -> str:
        return self.running.log


class BaresipDevice(ProgramDevice):
    """Debian's baresip. It writes to its friend only, and what it watches and publishes is set before it starts."""

    make = "baresip"
    commands: ClassVar[Mapping[str, str]] = {
        "call": "dial {0}",
        "hang_up": "hangup",
        "hold": "hold",
        "resume": "resume",
        "dtmf": "sndcode {0}",
        "transfer": "transfer {0}",
        "message": "message {1}",
        "watch": "",
        "publish": "",
        "ask_waiting": "",
        "options": "options {0}",
        "unregister": "quit",  # it has no other command for this
    }

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        media = ("dtls_srtp" if settings.webrtc else "srtp-mand") if settings.secure else ""
        self.running = self._phone = Baresip(
            settings.folder, settings.user, settings.password, settings.domain, settings.server, anchor=settings.anchor,
            dns=settings.dns, media=media, ice=settings.webrtc, records=False, talks=True,
            transport=settings.transport, answers=settings.answers, friend=settings.friend, watches=settings.watches,
            expires_s=settings.expires_s,
            flows=tuple(filter(None, (settings.server, settings.second))) if settings.outbound else (),
        )  # fmt: skip
        if settings.rsa_only or settings.old_tls:
            (settings.folder / "openssl.conf").write_text(RSA_ONLY if settings.rsa_only else OLD_TLS)
            self._phone.environment["OPENSSL_CONF"] = f"{settings.folder}/openssl.conf"

    async def command(self, name: str, *given: str) -> None:
        await self._phone.command(name, *given)

    async def hears(self) -> None:
        await self._phone.hears(PACKETS)


class LinphoneDevice(ProgramDevice):
    """Debian's linphone, a daemon. It watches its friend, and publishes, from the start."""

    make = "linphone"
    commands: ClassVar[Mapping[str, str]] = {
        "call": "call {0}",
        "call_hidden": "call {0}",
        "hang_up": "terminate",
        "hold": "call-pause 1",
        "resume": "call-resume 1",
        "dtmf": "dtmf {0}",
        "transfer": "call-transfer 1 {0}",
        "connect_calls": "call-transfer 1 2",
        "message": "message {0} {1}",
        "watch": "",
        "publish": "",
        "unregister": "unregister ALL",
    }

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        if settings.rsa_only:
            raise NotOfferedError("no setting for ciphers")
        media = ("dtls" if settings.webrtc else "srtp") if settings.secure else "none"
        self.running = self._phone = Linphone(
            settings.folder, settings.user, settings.password, settings.domain, settings.server, anchor=settings.anchor,
            media=media, ice=settings.webrtc, answers=settings.answers, publishes=settings.watches,
            expires_s=settings.expires_s, login=settings.login, friend=settings.friend if settings.watches else "",
            account="privacy=8\n" if settings.hidden else "",
        )  # fmt: skip

    async def version(self) -> str:
        return (await self._phone.command("version")).rpartition("Version:")[2].strip()

    async def talk(self) -> None:
        await self._phone.talk()

    async def hears(self) -> None:
        await self._phone.hears()

    async def command(self, name: str, *given: str) -> None:
        await self._phone.command(" ".join((name, *given)))


class PjsuaDevice(ProgramDevice):
    """PJSIP. A word of its commands is the name of an argument and its value."""

    make = "pjsua2"
    commands: ClassVar[Mapping[str, str]] = {
        "call": "call uri={0}",
        "call_hidden": "call uri={0} hidden=yes",
        "hang_up": "hang_up",
        "hold": "hold",
        "resume": "resume",
        "dtmf": "dtmf digit={0}",
        "transfer": "transfer uri={0}",
        "connect_calls": "connect_calls",
        "message": "message uri={0} text={1}",
        "watch": "watch uri={0}",
        "publish": "publish",
        "ask_waiting": "",
        "unregister": "unregister",
    }

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.running = self._phone = Pjsua(
            settings.folder, settings.user, settings.password, settings.domain, settings.server, anchor=settings.anchor,
            secure=settings.secure, answers=settings.answers, publishes=settings.watches,
            waiting=settings.watches, expires_s=settings.expires_s, rsa_only=settings.rsa_only,
        )  # fmt: skip

    async def command(self, name: str, *given: str) -> None:
        arguments = (word.partition("=") for word in given)
        await self._phone.do(name, **{key: value for key, _, value in arguments})

    async def hears(self) -> None:
        await self._phone.hears(PACKETS)


class PageDevice(Device):
    """A page with one of the libraries, in Chromium. *server* of its settings is that of its WebSocket."""

    webrtc = True
    commands: ClassVar[Mapping[str, str]] = {
        "call": "call {0}",
        "call_hidden": "callHidden {0}",
        "hang_up": "hangUp",
        "hold": "hold",
        "resume": "resume",
        "dtmf": "dtmf {0}",
        "transfer": "transfer {0}",
        "connect_calls": "connectCalls",
        "message": "write {0} {1}",
        "watch": "subscribe presence {0} application/pidf+xml",
        "ask_waiting": "subscribe message-summary {own} application/simple-message-summary",
        "watch_registrations": "subscribe reg {own} application/reginfo+xml",
        "unregister": "unregister",
    }

    def __init__(self, settings: Settings, browser: Chromium) -> None:
        super().__init__(settings)
        self._settings, self._browser = settings, browser

    async def start(self) -> None:
        settings = self._settings
        self._page: WebPhone = await self._browser.page(self.make)
        account: dict[str, object] = {
            "server": f"wss://{settings.server}",
            "user": settings.user,
            "domain": settings.domain,
        }
        account |= {"password": settings.password, "answers": settings.answers, "expires": settings.expires_s}
        await self._page.do("start", account)

    async def stop(self) -> None:
        await self._page.close()

    async def trace(self) -> str:
        return await self._page.trace()

    async def command(self, name: str, *given: str) -> None:
        await self._page.do(name, *given)

    async def hears(self) -> None:
        await self._page.media(PACKETS)


class JsSipDevice(PageDevice):
    """JsSIP."""

    make = "jssip"
    commands: ClassVar[Mapping[str, str]] = {**PageDevice.commands, "options": "options {0}"}


class SipJsDevice(PageDevice):
    """SIP.js."""

    make = "sipjs"

    async def call(self, uri: str) -> None:
        if uri.startswith("tel:"):
            raise NotOfferedError
        await super().call(uri)

    async def publish(self) -> None:
        await self._page.do("publish", self.own, OPEN.format(self.own))
