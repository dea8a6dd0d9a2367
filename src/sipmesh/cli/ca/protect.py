"""`sipmesh ca protect`: encrypt private keys with a passphrase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.cli.output import GOOD, plural, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def protect(topology: TopologyFile = HERE) -> None:
    """Encrypt the private keys of this folder in place. SIPMESH_KEY_PASSPHRASE_FILE names the file with the passphrase."""
    from sipmesh.pki.keys.protection import keys_below
    from sipmesh.pki.keys.protection import protect as encrypt

    place = Place(topology)
    keys = dict.fromkeys(file.resolve() for file in (*keys_below(place.folder), *_named(place)))
    done = encrypt(keys)
    say(*(f"Encrypted: {file}." for file in done), style=GOOD)
    if len(done) < len(keys):
        say(f"{plural(len(keys) - len(done), 'key')} of {len(keys)} were encrypted already.")
    say(
        "From now on every server and command here needs the passphrase. Running servers go on. Without the passphrase, they",
        "cannot start again. Old backups may contain the keys unencrypted.",
    )


def _named(place: Place) -> Iterator[Path]:
    """Yield the keys that the topology names: they may be in any folder. A server that has joined has no draft."""
    if not place.file.exists():
        return
    loaded = place.load()
    for pool in loaded.topology.pools:
        for server in pool.servers:
            names = [*server.key_files, *([server.signer_key_file] if pool.role is Role.MANAGEMENT else [])]
            yield from (file for name in names if (file := loaded.folder / name).exists())
