"""The makes of phones that are tested."""

from __future__ import annotations

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

RSA_ONLY = """\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = phones
[phones]
MaxProtocol = TLSv1.2
CipherString = ECDHE+aRSA+AESGCM
"""


class BaresipDevice(Device):
    """Debian's baresip. It writes to its friend only, and what it watches and publishes is set before it starts."""

    make = "baresip"

    def __init__(self, settings: Settings) -> None:
        self._watches = settings.watches
        self._phone = Baresip(
            settings.folder, settings.user, settings.password, settings.domain, settings.server, anchor=settings.anchor,
            dns=settings.dns, media="srtp-mand" if settings.secure else "", records=False, answers=settings.answers,
            friend=settings.friend, watches=settings.watches, expires_s=settings.expires_s,
            flows=tuple(filter(None, (settings.server, settings.second))) if settings.outbound else (),
        )  # fmt: skip
        if settings.rsa_only:
            (settings.folder / "openssl.conf").write_text(RSA_ONLY)
            self._phone.environment["OPENSSL_CONF"] = f"{settings.folder}/openssl.conf"

    async def start(self) -> None:
        await self._phone.__aenter__()

    async def stop(self) -> None:
        await self._phone.__aexit__(None, None, None)

    async def trace(self) -> str:
        return self._phone.log

    async def call(self, uri: str) -> None:
        await self._phone.command("dial", uri)

    async def hang_up(self) -> None:
        await self._phone.command("hangup")

    async def hold(self) -> None:
        await self._phone.command("hold")

    async def resume(self) -> None:
        await self._phone.command("resume")

    async def dtmf(self, digit: str) -> None:
        await self._phone.command("sndcode", digit)

    async def transfer(self, uri: str) -> None:
        await self._phone.command("transfer", uri)

    async def message(self, _uri: str, text: str, /) -> None:
        await self._phone.command("message", text)

    async def watch(self, _uri: str, /) -> None:
        assert self._watches

    async def publish(self) -> None:
        assert self._watches

    async def ask_waiting(self) -> None:
        assert self._watches

    async def options(self, uri: str) -> None:
        await self._phone.command("options", uri)

    async def unregister(self) -> None:
        await self._phone.command("quit")  # it has no other command for this


class LinphoneDevice(Device):
    """Debian's linphone, a daemon."""

    make = "linphone"

    def __init__(self, settings: Settings) -> None:
        if settings.rsa_only:
            raise NotOfferedError("no setting for ciphers")
        self._phone = Linphone(
            settings.folder, settings.user, settings.password, settings.domain, settings.server, anchor=settings.anchor,
            media="srtp" if settings.secure else "none", answers=settings.answers, publishes=settings.watches,
            expires_s=settings.expires_s, friend=settings.friend if settings.watches else "",
            account="privacy=8\n" if settings.hidden else "",
        )  # fmt: skip

    async def start(self) -> None:
        await self._phone.__aenter__()

    async def stop(self) -> None:
        await self._phone.__aexit__(None, None, None)

    async def trace(self) -> str:
        return self._phone.log

    async def version(self) -> str:
        return (await self._phone.command("version")).rpartition("Version:")[2].strip()

    async def call(self, uri: str) -> None:
        await self._phone.command(f"call {uri}")

    call_hidden = call

    async def hang_up(self) -> None:
        await self._phone.command("terminate")

    async def hold(self) -> None:
        await self._phone.command("call-pause 1")

    async def resume(self) -> None:
        await self._phone.command("call-resume 1")

    async def dtmf(self, digit: str) -> None:
        await self._phone.command(f"dtmf {digit}")

    async def transfer(self, uri: str) -> None:
        await self._phone.command(f"call-transfer 1 {uri}")

    async def connect_calls(self) -> None:
        await self._phone.command("call-transfer 1 2")

    async def talk(self) -> None:
        await self._phone.talk()

    async def hears(self) -> None:
        await self._phone.hears()

    async def message(self, uri: str, text: str) -> None:
        await self._phone.command(f"message {uri} {text}")

    async def watch(self, _uri: str, /) -> None:
        pass  # its friend, from the start

    async def publish(self) -> None:
        pass  # likewise

    async def unregister(self) -> None:
        await self._phone.command("unregister ALL")


