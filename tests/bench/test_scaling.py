"""Claims of docs/scaling.md: how far messages travel, how the load spreads, and that figures follow from coefficients."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.many_servers import ManyServers, Passed, calls_of_a_decision, send
from bench.network_size import Network
from bench.scaling import SIZES, Costs, Demand, Habits, Machine, UserSize, tables
from sipmesh.storage.users.user_document import MOST_IN_A_PART, MOST_PARTS
from sipmesh.topology.document.load import load_text

MESSAGES = 1_000
OF_A_USER = UserSize(165.0, 25.0, 570.0, 96.0)


def many(folder: Path, servers: int, users: int) -> ManyServers:
    made = Network(folder, servers + 2, 0)
    return ManyServers(load_text(made.text, made.file), users)


def demand(users: int) -> Demand:
    return Demand(users, Habits(), Costs(), Machine(), OF_A_USER)


def test_message_passes_three_front_ends_at_most_and_the_decision_costs_the_same(tmp_path: Path) -> None:
    small, large = many(tmp_path / "s", 20, 1_000), many(tmp_path / "l", 100, 10_000)
    passed = send(large, MESSAGES, 1)
    assert set(passed.lengths) == {1, 2, 3}
    assert passed.lengths.total() == MESSAGES
    assert calls_of_a_decision(large) <= calls_of_a_decision(small) + 3  # longer numbers in the names


def test_load_spreads_over_all_servers(tmp_path: Path) -> None:
    network = many(tmp_path / "n", 20, 1_000)
    passed: Passed = send(network, MESSAGES, 2)
    assert len(passed.load) == 20
    assert max(passed.load.values()) <= 1.5 * passed.load.total() / 20


def test_servers_follow_from_phones_and_memory_from_all_users() -> None:
    small, middle, large = map(demand, SIZES)
    assert small.front_ends == 2
    assert large.by_phones == 2_000
    assert large.memory_users > 30 * middle.memory_users
    assert large.memory_links < 1.1 * middle.memory_links


def test_page_says_where_the_users_document_ends() -> None:
    assert MOST_PARTS * MOST_IN_A_PART == 40_000_000
    assert demand(40_000_000).parts == MOST_PARTS


@pytest.mark.wide
def test_tables_have_a_column_for_each_size() -> None:
    lines = tables((1_000, 2_000)).splitlines()
    assert "|  | 1,000 users | 2,000 users |" in lines
