"""One gateway for the room's tests: every test sends objects with UIDs of its own."""
import pytest

from tests.dicom_gateway.running import running


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    with running(tmp_path_factory.mktemp("gateway")) as started:
        yield started


@pytest.fixture
def own_gateway(tmp_path):
    """For tests that count everything that the gateway has ever taken in."""
    with running(tmp_path / "data") as started:
        yield started
