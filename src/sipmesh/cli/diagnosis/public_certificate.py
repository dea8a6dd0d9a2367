"""`sipmesh explain servers/NAME.acme.pem`: what has come of the last order at the public CA."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.cli.control_client import ask_all
from sipmesh.cli.diagnosis.reports import PublicCertificateReport
from sipmesh.cli.output import BAD, GOOD, say, say_json
from sipmesh.errors import OperatorError
from sipmesh.server.admin.replies import STATUS
from sipmesh.trust.formatting import tell_time

if TYPE_CHECKING:
    from sipmesh.cli.place import Place

SUFFIX: Final = ".acme.pem"


def explain_public_certificate(file: Path, place: Place, *, as_json: bool) -> bool:
    """Tell until when the certificate in *file* is valid, and why it is not renewed; returns whether all is well."""
    report = _report(file, place)
    if as_json:
        say_json(report)
        return report.renewal is None
    say(f"{file}, which {report.server} gets by ACME", style="bold")
    ends = f"in use, valid until {tell_time(report.ends)}" if report.ends is not None else "there is none yet"
    say(f"  {ends}", style=GOOD if report.ends is not None else BAD)
    if report.renewal is not None:
        say(f"  failed since {tell_time(report.renewal.since)}: {report.renewal.why}", style=BAD)
        say(f"  remedy: {report.renewal.remedy}")
    return report.renewal is None


def _report(file: Path, place: Place) -> PublicCertificateReport:
    for answer in ask_all(place, STATUS):
        for chain in answer.reply.use.for_clients if answer.reply is not None else ():
            if Path(chain.file).resolve() == file.resolve():
                leaf = chain.leaf
                return PublicCertificateReport(answer.server, file, leaf.ends if leaf else None, chain.renewal)
    raise OperatorError(f"no running server of this folder gets {file} by ACME; start it: sipmesh serve NAME")
