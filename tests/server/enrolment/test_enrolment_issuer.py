"""A certificate is issued with the proof in the same turn: if the proof fails, nothing is signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.enrolment.enrollable import enrollable
from sipmesh.server.enrolment.enrolment_issuer import MOST_A_DAY, EnrolmentIssuer, Proof, TooManyCertificatesError
from sipmesh.topology.document.parts.enrolment import EnrolmentProtocol
from support.enrolling import BOT, enrolling, new_key
from support.managed import MGMT
from support.running import on_loop


def refuse() -> None:
    raise OperatorError("the token was used meanwhile")


@on_loop
async def test_nothing_is_signed_if_the_proof_fails_or_the_day_is_full(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        node, management_db = network.nodes[MGMT], network.master.management_db
        generations, at = CaGenerations(node.view.loaded.folder / "ca"), node.gatekeeper.clock()
        issuer, entry = EnrolmentIssuer(generations, management_db), enrollable(node.view, BOT)
        before = len(generations.records())
        with pytest.raises(OperatorError, match="used meanwhile"):
            issuer.issue(entry, new_key().public_key(), Proof(EnrolmentProtocol.EST, "a token", refuse), at)
        assert len(generations.records()) == before
        given, proof = new_key().public_key(), Proof(EnrolmentProtocol.EST, "a token", lambda: None)
        for _ in range(MOST_A_DAY):
            issuer.issue(entry, given, proof, at)
        with pytest.raises(TooManyCertificatesError):
            issuer.issue(entry, given, proof, at)
        assert len(generations.records()) == before + MOST_A_DAY
        assert management_db.audit.read()[-1].about["because"] == "a token"
