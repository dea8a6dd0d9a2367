"""A real browser: Debian's Chromium without a head, driven by its DevTools protocol, with pages that are phones."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from sipmesh.demo.ports import HOST
from sipmesh.server.process.fork_server import die_with_parent
from support.checkout import ROOT
from support.programs import ended

PATIENCE_S = 30.0
LOOK_AGAIN_S = 0.05
BUNDLES = ROOT / "build" / "browser"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"),
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
    *("--autoplay-policy=no-user-gesture-required", "--disable-features=WebRtcHideLocalIpsWithMdns"),
)
AXE = BUNDLES / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = {"serious", "critical"}
STORES = (".pki/nssdb", ".local/share/pki/nssdb")


class Chromium:
    """One browser in *folder*. It trusts *anchor* and no other CA of ours, and finds the names of *hosts* on this machine.

    *origin* is that of its pages: a web server of the test, at the loopback interface. With *loopback* the media of its pages
    may use that interface too. *more* are flags of the browser.
    """

    def __init__(
        self,
        folder: Path,
        anchor: Path | None,
        hosts: tuple[str, ...],
        *,
        loopback: bool = True,
        more: Sequence[str] = (),
    ) -> None:
        self.folder, self._anchor = folder, anchor
        rules = ",".join(f"MAP {host} {HOST}" for host in hosts)
        self._flags = [*FLAGS, f"--host-resolver-rules={rules}", f"--user-data-dir={folder / 'profile'}"]
        self._flags += ["--allow-loopback-in-peer-connection"] if loopback else []
        self._flags += more
        self.program: tuple[str, ...] = ("chromium",)
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.console: list[str] = []
        self.downloads: list[dict[str, Any]] = []
        self._pages: web.AppRunner | None = None

    async def serve(self) -> str:
        """Serve the pages; gives their origin."""
        application = web.Application()
        application.router.add_static("/", BUNDLES)
        self._pages = web.AppRunner(application, access_log=None)
        await self._pages.setup()
        site = web.TCPSite(self._pages, HOST, 0)
        await site.start()
        self.origin = f"http://localhost:{self._pages.addresses[0][1]}"
        return self.origin

    async def __aenter__(self) -> Self:
        for store in STORES:
            (self.folder / store).mkdir(parents=True)
            await self._trust(self.folder / store)
        with (self.folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.program, *self._flags, "about:blank",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
                env={**os.environ, "HOME": str(self.folder)}, cwd=self.folder,
            )  # fmt: skip
        self._session = aiohttp.ClientSession()
        async with asyncio.timeout(PATIENCE_S):
            port, path = await self._where()
        self._devtools = await self._session.ws_connect(f"ws://{HOST}:{port}{path}", max_msg_size=0)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def _trust(self, store: Path) -> None:
        database = ("-d", f"sql:{store}")
        await _run("certutil", *database, "-N", "--empty-password")
        if self._anchor is not None:
            await _run("certutil", *database, "-A", "-n", "root", "-t", "C,,", "-i", str(self._anchor))

    async def _where(self) -> tuple[str, str]:
        """Wait for the file in which Chromium says where it can be driven."""
        file = self.folder / "profile" / "DevToolsActivePort"
        while True:
            if self._process.returncode is not None:
                raise RuntimeError(f"Chromium ended:\n{(self.folder / 'log').read_text()}")
            if file.exists() and len(lines := file.read_text().split()) == 2:
                return lines[0], lines[1]
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _listen(self) -> None:
        async for message in self._devtools:
            told = json.loads(message.data)
            waiting = self._answers.pop(told.get("id", 0), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(told)
            elif told.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded"}:
                self.console.append(json.dumps(told["params"]))
            elif told.get("method") in {"Browser.downloadWillBegin", "Browser.downloadProgress"}:
                self.downloads.append(told["params"])

    async def command(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Give a command of the DevTools protocol; returns its result."""
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._devtools.send_json(asked)
        async with asyncio.timeout(PATIENCE_S):
            answer = await self._answers[number]
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def page(self, library: str) -> WebPhone:
        """Open a page with a phone of *library*, in a profile of its own."""
        phone = WebPhone(self, await self.target())
        await phone.go(f"{self.origin}/{library}/page.html")
        return phone

    async def target(self, *, private: bool = True) -> str:
        """Open an empty page in a profile of its own, or in the profile that sends tickets of Kerberos; gives its session."""
        created = await self.command("Target.createBrowserContext") if private else {}
        target = await self.command("Target.createTarget", url="about:blank", **created)
        attached = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        session = str(attached["sessionId"])
        for domain in ("Runtime", "Log", "Page"):
            await self.command(f"{domain}.enable", session)
        return session

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        await self._devtools.close()
        await self._session.close()
        if self._process.returncode is None:
            self._process.terminate()
        await ended(self._process)
        if self._pages is not None:
            await self._pages.cleanup()


@cache
def _axe() -> str:
    return AXE.read_text()


class BrowserPage:
    """A page of the browser."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self.session = browser, session

    async def evaluate(self, script: str) -> Any:
        """Evaluate JavaScript in the page, and wait for the promise that it gives."""
        found = await self._browser.command(
            "Runtime.evaluate", self.session, expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            wrong = found["exceptionDetails"]
            raise AssertionError(
                f"{wrong.get('exception', {}).get('description', wrong['text'])} {self._browser.console}"
            )
        return found["result"].get("value")

    async def faults(self) -> list[str]:
        """What axe-core finds in the page that keeps people from using it."""
        await self.evaluate(f"{_axe()};undefined")
        found = await self.evaluate("axe.run().then(found => found.violations)")
        return [
            f"{one['id']}: {one['nodes'][0]['html']}: {one['nodes'][0]['failureSummary']}"
            for one in found
            if one["impact"] in SERIOUS
        ]

    async def close(self) -> None:
        """Close the page, and with it its connections."""
        await self._browser.command("Page.close", self.session)

    async def go(self, url: str) -> None:
        """Navigate to *url*, and wait until it is loaded."""
        await self._browser.command("Page.navigate", self.session, url=url)
        await self.evaluate("new Promise(done => document.readyState === 'complete' ? done() : onload = () => done())")


class WebPhone(BrowserPage):
    """A phone in a page of the tests."""

    async def start(self, server: str, user: str, domain: str, **settings: object) -> None:
        """Connect by WebSocket, and register."""
        account = {"server": server, "user": user, "password": f"{user}-secret", "domain": domain, **settings}
        await self.evaluate(f"phone.start({json.dumps(account)})")

    async def until(self, name: str) -> str:
        """Wait for an event of that name; gives its detail."""
        return str(await self.evaluate(f"phone.until({name!r})"))

    async def do(self, command: str, *given: object) -> None:
        """Give a command."""
        await self.evaluate(f"phone.{command}({', '.join(map(json.dumps, given))}), undefined")

    async def trace(self) -> str:
        """Give all SIP messages so far."""
        return str(await self.evaluate("phone.trace()"))

    async def write(self, uri: str, text: str) -> None:
        """Send a MESSAGE."""
        await self.evaluate(f"phone.write({uri!r}, {json.dumps(text)})")

    async def call(self, uri: str) -> None:
        """Call."""
        await self.evaluate(f"phone.call({uri!r})")

    async def hang_up(self) -> None:
        """End the call."""
        await self.evaluate("phone.hangUp(), undefined")

    async def media(self, packets: int) -> dict[str, Any]:
        """Wait until so many packets of audio went each way; gives the figures."""
        found: dict[str, Any] = await self.evaluate(f"phone.media({packets})")
        return found


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    assert process.returncode == 0, told.decode()
