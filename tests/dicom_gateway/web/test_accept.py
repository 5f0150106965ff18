"""Accept headers against RFC 9110 12.5.1: the most specific range speaks for a type, and what is refused is not sent."""
import pytest

from dicom_gateway.web.accept import ranges

JPEG, PNG, GIF = "image/jpeg", "image/png", "image/gif"


def order_of(header: str, *given: str) -> list[str]:
    """Of what could be given, what is, the most wanted first."""
    return list(dict.fromkeys(media for one in ranges(header) for media in given if one.covers(media)))


@pytest.mark.parametrize("header, order", [
    ("", [JPEG, PNG]), ("*/*", [JPEG, PNG]), ("image/*", [JPEG, PNG]), ("text/*", []), ("image/png", [PNG]), ("IMAGE/PNG", [PNG]),
    ("image/png;q=0.4, image/jpeg;q=0.5", [JPEG, PNG]), ("image/png, image/jpeg", [PNG, JPEG]), ("image/gif, image/png;q=0.3", [PNG]),
    ("image/jpeg;q=0, */*", [PNG]), ("image/jpeg;q=0, image/*", [PNG]), ("*/*, image/jpeg;q=0.1", [PNG, JPEG]),
    ("image/*;q=0, */*", []), ("image/*;q=0.2, image/png;q=0, */*", [JPEG]), ("image/*;q=0, image/png", [PNG]),
    ("image/jpeg;q=abc, image/png;q=2", [PNG]), ("image/jpeg;q=0.000", []), ("junk, image/png", [PNG]),
    ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", [JPEG, PNG]),
])
def test_the_most_specific_range_speaks_for_a_type(header, order):
    assert order_of(header, JPEG, PNG) == order


def test_a_range_of_one_transfer_syntax_leaves_the_wildcard_its_others():
    first, rest = ranges('multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90, */*;q=0.1')
    assert first.covers("application/dicom") and first.syntax == "1.2.840.10008.1.2.4.90" and rest.covers("application/dicom")
