"""Frames of every kind of encoding, against pydicom's own test files and encoders."""
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame

from tests.dicom_gateway.web.conftest import make_house
from tests.dicom_gateway.web.test_retrieve import HTJ2K, OCTETS, parts_of

FILES = {       # pydicom's test files: grey and colour, one and many frames
    "CT_small.dcm": "grey", "MR_small_bigendian.dcm": "grey", "MR_small_RLE.dcm": "grey", "image_dfl.dcm": "grey", "JPEG2000.dcm": "grey",
    "MR_small_jp2klossless.dcm": "grey", "MR_small_jpeg_ls_lossless.dcm": "grey", "MR_small_padded.dcm": "grey", "rtdose.dcm": "grey",
    "rtdose_rle.dcm": "grey", "rtdose_expb.dcm": "grey", "SC_rgb_small_odd.dcm": "colour", "SC_rgb_rle.dcm": "colour",
    "SC_rgb_rle_2frame.dcm": "colour", "SC_rgb_rle_16bit_2frame.dcm": "colour", "examples_palette.dcm": "palette", "liver_1frame.dcm": "bits",
    "liver_expb_1frame.dcm": "bits", "SC_rgb_jpeg_dcmtk.dcm": "ybr",
}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """By file name: a hub that holds it, its path on disk and its address; files that share a UID live apart."""
    houses, found = [make_house(tmp_path_factory.mktemp("files"))], {}
    for name in FILES:
        path = get_testdata_file(name, download=False)
        if path is None:
            continue
        content, header = Path(path).read_bytes(), dcmread(path, stop_before_pixels=True)
        for house in houses + [None]:
            if house is None:
                houses.append(house := make_house(tmp_path_factory.mktemp("files")))
            if house.get(f"/studies/{header.StudyInstanceUID}").status_code == 404:
                break
        taken = house.send(content)
        house.prepare(taken.study_id)
        found[name] = (house, path, f"/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}/instances/{header.SOPInstanceUID}")
    yield found
    for house in houses:
        house.hub.close()


@pytest.mark.parametrize("name", FILES)
def test_a_frame_comes_decoded_as_stored_and_prepared(given, name):
    if name not in given:
        pytest.skip(f"{name} is not installed with pydicom")
    house, path, at = given[name]
    dataset = dcmread(path)
    pixels = dataset.pixel_array
    frames = int(dataset.get("NumberOfFrames", 1))
    last = pixels[-1] if frames > 1 else pixels
    syntax = dataset.file_meta.TransferSyntaxUID

    native = house.get(f"{at}/frames/{frames}", Accept=OCTETS)
    if not (FILES[name] == "palette" and syntax.is_encapsulated):
        (_, content), = parts_of(native)
        if FILES[name] == "bits":
            assert np.array_equal(np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")[:last.size], last.reshape(-1))
        else:
            if dataset.get("PlanarConfiguration") == 1 and not syntax.is_encapsulated:
                last = np.moveaxis(last, -1, 0)
            found = np.frombuffer(content, last.dtype.newbyteorder("<")).reshape(-1)[:last.size]
            if FILES[name] == "ybr":
                assert len(content) == last.size
            else:
                assert np.array_equal(found, last.reshape(-1))
    if syntax.is_encapsulated:
        (kind, content), = parts_of(house.get(f"{at}/frames/{frames}", Accept=f"{OCTETS}; transfer-syntax={syntax}"))
        assert content == get_frame(dataset.PixelData, frames - 1, number_of_frames=frames)
        assert kind.endswith(f"transfer-syntax={syntax}")
    prepared = house.get(f"{at}/frames/{frames}", Accept=f"{OCTETS}; transfer-syntax={HTJ2K}")
    if FILES[name] in ("palette", "ybr") or last.dtype.itemsize > 2:
        assert prepared.status_code == 406
    elif FILES[name] != "bits":
        (_, content), = parts_of(prepared)
        whole = pixels[-1] if frames > 1 else pixels
        assert np.array_equal(imagecodecs.htj2k_decode(content), whole)
    assert house.get(f"{at}/metadata").json[0]["00083002"]["Value"][0] == str(syntax)
    (_, original), = parts_of(house.get(at, Accept='multipart/related; type="application/dicom"; transfer-syntax=*'))
    assert original == Path(path).read_bytes()
    assert house.get(f"{at}/rendered").status_code == 200


def test_every_frame_asked_for_is_one_part(given):
    house, path, at = given["rtdose.dcm"]
    pixels = dcmread(path).pixel_array
    parts = parts_of(house.get(f"{at}/frames/3,1,2", Accept=OCTETS))
    assert [content for _, content in parts] == [pixels[n].astype("<u4").tobytes() for n in (2, 0, 1)]
    whole = parts_of(house.get(f"{at}/bulkdata/7FE00010", Accept=OCTETS))
    assert b"".join(content for _, content in whole) == dcmread(path).PixelData[:pixels.nbytes]
