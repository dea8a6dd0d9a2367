"""A table of servers as CSV."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.importing.server_table import read_table
from sipmesh.trust.role import Role

TABLE = """\
\ufeffServer,Pool,Role,Address,Site,Rack,Speaks for
fe1,main,front-end,192.0.2.1,Berlin,7,
fe2,main,front-end,192.0.2.2,Paris,7,
e1,sip,edge,192.0.2.3,Berlin,8,
bot,bot,Application,,,,a.test; b.test
,main,front-end,,,,
x,main,edge,,,,
y,odd,boss,,,,
"""


def test_rows_become_servers_of_their_pools() -> None:
    made = read_table(TABLE.encode())
    main, edge, bot = made.pools
    assert (main.name, main.role, main.site) == ("main", Role.FRONT_END, "")
    assert [(one.name, one.address, one.site) for one in main.servers] == [
        ("fe1", "192.0.2.1", "berlin"),
        ("fe2", "192.0.2.2", "paris"),
    ]
    assert (edge.site, edge.servers[0].site) == ("berlin", "")
    assert bot.speaks_for == ("a.test", "b.test")
    assert made.sites == ["berlin", "paris"]
    assert made.left == [
        "column 'rack': it is not one of: server, pool, role, address, outside, site, next_hop, internal_name, speaks_for",
        "line 6: `server` is empty",
        "line 7: main is a pool of role front-end already",
        "pool odd (line 8): 'boss' is not a role; write one of: front-end, edge, application, management, gateway",
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no column 'server'"),
        (b"server,pool\nx,y\n", "no column 'role'"),
        (b'server,pool,role\n"x', "not a table of servers"),
        (b"\xff,pool,role\n", "not a table of servers"),
        (b"server,pool,role\n" + b"a,b,edge\n" * 2_001, "more than 2000 rows"),
    ],
)
def test_other_files_are_refused(content: bytes, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        read_table(content)
