"""Certificates of signers by URL: wanted once, used for a day, and bounded."""

from __future__ import annotations

from sipmesh.server.proxy.trunks.signer_chains import AGAIN_S, FRESH_S, MOST_URLS, MOST_WANTED, SignerChains
from support.number_signer import NumberSigner

CHAIN = NumberSigner().signer().chain
TRUNK, OTHER = "sbc.test", "pbx.test"
URL = "https://certs.test/a.pem"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_url_is_wanted_once_and_again_after_its_time() -> None:
    clock = Clock()
    chains = SignerChains(clock)
    assert chains.of(TRUNK, URL) == chains.of(TRUNK, URL) == ()
    assert (chains.wanted.get_nowait(), chains.wanted.empty()) == ((TRUNK, URL), True)
    chains.arrived(TRUNK, URL, CHAIN)
    assert (chains.of(TRUNK, URL), chains.wanted.empty()) == (CHAIN, True)
    clock.now = FRESH_S + 1
    assert (chains.of(TRUNK, URL), chains.wanted.get_nowait()) == (CHAIN, (TRUNK, URL))


def test_url_that_gives_nothing_is_left_alone_for_a_while_and_keeps_what_was_held() -> None:
    clock = Clock()
    chains = SignerChains(clock)
    chains.arrived(TRUNK, URL, ())
    assert (chains.of(TRUNK, URL), chains.wanted.empty()) == ((), True)
    clock.now = AGAIN_S + 1
    chains.of(TRUNK, URL)
    assert chains.wanted.get_nowait() == (TRUNK, URL)
    chains.arrived(TRUNK, URL, CHAIN)
    clock.now += FRESH_S + 1
    assert (chains.of(TRUNK, URL), chains.wanted.get_nowait()) == (CHAIN, (TRUNK, URL))
    chains.arrived(TRUNK, URL, ())
    assert (chains.of(TRUNK, URL), chains.wanted.empty()) == (CHAIN, True)
    clock.now += AGAIN_S + 1
    assert (chains.of(TRUNK, URL), chains.wanted.get_nowait()) == (CHAIN, (TRUNK, URL))


def test_urls_that_a_trunk_invents_are_bounded_and_displace_no_chain_in_use() -> None:
    """The first URL is in use all the time. Those that give nothing displace nothing, and another trunk loses nothing."""
    chains = SignerChains(Clock())
    chains.arrived(OTHER, URL, CHAIN)
    for number in range(MOST_WANTED + 5):
        chains.of(TRUNK, f"{URL}?{number}")
    assert chains.wanted.qsize() == MOST_WANTED
    chains.of(OTHER, f"{URL}?0")
    assert chains.wanted.qsize() == MOST_WANTED + 1
    for number in range(MOST_URLS + 1):
        chains.arrived(TRUNK, f"{URL}?{number}", CHAIN)
        chains.of(TRUNK, f"{URL}?0")
        chains.arrived(TRUNK, f"{URL}/{number}", ())
    assert chains.of(TRUNK, f"{URL}?0") == chains.of(OTHER, URL) == CHAIN
    assert chains.of(TRUNK, f"{URL}?1") == ()
