import pytest

from client.home import Certificates


@pytest.fixture(name="foreign", scope="session")
def _foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The certificate of a foreign server: with its own right names, under its own authority."""
    return Certificates.make(tmp_path_factory.mktemp("foreign"), "home.partner.test", "partner.test")
