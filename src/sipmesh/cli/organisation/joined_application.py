"""The result of `sipmesh join accept` for an application: what its program needs, since sipmesh does not run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.cli.output import say
from sipmesh.pki import files
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.server import Server


def is_application(name: str, loaded: Loaded) -> bool:
    """Tell whether the server *name* runs a program that is not sipmesh."""
    pool = loaded.topology.pool_of(name)
    return pool is not None and pool.role is Role.APPLICATION


def say_application(name: str, loaded: Loaded, folder: Path) -> None:
    """Write the roots for the program, and print its files and its links."""
    roots = folder / "servers" / f"{name}.roots.pem"
    files.write(roots, files.certificates_pem(loaded.authority.anchors))
    server, opens_to = _links(name, loaded)
    say(f"It is an application: its program is not sipmesh. Configure the program with these files in {folder}:")
    say(
        f"  {server.key_file}  its key",
        f"  {server.certificate_file}  its certificate, with the issuing CA",
        f"  {roots.relative_to(folder)}  the roots that it trusts",
        *(f"  {crl}  a CRL that it checks" for crl in loaded.list_names),
    )
    say(
        "It speaks SIP over mutual TLS only, TLS 1.2 or 1.3:",
        f"  it opens links to {', '.join(opens_to)}, and checks that the certificate has that name",
        f"  it accepts links of these servers on port {server.server_port}",
        "It gets no certificate and no CRL by itself. Join again before they expire: sipmesh ca inventory",
    )


def _links(name: str, loaded: Loaded) -> tuple[Server, Sequence[str]]:
    """Return the application's own entry, and the servers of its next hop with their ports."""
    pools = loaded.topology.pools
    pool, server = next((one, server) for one in pools for server in one.servers if server.name == name)
    hops = next(one for one in pools if one.name == pool.next_hop).servers
    return server, [f"{hop.name}:{hop.server_port}" for hop in hops]
