"""The files of the web phone, as they are installed."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sipmesh.server.web_phone.files import LICENCES, NAMED_BY_HASH, NOT_BUILT, read_pages, sign_in_of, web_phone
from sipmesh.topology.document.model import Topology
from sipmesh.transport.websocket.pages import CHECKED, FOREVER, Pages
from support.checkout import ROOT

SOURCE = ROOT / "web_phone"


@pytest.fixture(name="built")
def _built(tmp_path: Path) -> Path:
    """A bundle: the page of the source, and a script."""
    for name in ("index.html", "phone.css", "icon.svg"):
        (tmp_path / name).write_bytes((SOURCE / name).read_bytes())
    (tmp_path / "phone.js").write_text("let one;")
    (tmp_path / LICENCES).write_text("MIT")
    return tmp_path


def index(pages: Pages) -> str:
    return gzip.decompress(pages["/phone"].body).decode()


def test_page_names_its_files_by_their_octets(built: Path) -> None:
    pages = read_pages(built)
    assert set(pages) > {"/phone", "/phone/", "/phone/licences.txt"}
    files = {path for path, page in pages.items() if page.cache == FOREVER}
    assert len(files) == len(NAMED_BY_HASH)
    assert all(f'"{path}"' in index(pages) for path in files)
    assert all(f'"/phone/{name}"' not in index(pages) for name in NAMED_BY_HASH)
    assert pages["/phone"].cache == CHECKED


def test_changed_file_has_another_name_and_changes_the_page(built: Path) -> None:
    before = read_pages(built)
    (built / "phone.js").write_text("let two;")
    after = read_pages(built)
    assert len(set(before) ^ set(after)) == 2
    assert before["/phone"].etag != after["/phone"].etag
    assert {path: page.whole for path, page in read_pages(built).items()} == {
        path: page.whole for path, page in after.items()
    }


@pytest.mark.parametrize("missing", ["phone.js", "index.html"])
def test_phone_that_was_not_built_says_so(built: Path, missing: str) -> None:
    (built / missing).unlink()
    pages = read_pages(built)
    assert set(pages) == {"/phone", "/phone/"}
    assert pages["/phone"].status == 503
    assert index(pages) == NOT_BUILT


def test_page_has_no_script_and_no_style_of_its_own(built: Path) -> None:
    """The policy of the page refuses them."""
    page = index(read_pages(built))
    assert page.count("<script") == 1
    assert "></script>" in page
    assert "<style" not in page
    assert "style=" not in page
    assert not re.search(r"\son\w+=", page)


def test_sources_make_no_html_of_text() -> None:
    """Texts of others become text nodes. The policy of the page refuses the rest too (Trusted Types)."""
    for source in SOURCE.glob("*.js"):
        text = source.read_text()
        assert not any(
            word in text for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
        )


def test_lock_file_names_no_registry() -> None:
    lock = (SOURCE / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert lock.count('"integrity"') > 5


def test_page_alone_names_the_pages_of_invitations(built: Path) -> None:
    pages = read_pages(built, ("https://join.example.test",))
    naming = {path for path, page in pages.items() if page.connects}
    assert naming == {"/phone", "/phone/"}


OAUTH: dict[str, Any] = {
    "issuer": "https://id.example.com/realms/voice",
    "audience": "sip",
    "web_phone": {"client_id": "phone", "scopes": ["offline_access"], "resource": "urn:example:sip"},
}


def topology(*domains: str, **parts: Any) -> Topology:
    pool = {"name": "pool1.example.test", "role": "front-end", "servers": ["fe1.example.test"]}
    return Topology.model_validate(
        {
            "sipmesh": 1,
            "organisation": "Example",
            "sip_domains": domains,
            "authority": {"anchors": ["root.pem"], "crls": ["root.crl"]},
            "pools": [pool],
            **parts,
        }
    )


@pytest.mark.parametrize("domains", [("example.test",), ("example.test", "other.test")])
def test_page_learns_the_provider(domains: tuple[str, ...]) -> None:
    """A user part is completed by the SIP domain only where there is one."""
    text = sign_in_of(topology(*domains, oauth=OAUTH))
    assert json.loads(text) == {
        "issuer": "https://id.example.com/realms/voice",
        "claim": "sub",
        "domain": "example.test" if len(domains) == 1 else "",
        "client_id": "phone",
        "scopes": ["offline_access"],
        "resource": "urn:example:sip",
    }
    assert gzip.decompress(web_phone((), text)["/phone/sign-in.json"].body).decode() == text


def test_page_of_a_topology_without_a_client_at_the_provider_offers_no_sign_in() -> None:
    assert sign_in_of(topology("example.test")) == ""
    assert sign_in_of(topology("example.test", oauth={**OAUTH, "web_phone": None})) == ""
    assert "/phone/sign-in.json" not in web_phone((), "")
