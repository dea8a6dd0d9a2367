"""The files of a generation of the CA, as the topology names them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.cli.place import Place
    from sipmesh.pki.authority import EnterpriseCa


def names_of(place: Place, ca: EnterpriseCa) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the anchor of a generation, its CRLs, and its device issuing CA if it has one.

    The CRLs above an issuing CA below others are not ours.
    """

    def name(file: Path) -> str:
        return os.fspath(file.relative_to(place.folder))

    devices = (name(ca.folder / "devices.pem"),) if ca.devices is not None else ()
    ours = (name(ca.folder / f"{kind}.crl") for kind in ca.crls.kinds)
    return name(ca.folder / "root.pem"), (*ca.crls_above, *ours), devices
