"""`sipmesh ca adopt`: trust the CA of another organisation for our own servers, beside ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.cli.ca.subordinate import Crls, Given, all_names, must_be_there, read_given_ca, say_warning
from sipmesh.cli.output import GOOD, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import must_lead

if TYPE_CHECKING:
    from sipmesh.pki.importing.bundle import Bundle
    from sipmesh.pki.importing.ca_path import CaPath


def adopt(file: Given, *, crl: Crls = None, topology: TopologyFile = HERE) -> None:
    """Let the draft trust the root of another CA for our own servers, with its CRLs. That CA then issues their certificates.

    Topology, judge and revocation checks stay ours: a server needs its name in the topology too. `--crl` names at least the
    CRL of the CA that issues for servers. A private key in the file is refused: sipmesh does not need it.
    """
    from sipmesh.pki import files
    from sipmesh.pki.importing.ca_path import ADOPTED, roots_of
    from sipmesh.topology.document.changes import add_root, edit

    place = Place(topology)
    must_lead(place)
    bundle, draft = read_given_ca(file), place.load()
    _must_have_no_key(bundle)
    must_be_there(place, crl or ())
    paths = roots_of(bundle)
    for path in paths:
        path.must_be_usable(all_names(draft), datetime.now(UTC))
    there = draft.topology.authority
    crls = [name for name in _crls_of(paths, crl or []) if name not in there.crls]
    for path in paths:
        anchor = f"{ADOPTED}{fingerprint_of(path)}.pem"
        files.make_readable_folder((place.folder / anchor).parent)
        files.write(place.folder / anchor, files.certificates_pem((path.root,)))
        if anchor not in there.anchors:
            edit(place.file, lambda text, a=anchor: add_root(text, a, tuple(crls)))  # type: ignore[misc]
            crls.clear()
        say(f"The draft trusts {path.root.subject.rfc4514_string()} for our own servers ({anchor}).", style=GOOD)
        say_warning(path)
    say("It issues for servers of the topology, with all names that `sipmesh topology show SERVER` lists. Next:")
    say('  sipmesh topology publish -m "trust another CA"')


def _must_have_no_key(bundle: Bundle) -> None:
    from sipmesh.pki.importing.encrypted_file import refused

    if bundle.key is not None:
        remedy = "export the certificates alone"
        raise refused(bundle.file, "has a private key, which sipmesh does not need to trust this CA", remedy)


def _crls_of(paths: list[CaPath], given: list[str]) -> list[str]:
    """Return the CRLs that the operator has *given*, and those that the certificates of CAs below their root name."""
    from sipmesh.pki.importing.encrypted_file import refused
    from sipmesh.pki.importing.subordinate import named_crls

    named = [named_crls(path) for path in paths]
    lacking = ["the CA that issues for servers", *(ca for _, unnamed in named for ca in unnamed)]
    if len(given) < len(lacking):
        reason = f"does not say where these CRLs are: that of {', and that of '.join(lacking)}"
        raise refused(paths[0].file, reason, "name each with --crl, as URL or as file below anchors/")
    return list(dict.fromkeys([*given, *(url for urls, _ in named for url in urls)]))


def fingerprint_of(path: CaPath) -> str:
    """Return the beginning of the SHA-256 of a root, for the name of its file: names in it are of others."""
    from sipmesh.trust.x509.certificate import fingerprint

    return fingerprint(path.root).replace(":", "").lower()[:16]
