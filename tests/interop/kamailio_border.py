"""Kamailio beside a gateway, for a provider that has UDP only: mutual TLS towards the gateway, UDP towards the provider.

It is the configuration of docs/howto/udp-provider.md.
"""

from __future__ import annotations

import re
from pathlib import Path

from interop.kamailio import Server

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "udp-provider.md"


def block(language: str) -> str:
    """The block of the page in one language."""
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


class Border(Server):
    """The Kamailio of the page, with the places of a test in it."""

    def __init__(self, folder: Path, port: int, places: dict[str, str]) -> None:
        folder.mkdir(parents=True)
        texts = [block("kamailio"), block("ini")]
        for example, here in {**places, "/etc/kamailio/tls.cfg": f"{folder}/tls.cfg"}.items():
            assert any(example in text for text in texts), example
            texts = [text.replace(example, here) for text in texts]
        routes, tls = texts
        super().__init__(folder, routes, tls, port)
