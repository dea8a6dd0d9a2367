"""Name constraints hold SIP identities, in both roles: the one thing that neither engine can do for us."""

from __future__ import annotations

import pytest

from conformance import engines
from conformance.sip_names import trials
from conformance.stage import Role, run


@pytest.mark.parametrize("role", Role)
def test_a_constraint_holds_the_host_of_every_sip_uri(role: Role) -> None:
    found = {trial.name: run(trial, role).accepted for trial in trials()}
    assert found == {trial.name: trial.good for trial in trials()}
    assert sum(trial.good for trial in trials()) > 20


def test_what_is_refused_is_refused_by_the_constraint() -> None:
    """And not by something that all cases of this kind happen to have; the second engine sees DNS names outside."""
    for trial in trials():
        told = {told.partition(":")[0] for told in run(trial, Role.SERVER).stage}
        assert trial.good or told in ({"constraints"}, {"constraints", "second-engine"}), trial.name


@pytest.mark.peer("openssl")
def test_neither_engine_does_it_for_us() -> None:
    """Should this fail one day, a reason for code of ours is gone."""
    through = [trial.name for trial in trials() if not trial.good and engines.openssl(trial) and engines.pyca(trial)]
    kept_out = [trial.name for trial in trials() if trial.good and not engines.openssl(trial)]
    assert len(through) > 20
    assert len(kept_out) > 5
