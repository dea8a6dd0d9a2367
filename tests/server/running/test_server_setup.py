"""What the parts of a server are made from."""

from __future__ import annotations

from sipmesh.demo.organisation import Organisation
from sipmesh.server.running.server_setup import TOKEN_BYTES, advertised_by, new_nonce_key, new_token
from sipmesh.server.running.worker_place import WorkerPlace
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, Network
from support.running import on_loop
from support.server_parts import setup_of
from support.web_peer import open_websocket


def test_each_port_is_advertised_by_its_name_and_number(example: Organisation) -> None:
    """The name, not the address: the certificate has it."""
    advertised, ports = advertised_by(view(example.load(), FE1)), example.ports[FE1]
    assert {key: listener.sent_by for key, listener in advertised.items()} == {
        str(kind): f"{FE1}:{port}" for kind, port in ports.items()
    }


def test_websocket_port_is_advertised_with_its_own_transport(example: Organisation) -> None:
    """RFC 7118 section 5."""
    plain = advertised_by(view(example.load(), FE1))
    assert {listener.transport for listener in plain.values()} == {"tls"}
    open_websocket(example, origins=["https://phone.example.test"])
    with_websocket = advertised_by(view(example.load(), FE1))
    assert {key for key, listener in with_websocket.items() if listener.transport != "tls"} == (
        with_websocket.keys() - plain.keys()
    )


@on_loop
async def test_process_has_the_name_of_its_server_or_of_its_worker(example: Organisation) -> None:
    for place, name in ((WorkerPlace(), FE1), (WorkerPlace(2, 2), f"{FE1}#2")):
        setup = setup_of(example, FE1, place)
        assert setup.process == name
        setup.stores.close()


@on_loop
async def test_rules_and_homes_are_those_of_the_topology(federation: Network) -> None:
    setup = setup_of(federation.organisations[0], EDGE)
    assert setup.rules.partner_of("partner.test")
    assert LinkKind.PARTNER in setup.advertised
    setup.stores.close()


def test_tokens_and_nonce_keys_are_new_each_time() -> None:
    assert len(new_token()) == 2 * TOKEN_BYTES
    assert new_token() != new_token()
    assert new_nonce_key() != new_nonce_key()