class PjsuaDevice(Device):
    """PJSIP."""

    make = "pjsua2"

    def __init__(self, settings: Settings) -> None:
        self._phone = Pjsua(
            settings.folder, settings.user, settings.password, settings.domain, settings.server, anchor=settings.anchor,
            secure=settings.secure, answers=settings.answers, publishes=settings.watches,
            waiting=settings.watches, expires_s=settings.expires_s, rsa_only=settings.rsa_only,
        )  # fmt: skip

    async def start(self) -> None:
        await self._phone.__aenter__()

    async def stop(self) -> None:
        await self._phone.__aexit__(None, None, None)

    async def trace(self) -> str:
        return self._phone.log

    async def call(self, uri: str) -> None:
        await self._phone.do("call", uri=uri)

    async def call_hidden(self, uri: str) -> None:
        await self._phone.do("call", uri=uri, hidden=True)

    async def hang_up(self) -> None:
        await self._phone.do("hang_up")

    async def hold(self) -> None:
        await self._phone.do("hold")

    async def resume(self) -> None:
        await self._phone.do("resume")

    async def dtmf(self, digit: str) -> None:
        await self._phone.do("dtmf", digit=digit)

    async def transfer(self, uri: str) -> None:
        await self._phone.do("transfer", uri=uri)

    async def connect_calls(self) -> None:
        await self._phone.do("connect_calls")

    async def hears(self) -> None:
        await self._phone.hears(PACKETS)

    async def message(self, uri: str, text: str) -> None:
        await self._phone.do("message", uri=uri, text=text)

    async def watch(self, uri: str) -> None:
        await self._phone.do("watch", uri=uri)

    async def publish(self) -> None:
        await self._phone.do("publish")

    async def ask_waiting(self) -> None:
        pass  # from the start

    async def unregister(self) -> None:
        await self._phone.do("unregister")


class PageDevice(Device):
    """A page with one of the libraries, in Chromium. *server* of its settings is that of its WebSocket."""

    webrtc = True

    def __init__(self, settings: Settings, browser: Chromium) -> None:
        self._settings, self._browser = settings, browser
        self._own = f"sip:{settings.user}@{settings.domain}"

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

    async def call(self, uri: str) -> None:
        await self._page.do("call", uri)

    async def call_hidden(self, uri: str) -> None:
        await self._page.do("callHidden", uri)

    async def hang_up(self) -> None:
        await self._page.do("hangUp")

    async def hold(self) -> None:
        await self._page.do("hold")

    async def resume(self) -> None:
        await self._page.do("resume")

    async def dtmf(self, digit: str) -> None:
        await self._page.do("dtmf", digit)

    async def transfer(self, uri: str) -> None:
        await self._page.do("transfer", uri)

    async def connect_calls(self) -> None:
        await self._page.do("connectCalls")

    async def hears(self) -> None:
        await self._page.media(PACKETS)

    async def message(self, uri: str, text: str) -> None:
        await self._page.do("write", uri, text)

    async def watch(self, uri: str) -> None:
        await self._page.do("subscribe", "presence", uri, "application/pidf+xml")

    async def ask_waiting(self) -> None:
        await self._page.do("subscribe", "message-summary", self._own, "application/simple-message-summary")

    async def watch_registrations(self) -> None:
        await self._page.do("subscribe", "reg", self._own, "application/reginfo+xml")

    async def unregister(self) -> None:
        await self._page.do("unregister")


class JsSipDevice(PageDevice):
    """JsSIP."""

    make = "jssip"

    async def options(self, uri: str) -> None:
        await self._page.do("options", uri)


class SipJsDevice(PageDevice):
    """SIP.js."""

    make = "sipjs"

    async def call(self, uri: str) -> None:
        if uri.startswith("tel:"):
            raise NotOfferedError
        await super().call(uri)

    async def publish(self) -> None:
        await self._page.do("publish", self._own, OPEN.format(self._own))
