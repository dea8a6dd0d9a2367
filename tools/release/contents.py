"""Lists what is in an OCI image, one line for each file, so that `diff` names what differs in two of them: contents.py IMAGE."""

from __future__ import annotations

import hashlib
import sys
import tarfile
from collections.abc import Iterator

GZIP = b"\x1f\x8b"


def listed(archive: tarfile.TarFile) -> Iterator[str]:
    """Give a line for each member of *archive*, with the hash of a file, and then for those of each layer in it."""
    for member in archive:
        file = archive.extractfile(member) if member.isreg() else None
        octets = file.read() if file else b""
        kind = f"{member.type.decode()} {member.mode:o} {member.uid}:{member.gid} {member.mtime}"
        yield f"{kind} {hashlib.sha256(octets).hexdigest()} {member.name} {member.linkname}".rstrip()
        if file and octets.startswith(GZIP) and "blobs/" in member.name:
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r|gz") as layer:
                yield from listed(layer)


if __name__ == "__main__":
    with tarfile.open(sys.argv[1]) as image:
        print(*listed(image), sep="\n")
