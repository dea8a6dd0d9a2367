import pytest

from sipmesh.errors import OperatorError
from sipmesh.routing.registrar.address_of_record import read_address


@pytest.mark.parametrize("text", ["alice@example.test", "sip:alice@example.test", " SIPS:%61lice@EXAMPLE.test:5061 "])
def test_an_address_is_read_with_and_without_its_scheme(text: str) -> None:
    assert read_address(text).aor == "sip:alice@example.test"


@pytest.mark.parametrize("text", ["", "example.test", "alice@", "mailto:alice@example.test", "alice@exa mple.test"])
def test_what_names_no_user_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(OperatorError, match=r"write it as alice@example\.com"):
        read_address(text)
