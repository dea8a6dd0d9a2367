import pytest

from client.home import Certificates


@pytest.fixture(name="certificates", scope="session")
def _certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """What the home server of example.test has: its domain and its own name."""
    return Certificates.make(tmp_path_factory.mktemp("home"), "home.example.test", "example.test")


@pytest.fixture(name="foreign", scope="session")
def _foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """What a server of somebody else has: every name of its own is right, and its authority is its own."""
    return Certificates.make(tmp_path_factory.mktemp("foreign"), "home.partner.test", "partner.test")
