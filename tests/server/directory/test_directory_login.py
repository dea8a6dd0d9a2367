"""The login at the first server of the directory that can be used."""

from __future__ import annotations

import pytest

from sipmesh.demo.ports import free_port
from sipmesh.errors import OperatorError
from support.directory_ca import HOST
from support.directory_world import DirectoryWorld

pytestmark = pytest.mark.peer("openldap")


def test_next_server_is_used_if_the_first_one_cannot_be(world: DirectoryWorld) -> None:
    world.ldap.person("carol")
    good = {"name": f"{HOST}:{world.ldap.ldaps}", "address": "127.0.0.1"}
    away = {"name": f"dc0.corp.test:{free_port()}", "address": "127.0.0.1"}
    assert world.look(servers=[away, good]).server == f"{HOST}:{world.ldap.ldaps}"
    with pytest.raises(OperatorError, match="cannot be reached"):
        world.look(servers=[away])
