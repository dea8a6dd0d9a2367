"""The web phone in a browser, used as a person uses it: by its fields and buttons."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any, Self

from interop.chromium import BrowserPage, Chromium

REMEMBER = """
window.connections = [];
window.injected = 0;
const Real = RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
  constructor(given) {
    super(window.relayOnly ? {...given, iceTransportPolicy: "relay"} : given);
    connections.push(this);
  }
};
"""
"""Runs before the page: the page itself shows no figures of its media. *injected* counts scripts of an attacker.

With *relayOnly* the browser sends no media but through a TURN server.
"""

MEDIA = """(async () => {
  const found = {sent: 0, received: 0};
  for (const report of (await connections.at(-1).getStats()).values()) {
    if (report.type === "outbound-rtp") [found.sent, found.packetsSent] = [report.bytesSent, report.packetsSent];
    if (report.type === "inbound-rtp") [found.received, found.packetsReceived] = [report.bytesReceived, report.packetsReceived];
    if (report.type === "local-candidate" && report.candidateType === "relay") found.relay = report.url;
    if (report.type === "transport") [found.dtls, found.srtp] = [report.dtlsState, report.srtpCipher];
  }
  return found;
})()"""


class PhonePage(BrowserPage):
    """One browser profile with the web phone."""

    @classmethod
    async def open(cls, browser: Chromium, url: str) -> Self:
        """Open the web phone."""
        page = cls(browser, await browser.target())
        await browser.command("Page.addScriptToEvaluateOnNewDocument", page.session, source=REMEMBER)
        await page.go(url)
        return page

    async def until(self, condition: str) -> None:
        """Wait until *condition* is true, an expression of JavaScript."""
        look = f"const look = async () => (await ({condition})) ? done() : setTimeout(look, 50); look();"
        await self.evaluate(f"new Promise(done => {{ {look} }})")

    async def fill(self, field: str, text: str) -> None:
        """Type into the field with this id."""
        await self.evaluate(f"document.getElementById({field!r}).value = {json.dumps(text)}, undefined")

    async def press(self, button: str) -> None:
        """Press the button with this id, once it can be pressed."""
        await self.until(f"!document.getElementById({button!r}).disabled")
        await self.evaluate(f"document.getElementById({button!r}).click(), undefined")

    async def submit(self, form: str) -> None:
        """Send the form with this id."""
        await self.evaluate(f"document.getElementById({form!r}).requestSubmit(), undefined")

    async def text(self, element: str) -> str:
        """What a person reads in the element with this id."""
        return str(await self.evaluate(f"document.getElementById({element!r}).innerText"))

    async def shows(self, element: str, text: str = "") -> None:
        """Wait until the element with this id is visible, and has *text* in it."""
        found = f"document.getElementById({element!r})"
        await self.until(f"{found}.checkVisibility() && {found}.innerText.includes({json.dumps(text)})")

    async def log_in(self, address: str, password: str) -> None:
        """Log in; returns once the phone is there, or why it is not."""
        await self.fill("address", address)
        await self.fill("password", password)
        await self.submit("login-form")

    async def add_contact(self, address: str) -> None:
        """Add a contact, and watch its presence."""
        await self.fill("add", address)
        await self.submit("add-form")

    async def choose(self, address: str) -> None:
        """Open the conversation with a contact."""
        await self.evaluate(f"document.querySelector('[data-address={json.dumps(address)}]').click(), undefined")

    async def sees(self, address: str, state: str) -> None:
        """Wait until a contact has this presence."""
        await self.until(f"document.querySelector('[data-address={json.dumps(address)}]')?.dataset.state === {state!r}")

    async def write(self, text: str) -> None:
        """Send a message to the contact whose conversation is open."""
        await self.fill("text", text)
        await self.submit("write-form")

    async def media(self, packets: int) -> dict[str, Any]:
        """Wait until so many packets of audio went each way; gives the figures."""
        await self.until(f"{MEDIA}.then(f => f.packetsSent >= {packets} && f.packetsReceived >= {packets})")
        figures: dict[str, Any] = await self.evaluate(MEDIA)
        return figures

    async def allow(self, permission: str) -> None:
        """Have the user allow the page what browsers ask about."""
        origin = await self.evaluate("location.origin")
        asked: dict[str, Any] = {"permissions": [permission], "origin": origin}
        await self._browser.command("Browser.grantPermissions", **asked, browserContextId=await self._context())

    async def allow_downloads(self, folder: Path) -> None:
        """Let the browser write downloads into *folder*, and tell of them (`Chromium.downloads`)."""
        asked: dict[str, Any] = {"behavior": "allow", "downloadPath": str(folder), "eventsEnabled": True}
        await self._browser.command("Browser.setDownloadBehavior", **asked, browserContextId=await self._context())

    async def _context(self) -> str:
        target = await self._browser.command("Target.getTargetInfo", self.session)
        return str(target["targetInfo"]["browserContextId"])

    async def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the window, and light or dark colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self._browser.command("Emulation.setDeviceMetricsOverride", self.session, **size)
        colours = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self._browser.command("Emulation.setEmulatedMedia", self.session, features=colours)

    async def picture(self, file: Path) -> None:
        """Write what the page looks like."""
        taken = await self._browser.command("Page.captureScreenshot", self.session, format="png")
        await asyncio.to_thread(file.write_bytes, base64.b64decode(taken["data"]))
