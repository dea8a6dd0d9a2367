"""The files of the web phone, read into memory once.

``tools/web_phone`` makes them with npm. An install without npm has none: then the page says so.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.transport.websocket.pages import CHECKED, FOREVER, PHONE, Page, Pages

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology

BUNDLE: Final = Path(__file__).with_name("bundle")
"""The folder into which ``tools/web_phone`` writes."""

SIGN_IN: Final = f"{PHONE}/sign-in.json"
INDEX: Final = "index.html"
LICENCES: Final = "licences.txt"
NAMED_BY_HASH: Final = {
    "phone.css": "text/css; charset=utf-8",
    "phone.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Files whose name has a hash of their octets, with their media type: a browser keeps them, and never has an old one."""

NOT_AVAILABLE: Final = 503
NOT_BUILT: Final = (
    "The web phone was not built when sipmesh was installed on this server: it needs npm.\n"
    "Operator: install npm, install sipmesh again, and restart this server.\n"
)


@cache
def web_phone(asks: tuple[str, ...] = (), sign_in: str = "") -> Pages:
    """Return the pages of the web phone as it is installed; it *asks* these web origins for accounts and tokens.

    *sign_in* says how its users sign in by an OpenID provider (`sign_in_of`), "" if they do not.
    """
    pages = read_pages(BUNDLE, asks)
    return {**pages, SIGN_IN: _page("application/json", sign_in.encode())} if sign_in else pages


def sign_in_of(topology: Topology) -> str:
    """Return what the web phone has to know of the OpenID provider, as JSON; "" if its users do not sign in there."""
    oauth, domains = topology.oauth, topology.sip_domains
    if oauth is None or oauth.web_phone is None:
        return ""
    client = oauth.web_phone
    about = {"issuer": oauth.issuer, "claim": oauth.claim, "domain": domains[0] if len(domains) == 1 else ""}
    asked = {"client_id": client.client_id, "scopes": client.scopes, "resource": client.resource or ""}
    return json.dumps({**about, **asked})


def is_built() -> bool:
    """Tell whether this install has the web phone."""
    return web_phone()[PHONE].status != NOT_AVAILABLE


def read_pages(folder: Path, asks: Sequence[str] = ()) -> Pages:
    """Return the pages that *folder* has; one page that says so if the web phone was not built."""
    names = (INDEX, LICENCES, *NAMED_BY_HASH)
    try:
        files = {name: (folder / name).read_bytes() for name in names}
    except FileNotFoundError:
        return _at_phone(_page("text/plain; charset=utf-8", NOT_BUILT.encode(), status=NOT_AVAILABLE))
    index, pages = files[INDEX], {}
    for name, content_type in NAMED_BY_HASH.items():
        path = _path_by_hash(name, files[name])
        pages[path] = _page(content_type, files[name], FOREVER)
        index = index.replace(f'"{PHONE}/{name}"'.encode(), f'"{path}"'.encode())
    pages[f"{PHONE}/{LICENCES}"] = _page("text/plain; charset=utf-8", files[LICENCES])
    return {**pages, **_at_phone(_page("text/html; charset=utf-8", index, asks=asks))}


def _at_phone(page: Page) -> dict[str, Page]:
    return dict.fromkeys((PHONE, f"{PHONE}/"), page)


def _path_by_hash(name: str, content: bytes) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{PHONE}/{stem}-{_hash_of(content)}.{suffix}"


def _page(
    content_type: str, content: bytes, cache: str = CHECKED, *, status: int = 200, asks: Sequence[str] = ()
) -> Page:
    return Page(content_type, gzip.compress(content, mtime=0), f'"{_hash_of(content)}"', cache, status, asks)


def _hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
