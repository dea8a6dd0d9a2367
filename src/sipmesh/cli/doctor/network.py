"""What management knows of the network: the faults of `sipmesh status`, each once, at its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.cli.doctor.check import bad, good, skipped
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sipmesh.cli.doctor.check import Check
    from sipmesh.cli.typed_commands import TypedCommands
    from sipmesh.server.management.server_faults import Fault

NETWORK: Final = "network"
SERVERS: Final = "servers"


def server_checks(here: Sequence[str], running: Collection[str], typed: TypedCommands) -> Iterator[Check]:
    """Tell which servers whose keys are on this host do not run."""
    stopped = [server for server in here if server not in running]
    if stopped:
        verb = "does" if len(stopped) == 1 else "do"
        yield bad(SERVERS, f"{', '.join(stopped)} {verb} not run here", f"start: {typed.start(stopped)}")
    elif here:
        yield good(SERVERS, f"all {len(here)} servers of this host run" if len(here) > 1 else f"{here[0]} runs")


def management_checks(linked: Mapping[str, Collection[str]], managers: Sequence[str]) -> Iterator[Check]:
    """Tell which servers of a host without management have no link with it; *linked* names the peers of each that runs here."""
    alone = [server for server, peers in linked.items() if not set(managers).intersection(peers)]
    if not managers or not linked:
        told = "no management server runs here: run `sipmesh doctor` on its host for the faults of the network"
        yield skipped(NETWORK, told)
    elif alone:
        verb = "has" if len(alone) == 1 else "have"
        told = f"{', '.join(alone)} {verb} no link with management: no new version, CRL or certificate arrives here"
        remedy = f"start it on its host: sipmesh serve {managers[0]}; and check that this host is reachable from there"
        yield bad(NETWORK, told, remedy)
    else:
        told = (
            f"management is linked with {', '.join(linked)}: `sipmesh doctor` on its host has the faults of the network"
        )
        yield good(NETWORK, told)


CERTIFICATE_CODES: Final = (Code.REVOKED, Code.EXPIRED)
"""The verdicts whose cause is the certificate of the server itself."""


def fault_checks(
    faults: Sequence[tuple[Sequence[str], Fault]], stopped: Collection[str], refused: Collection[str] = ()
) -> Iterator[Check]:
    """Return each fault with the servers that have it.

    The faults of *stopped* servers of this host are reported elsewhere, and so is why peers refuse the certificates of *refused*
    servers.
    """
    told = []
    for names, fault in faults:
        is_refused = fault.code in CERTIFICATE_CODES
        left = [name for name in names if name not in stopped and not (is_refused and name in refused)]
        if left:
            told.append(bad(NETWORK, f"{', '.join(left)}: {fault.what}", fault.remedy or f"read the log of {left[0]}"))
    yield from told or [good(NETWORK, "management knows of no fault")]
