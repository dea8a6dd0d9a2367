"""The console in Chromium, used as a person uses it: links, fields and buttons of its pages."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from interop.chromium import PATIENCE_S, BrowserPage, Chromium
from support.managed import MGMT, Managed

LOOK_AGAIN_S = 0.02
SHIFT = """new Promise(done => {
  let sum = 0;
  const observer = new PerformanceObserver(list => list.getEntries().forEach(entry => sum += entry.value));
  observer.observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 200);
})"""


class ConsolePage(BrowserPage):
    """A tab with the console at *base*, in a profile of its own."""

    def __init__(self, browser: Chromium, session: str, base: str) -> None:
        super().__init__(browser, session)
        self.base = base

    @classmethod
    async def open(cls, browser: Chromium, network: Managed, *, private: bool = True) -> ConsolePage:
        """Open a tab; without a login."""
        console: Any = network.organisation.document["console"]
        port = console["listen"].rpartition(":")[2]
        return cls(browser, await browser.target(private=private), f"https://{MGMT}:{port}")

    async def show(self, path: str) -> str:
        """Show a page; gives its text."""
        await self.go(self.base + path)
        return await self.text()

    async def text(self) -> str:
        """What a person reads in the page."""
        return str(await self.evaluate("document.body.innerText"))

    async def log_in(self, network: Managed, role: str) -> None:
        """Open the link that the command prints: the script sends its code."""
        reply = await network.ask(MGMT, "console-login", role=role)
        await self.open_link(f"{self.base}/login#{reply['code']}")
        assert await self.evaluate("location.pathname") == "/", await self.text()

    async def open_link(self, link: str) -> None:
        """Open a link whose page leads to another one by itself, and wait until that one is loaded."""
        await self.go("about:blank")
        await self._browser.command("Page.navigate", self.session, url=link)
        async with asyncio.timeout(PATIENCE_S):
            while not await self._is_new() or await self._is_on_the_way():
                await asyncio.sleep(LOOK_AGAIN_S)

    async def _is_on_the_way(self) -> bool:
        """Tell whether the page has a code that is not answered yet, or is the empty one before."""
        there = "location.href === 'about:blank' || !!document.querySelector('[data-sent]')"
        try:
            return bool(await self.evaluate(there))
        except (RuntimeError, AssertionError):  # the page went away while it was asked
            return True

    async def use(self, action: str, **fields: str) -> str:
        """Fill the form *action* of this page, tick its boxes, and press its button; gives the text of the next page."""
        await self.leave(
            f"""(() => {{
              const form = document.querySelector('form[action="{action}"]');
              for (const [name, value] of Object.entries({json.dumps(fields)})) form.elements[name].value = value;
              for (const box of form.querySelectorAll("input[type=checkbox]")) box.checked = true;
              form.querySelector("button").click();
            }})()"""
        )
        return await self.text()

    async def leave(self, script: str) -> None:
        """Do what leads to another page, and wait until that page is loaded."""
        await self.evaluate("window.isLeft = true, undefined")
        await self.evaluate(f"{script}, undefined")
        async with asyncio.timeout(PATIENCE_S):
            while not await self._is_new():
                await asyncio.sleep(LOOK_AGAIN_S)

    async def _is_new(self) -> bool:
        try:
            return bool(await self.evaluate("!window.isLeft && document.readyState === 'complete'"))
        except (RuntimeError, AssertionError):  # the page went away while it was asked
            return False

    async def look(self, scheme: str, width: int) -> None:
        """Show pages in a light or dark *scheme*, *width* pixels wide."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self._browser.command("Emulation.setEmulatedMedia", self.session, features=features)
        await self._browser.command(
            "Emulation.setDeviceMetricsOverride",
            self.session,
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def overflow(self) -> int:
        """By how many pixels the page is wider than the window, without the bar that scrolls it."""
        return int(await self.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    async def interactive_s(self) -> float:
        """How many seconds after its request the page could be used."""
        return float(await self.evaluate("performance.getEntriesByType('navigation')[0].domInteractive / 1000"))

    async def shift(self) -> float:
        """By how much parts of the page have moved by themselves (Layout Instability, W3C)."""
        return float(await self.evaluate(SHIFT))
