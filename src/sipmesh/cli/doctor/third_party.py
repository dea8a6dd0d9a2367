"""Partners of public CAs: whether this system still trusts their roots, and whether the presets are old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.cli.doctor.check import good, warning
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sipmesh.cli.doctor.check import Check
    from sipmesh.topology.document.load import Loaded

PRESETS: Final = "public CAs"


def preset_checks(loaded: Loaded, at: datetime) -> Iterator[Check]:
    """Judge the partners with a root of a preset; without one there is no check."""
    from sipmesh.topology.third_party.preset_faults import preset_faults
    from sipmesh.topology.third_party.presets import presets
    from sipmesh.topology.third_party.system_roots import system_roots
    from sipmesh.trust.x509.certificate import fingerprint

    anchors = [fingerprint(anchor) for authority in loaded.partners for anchor in authority.anchors]
    if not presets().of(anchors):
        return
    try:
        faults = list(preset_faults(loaded, presets(), system_roots().keys(), at))
    except OperatorError as wrong:
        yield warning(PRESETS, f"the roots of this system are not known: {wrong.message}", "install ca-certificates")
        return
    for told, remedy in faults:
        yield warning(PRESETS, told, remedy)
    if not faults:
        yield good(PRESETS, "this system trusts each root of a public CA that a partner is trusted by")
