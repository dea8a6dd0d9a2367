"""A server that enrols with the package `acme`: it registers, orders, and asks when to renew.

``acme_program.py SETTINGS``: the settings are JSON. It writes what it has got as JSON. Its server of http-01 is its own.
"""

from __future__ import annotations

import json
import sys
import threading
from functools import partial
from importlib import import_module
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

# They belong to a peer, which need not be installed.
client, challenges, messages, standalone, crypto_util = (
    import_module(f"acme.{name}") for name in ("client", "challenges", "messages", "standalone", "crypto_util")
)
josepy: Any = import_module("josepy")


def main() -> None:
    """Enrol and renew, and write the serial numbers and the time of the next renewal."""
    given = json.loads(sys.argv[1])
    key = josepy.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
    network = client.ClientNetwork(key, alg=josepy.ES256, verify_ssl=given["root"])
    found = client.ClientV2(client.ClientV2.get_directory(given["directory"], network), network)
    binding = messages.ExternalAccountBinding.from_data(
        account_public_key=key.public_key(),
        kid=given["key_id"],
        hmac_key=given["mac_key"],
        directory=found.directory,
        hmac_alg="HS256",
    )
    found.new_account(messages.NewRegistration.from_data(email="ops@example.test", external_account_binding=binding))
    chains = [_certificate(found, key, given) for _ in range(2)]
    renewal, _ = found.renewal_time(chains[-1].encode())
    found.revoke(x509.load_pem_x509_certificate(chains[0].encode()), 4)
    leaves = [x509.load_pem_x509_certificate(chain.encode()) for chain in chains]
    told = {"serials": [f"{leaf.serial_number:x}" for leaf in leaves], "renewal": renewal.isoformat()}
    json.dump({**told, "ends": leaves[-1].not_valid_after_utc.isoformat()}, sys.stdout)


def _certificate(found: Any, key: Any, given: dict[str, Any]) -> str:
    """Order a certificate, and answer its challenge http-01."""
    own = ec.generate_private_key(ec.SECP256R1())
    pem = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    order = found.new_order(crypto_util.make_csr(pem, [given["name"]]))
    [http] = [one for one in order.authorizations[0].body.challenges if isinstance(one.chall, challenges.HTTP01)]
    response, validation = http.response_and_validation(key)
    resources = {
        standalone.HTTP01RequestHandler.HTTP01Resource(chall=http.chall, response=response, validation=validation)
    }
    server = standalone.HTTP01Server(("127.0.0.1", given["port"]), resources)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True)
    thread.start()
    try:
        found.answer_challenge(http, response)
        return str(found.poll_and_finalize(order).fullchain_pem)
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
