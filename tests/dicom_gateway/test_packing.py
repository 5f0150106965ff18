"""Archive packing: every file that is packed gives its own bytes back, and what cannot be is refused with a reason."""
import io
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.data import get_testdata_files
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_gateway import packing
from hub.errors import Invalid

NOT_PACKED = {"compressed", "no_pixels", "pixel_type", "odd_pixels", "no_gain", "not_encoded", "unreadable"}


def packed(path: Path) -> bytes:
    target = io.BytesIO()
    packing.pack(path, target)
    return target.getvalue()


def unpacked(content: bytes) -> bytes:
    return b"".join(packing.unpack(io.BytesIO(content)))


def test_a_real_ct_becomes_half_and_comes_back_bit_for_bit(real_data):
    for path in sorted((real_data / "dicom" / "chest_ct").rglob("*.dcm"))[::20] or pytest.skip("no slices"):
        made = packed(path)
        assert unpacked(made) == path.read_bytes()
        assert len(made) < 0.5 * path.stat().st_size


def test_every_file_of_pydicom_comes_back_bit_for_bit_or_is_refused_by_name():
    done, refused = 0, set()
    for name in get_testdata_files():
        path = Path(name)
        if path.suffix != ".dcm" or path.stat().st_size > 4 << 20:
            continue
        try:
            made = packed(path)
        except Invalid as error:
            refused.add(error.code)
            assert error.zh and error.en
            continue
        assert unpacked(made) == path.read_bytes(), path.name
        done += 1
    assert done >= 12 and refused <= NOT_PACKED and "compressed" in refused


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("signed", [0, 1])
def test_values_of_the_whole_range_come_back_in_every_native_syntax(tmp_path, syntax, signed):
    rng = np.random.default_rng(7)
    values = rng.integers(0, 1 << 16, (40, 56), dtype=np.uint16)
    values[:30] = (rng.normal(0, 20, (30, 56)) + (0 if signed else 1000)).astype(np.int16).view(np.uint16)
    path = _file(tmp_path, np.repeat(np.repeat(values, 4, 0), 4, 1), syntax, signed)
    assert unpacked(packed(path)) == path.read_bytes()


def test_bytes_behind_the_pixels_come_back(tmp_path):
    path = _file(tmp_path, np.zeros((64, 64), np.uint16), ExplicitVRLittleEndian, 0)
    path.write_bytes(path.read_bytes() + b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0trailing")
    assert unpacked(packed(path)) == path.read_bytes()


def test_pixel_data_that_is_cut_off_is_left_as_it_came(tmp_path):
    path = _file(tmp_path, np.zeros((64, 64), np.uint16), ExplicitVRLittleEndian, 0)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Invalid, match="odd_pixels"):
        packed(path)


def _file(folder: Path, values: np.ndarray, syntax: str, signed: int) -> Path:
    dataset = dcmread(get_testdata_files("CT_small.dcm")[0])
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 15, signed
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
        if keyword in dataset:
            del dataset[keyword]
    del dataset[0xFFFCFFFC]
    dataset.remove_private_tags()
    dataset.PixelData = values.astype(f"{order}u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    path = folder / "one.dcm"
    list(dataset.iterall())                      # decoded, so that it can be written in another byte order
    dcmwrite(path, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian, force_encoding=True)
    return path
