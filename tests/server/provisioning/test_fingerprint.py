"""Proquints of a fingerprint: the words of the proposal, and no two fingerprints with the same words."""

from __future__ import annotations

from sipmesh.server.provisioning.fingerprint import _word, hex_fingerprint, word_fingerprint
from sipmesh.server.provisioning.profile import Profile


def test_words_are_those_of_the_proposal() -> None:
    """127.0.0.1, 63.84.220.193 and 212.58.253.68 of arXiv:0901.4016."""
    addresses = {0x7F000001: "lusab-babad", 0x3F54DCC1: "gutih-tugad", 0xD43AFD44: "tibup-zujah"}
    assert {bits: f"{_word(bits >> 16)}-{_word(bits & 0xFFFF)}" for bits in addresses} == addresses


def test_each_word_stands_for_its_own_bits() -> None:
    assert len({_word(bits) for bits in range(1 << 16)}) == 1 << 16


def test_fingerprint_has_all_its_bits_in_both_forms(profile: Profile) -> None:
    [root] = profile.roots
    assert len(hex_fingerprint(root).split(":")) == 32
    assert len(word_fingerprint(root).split()) == 16
