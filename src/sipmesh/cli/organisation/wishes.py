"""What the operator wants of a new network: from options, or asked on the terminal."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer
from pydantic_core import PydanticCustomError

from sipmesh.errors import OperatorError
from sipmesh.regular_file import read_regular
from sipmesh.topology.document.names import address, fqdn
from sipmesh.trust.x509.operator_name import NAME_REMEDY, is_operator_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipmesh.cli.organisation.layout import Layout

ADDRESSES: Final = Path("/proc/net/fib_trie")
"""The routes of this machine: an address of its own is a host route with the scope LOCAL."""

DIRECTORIES: Final = {"letsencrypt": "https://acme-v02.api.letsencrypt.org/directory"}
"""The public CAs that have a short name here."""

_LOCAL: Final = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of `sipmesh init`; what is empty was not given."""

    address: str = ""
    management: str = ""
    front_ends: tuple[str, ...] = ()
    edges: tuple[str, ...] = ()
    administrator: str = ""
    public_ca: str = ""

    def layout(self, domain: str) -> Layout:
        """Return the layout; asks for it if no option names an address, and there is a terminal.

        Raises `OperatorError` for what is no address or no name of an operator, and for an address that is missing.
        """
        from sipmesh.cli.organisation.layout import LOOPBACK, Layout

        if self.administrator and not is_operator_name(self.administrator):
            raise OperatorError(f"{self.administrator!r} is not a name of an operator: {NAME_REMEDY}")
        wished = asked(self) if not self.has_addresses and sys.stdin.isatty() and own_addresses() else self
        if wished.edges and not (wished.address or wished.management or wished.front_ends):
            raise OperatorError(
                "an edge needs a front end that it can reach: name the address of this host with --address"
            )
        here = checked(wished.management or wished.address or (wished.front_ends or (LOOPBACK,))[0])
        front_ends = wished.front_ends or (wished.address or here,)
        edges = tuple(map(checked, wished.edges))
        return Layout(domain, here, tuple(map(checked, front_ends)), edges, wished.administrator, self._directory())

    def _directory(self) -> str:
        """Return the URL of the directory of the public CA, "" without one."""
        url = DIRECTORIES.get(self.public_ca, self.public_ca)
        if url and not url.startswith("https://"):
            known = ", ".join(DIRECTORIES)
            raise OperatorError(
                f"{url!r} is no public CA: name {known}, or the https URL of the directory of another one"
            )
        return url

    @property
    def has_addresses(self) -> bool:
        """Whether an option names an address."""
        return bool(self.address or self.management or self.front_ends or self.edges)


def domain_of(typed: str) -> str:
    """Return the SIP domain that was *typed*; without one, a terminal is asked. Raises `OperatorError` for what is none."""
    if typed:
        return checked(typed, fqdn)
    if not sys.stdin.isatty():
        raise OperatorError("no SIP domain is named; name yours: sipmesh init example.com")
    return _ask("Your SIP domain, such as example.com", lambda text: iter([checked(text, fqdn)]))[0]


def checked(text: str, check: Callable[[str], str] = address) -> str:
    """Return what *check* of the topology makes of *text*; raises `OperatorError` if it refuses it."""
    try:
        return check(text)
    except PydanticCustomError as wrong:
        context = wrong.context or {}
        raise OperatorError(f"{context['reason']}; {context['remedy']}") from None


def own_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine that others may reach; empty if it has none, or does not say it."""
    with suppress(OSError):
        found = dict.fromkeys(_LOCAL.findall(read_regular(ADDRESSES).decode()))
        return [address for address in found if not ip_address(address).is_loopback]
    return []


def asked(wishes: Wishes) -> Wishes:
    """Ask on the terminal for what only the operator knows. An empty first answer is a network for this machine alone."""
    known = ", ".join(own_addresses())
    here = _ask(f"Address of this host that other machines reach, such as {known} (empty: this machine alone)", _one)
    if not here:
        return wishes
    front_ends = _ask(f"Addresses of the front ends, separated by blanks (empty: {here[0]})", _all)
    edges = _ask("Addresses of edges to partners (empty: none)", _all)
    named = wishes.administrator or _ask("Who administers it in the console, such as ada (empty: no operator)", _name)
    return replace(wishes, management=here[0], front_ends=front_ends or here, edges=edges, administrator="".join(named))


def _ask(question: str, read: Callable[[str], Iterator[str]]) -> tuple[str, ...]:
    """Ask until the answer can be used; the error says what is wrong."""
    while True:
        typed: str = typer.prompt(question, default="", show_default=False, err=True)
        try:
            return tuple(read(typed.strip()))
        except OperatorError as wrong:
            typer.echo(wrong.message, err=True)


def _one(text: str) -> Iterator[str]:
    if text:
        yield checked(text)


def _all(text: str) -> Iterator[str]:
    yield from map(checked, text.replace(",", " ").split())


def _name(text: str) -> Iterator[str]:
    if text and not is_operator_name(text):
        raise OperatorError(NAME_REMEDY)
    yield from [text] if text else ()
