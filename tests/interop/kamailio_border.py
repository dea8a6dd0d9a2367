"""Kamailio as a trunk of a gateway, by the configuration of a page of docs/howto."""

from __future__ import annotations

import re
from pathlib import Path

from interop.kamailio import Server
from support.checkout import DOCS


class Border(Server):
    """The Kamailio of *page*, with the *places* of a test in it; each of them has to be there."""

    def __init__(self, folder: Path, port: int, places: dict[str, str], page: str = "udp-provider.md") -> None:
        folder.mkdir(parents=True)
        text = (DOCS / "howto" / page).read_text()
        files = dict(re.findall(r"^```(kamailio|ini|text)\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        for example, here in {**places, "/etc/kamailio/tls.cfg": f"{folder}/tls.cfg"}.items():
            assert any(example in one for one in files.values()), example
            files = {name: one.replace(example, here) for name, one in files.items()}
        (folder / "dispatcher.list").write_text(files.get("text", ""))
        super().__init__(folder, files["kamailio"], files["ini"], port)
