"""From datasets to what a reading page loads: the whole preparation of a real study, and odd ones."""
import hashlib
import io
import json

import numpy as np
import openjpeg
import pydicom
import pytest
from PIL import Image

from dicom_gateway.prepare.errors import NotReproduced
from dicom_gateway.prepare.instance import prepare_instance
from dicom_gateway.prepare.manifest import study_manifest
from tests.dicom_gateway.prepare.images import bundled, grey


@pytest.fixture(scope="module")
def prepared(real_data):
    """All 64 slices of the real chest, prepared once."""
    paths = sorted((real_data / "dicom" / "chest_ct").iterdir())
    return [prepare_instance(pydicom.dcmread(path)) for path in paths]


def attributes(prepared):
    return [one.attributes | {"pixel_sha256": one.pixel_sha256} for one in prepared]


def test_a_prepared_slice_holds_the_pixels_of_the_file(prepared, real_data):
    path = sorted((real_data / "dicom" / "chest_ct").iterdir())[30]
    stored = pydicom.dcmread(path).PixelData
    one = prepared[30]
    assert one.pixel_sha256 == hashlib.sha256(stored).hexdigest()
    assert openjpeg.decode(one.frames_htj2k[0]).tobytes() == stored
    assert one.thumbnail_jpeg == b"" and one.attributes["native_at"] > 0, "drawn from the file when somebody asks"


def test_the_attributes_of_a_slice_are_plain_and_right(prepared):
    told = prepared[0].attributes
    assert json.loads(json.dumps(told)) == told
    assert (told["rows"], told["columns"], told["frames"], told["dtype"]) == (512, 512, 1, "uint16")
    assert (told["rescale_slope"], told["rescale_intercept"], told["unit"]) == (1.0, -1024.0, "HU")
    assert told["position_mm"] == -124.0 and told["windows"][0]["center"] == -600


def test_the_manifest_of_the_real_chest_is_one_volume_from_feet_to_head(prepared):
    manifest = study_manifest("1.2", attributes(prepared))
    assert json.loads(json.dumps(manifest)) == manifest
    (series,) = manifest["series"]
    assert series["kind"] == "volume" and series["ordered_by"] == "position"
    assert series["geometry"]["spacing_mm"] == pytest.approx(5.0)
    assert [one["instance_number"] for one in series["instances"]] == list(range(64, 0, -1))
    assert [preset["name"] for preset in series["presets"]] == ["lung", "mediastinum", "bone"]
    assert series["key_index"] == 32


def test_a_missing_slice_makes_the_volume_a_stack_with_a_gap(prepared):
    told = attributes(prepared)
    missing = sorted(told, key=lambda one: one["position_mm"])[20]
    (series,) = study_manifest("1.2", [one for one in told if one is not missing])["series"]
    assert series["kind"] == "stack"
    (gap,) = series["geometry"]["gaps"]
    assert gap["missing"] == 1 and gap["distance_mm"] == pytest.approx(10)


def test_localizers_come_last_and_images_without_positions_keep_their_numbers():
    def one(uid, series, number, **more):
        base = {"sop_instance_uid": uid, "series_uid": series, "series_number": 1, "instance_number": number,
                "modality": "DX", "frames": 1, "rows": 9, "columns": 9}  # fmt: skip
        return base | more

    manifest = study_manifest(
        "1",
        [one("l", "scout", 1, series_number=0, localizer=True, modality="CT"), one("b", "dx", 2), one("a", "dx", 1)],
    )
    assert [series["kind"] for series in manifest["series"]] == ["images", "localizer"]
    assert [entry["sop_instance_uid"] for entry in manifest["series"][0]["instances"]] == ["a", "b"]
    assert manifest["series"][0]["ordered_by"] == "instance_number"
    assert manifest["series"][0]["presets"] == []


def test_a_colour_cine_is_prepared_frame_by_frame():
    one = prepare_instance(bundled("examples_ybr_color.dcm"))
    assert len(one.frames_htj2k) == 30
    assert np.array_equal(openjpeg.decode(one.frames_htj2k[7]), bundled("examples_ybr_color.dcm").pixel_array[7])
    assert one.attributes["photometric"] == "RGB"
    (series,) = study_manifest("1", attributes([one]))["series"]
    assert series["kind"] == "cine"


@pytest.mark.parametrize("name", ["examples_palette.dcm", "SC_rgb_rle_16bit.dcm", "MR_small.dcm", "JPGExtended.dcm"])
def test_odd_images_are_prepared_too(name):
    one = prepare_instance(bundled(name))
    plain = name == "MR_small.dcm"
    assert plain == (not one.thumbnail_jpeg) and (plain or max(Image.open(io.BytesIO(one.thumbnail_jpeg)).size) <= 192)
    assert len(one.pixel_sha256) == 64


def test_an_image_that_lost_detail_before_it_came_says_so():
    told = prepare_instance(bundled("693_J2KI.dcm")).attributes
    assert told["lossy_before"] and float(told["lossy_ratio"]) > 300


def test_a_bright_square_is_bright_in_monochrome2_and_dark_in_monochrome1():
    values = np.full((1024, 1024), -1000, np.int16)
    values[256:768, 256:768] = 1000
    for photometric, inside in (("MONOCHROME2", 255), ("MONOCHROME1", 0)):
        dataset = grey(values, RescaleSlope="1", RescaleIntercept="0", WindowCenter="0", WindowWidth="1500",
                       PhotometricInterpretation=photometric)  # fmt: skip
        picture = np.asarray(Image.open(io.BytesIO(prepare_instance(dataset).thumbnail_jpeg))).astype(int)
        assert abs(picture[96, 96] - inside) < 6 and abs(picture[5, 5] - (255 - inside)) < 6


def test_a_dose_grid_of_32_bits_is_refused_by_name():
    with pytest.raises(NotReproduced):
        prepare_instance(bundled("rtdose.dcm"))
