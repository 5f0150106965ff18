"""Lossless means every bit: any shape, depth and sign, proved with a decoder of another house."""
import hashlib
import io

import imagecodecs
import numpy as np
import openjpeg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays
from PIL import Image

from dicom_gateway.prepare.encode import htj2k_lossless, pixel_sha256, rendered, shrunk, thumbnail
from dicom_gateway.prepare.errors import NotReproduced

shapes = some.tuples(some.integers(1, 70), some.integers(1, 70))
colours = some.tuples(some.integers(1, 40), some.integers(1, 40), some.just(3))


@some.composite
def frames(draw):
    """Frames of any supported kind whose values use any number of bits."""
    kind = draw(some.sampled_from(["u1", "i1", "u2", "i2"]))
    shape = draw(shapes if kind[0] == "i" else some.one_of(shapes, colours))
    bits = draw(some.integers(1, 8 * int(kind[1])))
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)
    return draw(arrays.arrays(kind, shape, elements=some.integers(low, high)))


@settings(max_examples=150, deadline=None)
@given(frames())
def test_any_frame_comes_back_bit_for_bit_through_openjpeg(frame):
    again = openjpeg.decode(htj2k_lossless(frame))
    assert again.dtype == frame.dtype
    assert np.array_equal(again.reshape(frame.shape), frame)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 511), (513, 2), (64, 64), (301, 257)])
def test_noise_over_the_whole_range_comes_back_bit_for_bit(kind, shape):
    limits = np.iinfo(kind)
    frame = np.random.default_rng(1).integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
    assert np.array_equal(openjpeg.decode(htj2k_lossless(frame)).reshape(shape), frame)


def test_big_endian_and_reversed_views_are_encoded_by_value():
    frame = np.arange(600, dtype=">i2").reshape(20, 30)[::-1, ::2]
    assert np.array_equal(imagecodecs.htj2k_decode(htj2k_lossless(frame)), frame)


def test_an_encoder_that_changes_one_pixel_is_found_out():
    def careless(frame, **options):
        changed = frame.copy()
        changed[3, 4] += 1
        return imagecodecs.htj2k_encode(changed, **options)

    with pytest.raises(NotReproduced):
        htj2k_lossless(np.zeros((8, 8), np.int16), encoder=careless)


def test_an_encoder_that_loses_the_sign_is_found_out():
    with pytest.raises(NotReproduced):
        htj2k_lossless(np.ones((8, 8), np.int16), encoder=lambda f, **o: imagecodecs.htj2k_encode(f.view("u2"), **o))


@pytest.mark.parametrize(
    "frame", [np.zeros((4, 4), np.uint32), np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8),
              np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8)]
)  # fmt: skip
def test_pixels_that_cannot_be_held_are_refused(frame):
    with pytest.raises(NotReproduced) as caught:
        htj2k_lossless(frame)
    assert caught.value.code == "unsupported_pixels"


def test_the_pixel_hash_is_that_of_the_little_endian_bytes():
    assert pixel_sha256(np.array([[1, -1]], ">i2")) == hashlib.sha256(bytes.fromhex("0100ffff")).hexdigest()


def test_a_thumbnail_is_small_and_keeps_the_proportions():
    shown = np.zeros((1024, 512), np.uint8)
    shown[:512] = 255
    picture = Image.open(io.BytesIO(thumbnail(shown)))
    assert picture.size == (96, 192) and picture.mode == "L"
    assert picture.getpixel((48, 20)) > 250 and picture.getpixel((48, 170)) < 5


def test_shrinking_averages_whole_blocks():
    frame = np.array([[0, 4, 10, 10], [0, 4, 10, 10], [-8, -8, 1, 1], [-8, -8, 1, 1]], np.int16)
    assert shrunk(frame, edge=2).tolist() == [[2, 10], [-8, 1]]
    assert shrunk(frame, edge=4) is frame


def test_rendered_png_is_exact_and_jpeg_is_close():
    shown = np.add.outer(np.arange(100), np.arange(120)).astype(np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(rendered(shown, "png")))), shown)
    close = np.asarray(Image.open(io.BytesIO(rendered(shown, "jpeg")))).astype(int)
    assert np.abs(close - shown).max() < 12
    with pytest.raises(ValueError):
        rendered(shown, "bmp")
    with pytest.raises(ValueError):
        rendered(shown.astype(np.uint16))
