"""Browsers with the policy file that management serves show our pages without a warning, and without it they warn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from interop.chromium import BrowserPage, Chromium
from interop.firefox import LOOK_AGAIN_S, PATIENCE_S, Firefox, NotShownError
from interop.hosts_file import NAMESPACE, require_namespaces
from support.enrolling import run
from support.invited import Invitee
from support.managed import MGMT, Managed
from support.management_with_invitations import management_with_invitations
from support.running import on_loop

ROOTS = "/usr/local/share/ca-certificates"


@asynccontextmanager
async def served(folder: Path, *names: str) -> AsyncIterator[tuple[list[str], dict[str, bytes]]]:
    """Management with a console and with invitations; gives the addresses of both, and the packages *names* as it serves them."""
    async with management_with_invitations(folder) as network, Invitee(network.organisation.root) as person:
        pages = addresses(network)
        found = [await person.get(f"{pages[1]}trust/{name}") for name in names]
        assert [answer.status for answer in found] == [200] * len(names)
        yield pages, {name: answer.text.encode() for name, answer in zip(names, found, strict=True)}


def addresses(network: Managed) -> list[str]:
    document: Any = network.organisation.document
    ports = [document[part]["listen"].rpartition(":")[2] for part in ("console", "invitations")]
    return [f"https://{MGMT}:{port}/" for port in ports]


def with_etc(folder: Path, files: dict[str, bytes], roots: Path | None = None) -> tuple[str, ...]:
    """Give what starts a program for which these *files* are in ``/etc``, and the files of *roots* where `root.sh` puts them."""
    old = folder / "etc"
    old.mkdir()
    commands = [f"mount --rbind /etc {old}", "mount -t tmpfs none /etc", f"ln -s {old}/* /etc/"]
    for n, (name, content) in enumerate(files.items()):
        (folder / str(n)).write_bytes(content)
        top, below = name.split("/", 1)
        where = (Path("/etc") / top / below).parent
        commands += [f"rm -f /etc/{top}", f"mkdir -p {where}", f"cp {folder / str(n)} {where}/{Path(name).name}"]
    if roots is not None:
        commands.append(f"mount --bind {roots} {ROOTS}")
    return (*NAMESPACE, "sh", "-c", f'{" && ".join(commands)} && exec "$@"', "sh")


async def title(firefox: Firefox, page: str) -> str:
    """Give the title of a page, as soon as Firefox has read the roots of its policy, which it does beside its start."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await firefox.title(page)
            except NotShownError:
                await asyncio.sleep(LOOK_AGAIN_S)


@pytest.mark.soak
@pytest.mark.peer("firefox-esr")
@on_loop
async def test_firefox_with_the_policy_that_is_served_shows_our_pages_without_a_warning(tmp_path: Path) -> None:
    require_namespaces()
    async with served(tmp_path / "n", "policies.json", "root.sh") as (pages, packages):
        made = tmp_path / "made"
        (tmp_path / "root.sh").write_bytes(packages["root.sh"])
        code, told = await run("sh", "root.sh", "--yes", cwd=tmp_path, DESTDIR=str(made))
        assert code == 0, told
        before = with_etc(tmp_path, {"firefox/policies/policies.json": packages["policies.json"]}, made / ROOTS[1:])
        async with Firefox(tmp_path / "trusting", (MGMT,), before) as firefox:
            assert [await title(firefox, page) for page in pages] == ["Log in - example.test", "example.test"]
        async with Firefox(tmp_path / "other", (MGMT,)) as firefox:
            for page in pages:
                with pytest.raises(NotShownError, match="insecure certificate"):
                    await firefox.title(page)


@pytest.mark.soak
@pytest.mark.peer("chromium", "certutil")
@on_loop
async def test_chromium_with_the_policy_that_is_served_shows_our_pages_without_a_warning(tmp_path: Path) -> None:
    require_namespaces()
    async with served(tmp_path / "n", "chromium.json") as (pages, packages):
        policy = {"chromium/policies/managed/sipmesh.json": packages["chromium.json"]}
        for name, before in (("trusting", with_etc(tmp_path, policy)), ("other", ())):
            browser = Chromium(tmp_path / name, None, (MGMT,))
            browser.program = (*before, *browser.program)
            async with browser:
                page = BrowserPage(browser, await browser.target(private=False))
                for url in pages:
                    told = await browser.command("Page.navigate", page.session, url=url)
                    assert told.get("errorText", "") == ("" if before else "net::ERR_CERT_AUTHORITY_INVALID")


@pytest.mark.peer("curl", "openssl")
@on_loop
async def test_file_for_windows_is_the_root_as_certutil_and_a_group_policy_import_it(tmp_path: Path) -> None:
    """One certificate in DER, with the media type at which Windows offers to install it. No Windows was at hand."""
    async with management_with_invitations(tmp_path / "n") as network:
        root, url = network.organisation.root, f"{addresses(network)[1]}trust/root.cer"
        there = ("--resolve", url.split("/")[2] + ":127.0.0.1")
        code, told = await run(
            "curl", "-sf", "--cacert", str(root), *there, "-o", "root.cer", "-w", "%{content_type}", url, cwd=tmp_path
        )
        assert (code, told) == (0, "application/pkix-cert")
        code, told = await run("openssl", "x509", "-inform", "DER", "-in", "root.cer", "-text", cwd=tmp_path)
        assert (code, "CA:TRUE" in told, root.read_text() in told) == (0, True, True)
