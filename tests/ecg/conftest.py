"""The HTTP door of the whole web application over the county's hub."""
import pytest

from reading_ui.wsgi import whole
from tests.ecg.cart import Cart


@pytest.fixture
def app(hub):
    return whole(hub)


@pytest.fixture
def cart(app, county) -> Cart:
    return Cart(app, county.ecg_token)
