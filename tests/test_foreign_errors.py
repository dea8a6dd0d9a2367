"""The exception of a library becomes a sentence of sipmesh, and a text of sipmesh is kept."""

from __future__ import annotations

import configparser
import csv
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from sipmesh.errors import OperatorError
from sipmesh.foreign_errors import DAMAGED, reason_of


def raised(call: object, *given: object) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any library
        call(*given)  # type: ignore[operator]
    assert isinstance(caught.value, Exception)
    return caught.value


def test_damaged_file_has_one_reason_for_all_libraries() -> None:
    pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for wrong in (
        raised(x509.load_der_x509_certificate, b"\x30\x03\x02\x01"),
        raised(x509.load_pem_x509_certificate, pem),
        raised(x509.load_pem_x509_crl, b"no PEM"),
        raised(load_pem_private_key, b"no key", None),
        raised(load_ssh_private_key, pem, None),
        raised(configparser.ConfigParser().read_string, "[x\ny"),
        raised(next, csv.reader(['"a"b'], strict=True)),
        ValueError(""),
    ):
        assert reason_of(wrong) == DAMAGED, repr(wrong)


def test_place_in_a_text_and_reason_of_the_system_are_kept(tmp_path: Path) -> None:
    assert reason_of(raised(json.loads, '{"a": [1,2')) == "line 1, column 11 is not JSON"
    assert reason_of(raised(b"\x80".decode)) == "it is not UTF-8 text"
    assert reason_of(raised((tmp_path / "none").read_bytes)) == "No such file or directory"
    assert reason_of(OSError()) == "the system gives no reason"


def test_our_own_texts_are_kept() -> None:
    assert reason_of(ValueError("a name is given twice")) == "a name is given twice"
    assert reason_of(OperatorError("this is not a table")) == "this is not a table"
