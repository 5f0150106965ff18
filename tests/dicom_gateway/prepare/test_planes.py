"""Pictures across a series, of volumes built so that each direction in the patient is known."""
import io

import numpy as np
import pytest
from PIL import Image

from dicom_gateway.prepare import planes
from dicom_gateway.prepare.hounsfield import Rescale, to_modality_values
from dicom_gateway.prepare.manifest import study_manifest
from dicom_gateway.prepare.planes import profile, profile_of

SIDE = 40
WINDOW = {"name": "", "center": 0.0, "width": 2000.0, "function": "LINEAR"}
# a body whose left, front and head ends are bright in their own way (LPS: x to the left, y to the back, z to the head)
AXIAL, SAGITTAL, CORONAL = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]


def brightness(x, y, z) -> float:
    """Bright at the patient's left in the head half, half bright in front, dark elsewhere. x, y, z from 0 to 1."""
    return np.where((x > 0.5) & (z > 0.5), 1000.0, np.where(y < 0.5, 0.0, -1000.0))


def series(orientation, backwards: bool = False, step_mm: float = 2.0, **changed):
    """(series of a manifest, profiles, windows): a cube of SIDE slices, 1 mm pixels and ``step_mm`` between slices."""
    right, down = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(right, down) * (-1 if backwards else 1)
    members, profiles = [], {}
    for n in range(SIDE):
        corner = normal * n * step_mm
        r, c = np.mgrid[:SIDE, :SIDE]
        places = corner + c[..., None] * right + r[..., None] * down
        extent = np.abs(right) * SIDE + np.abs(down) * SIDE + np.abs(normal) * SIDE * step_mm
        least = np.minimum(0, (right + down) * SIDE + normal * SIDE * step_mm)
        x, y, z = np.moveaxis((places - least) / extent, -1, 0)
        profiles[f"1.{n}"] = planes.profile(brightness(x, y, z))
        members.append({"series_uid": "1", "sop_instance_uid": f"1.{n}", "instance_number": n + 1, "modality": "MR", "rows": SIDE, "columns": SIDE,
                        "position": list(map(float, corner)), "orientation": list(map(float, orientation)), "pixel_spacing_mm": [1.0, 1.0]} | changed)
    (one,) = study_manifest("1", members)["series"]
    return one, profiles


def pictures(one, profiles) -> dict[str, np.ndarray]:
    assert planes.why_not(one) is None
    made = planes.across(one, [profiles[each["sop_instance_uid"]] for each in one["instances"]], [WINDOW], False)
    return {each.name: np.asarray(Image.open(io.BytesIO(each.jpeg))).astype(int) for each in made}


def quarter(picture: np.ndarray, below: int, right: int) -> float:
    height, width = picture.shape
    return float(np.median(picture[below * height // 2:(below + 1) * height // 2, right * width // 2:(right + 1) * width // 2]))


@pytest.mark.parametrize("backwards", [False, True])
def test_an_axial_stack_is_shown_head_up_with_the_patients_left_on_the_right(backwards):
    found = pictures(*series(AXIAL, backwards))
    assert list(found) == ["coronal", "sagittal", "mip"]
    assert quarter(found["coronal"], 0, 1) > 240, "left and head: up on the right"
    assert max(quarter(found["coronal"], *one) for one in ((0, 0), (1, 0), (1, 1))) < 160
    assert quarter(found["sagittal"], 1, 0) > quarter(found["sagittal"], 1, 1) + 90, "front on the left"
    assert quarter(found["mip"], 0, 1) > 240


@pytest.mark.parametrize("orientation, names", [(SAGITTAL, {"coronal", "axial", "mip"}), (CORONAL, {"sagittal", "axial", "mip"})])
def test_other_stacks_give_the_planes_that_they_do_not_show_themselves(orientation, names):
    found = pictures(*series(orientation))
    assert set(found) == names
    axial = found["axial"]
    assert quarter(axial, 0, 0) > quarter(axial, 1, 0) + 90, "front up"
    if "coronal" in found:
        assert quarter(found["coronal"], 0, 1) > 240
    if "sagittal" in found:
        assert quarter(found["sagittal"], 1, 0) > quarter(found["sagittal"], 1, 1) + 90


@pytest.mark.parametrize("step_mm", [0.5, 2.0, 5.0])
def test_a_millimetre_is_as_long_up_as_across(step_mm):
    found = pictures(*series(AXIAL, step_mm=step_mm))
    height, width = found["coronal"].shape
    assert height / width == pytest.approx(step_mm, rel=0.02) and max(height, width) == planes.EDGE


def test_a_projection_keeps_the_brightest_of_every_column_also_of_wide_images():
    values = np.full((700, 900), -1000.0)
    values[120:124, 456:460] = 900
    values[300, 300] = 30000
    left = planes.profile(values)
    width = 900 // 4
    assert len(left) == 2 * width + 700 // 3 + 1 and left[width + 457 // 4] == 900 and left[width + 300 // 4] == pytest.approx((30000 - 15 * 1000) / 16) and left[:width].max() == -1000


def test_profiles_of_different_sizes_come_back_as_they_went_in():
    given = {5: planes.profile(np.random.default_rng(1).random((30, 40))), 9: planes.profile(np.zeros((600, 512)))}
    back = planes.unpacked(*planes.packed(given))
    assert list(back) == [5, 9] and all(np.array_equal(back[n], given[n]) for n in given)
    assert planes.unpacked(*planes.packed({})) == {}


def test_a_stack_that_cannot_be_shown_across_says_why():
    one, _ = series(AXIAL)
    for change, words in (({"gaps": [{"missing": 2}]}, "缺约 2 层"), ({"duplicates": ["x"]}, "同一位置"), ({"irregular": True}, "不均匀"),
                          ({"pixel_spacing_mm": None}, "像素间距")):
        assert words in planes.why_not(one | {"geometry": one["geometry"] | change})[0]
    assert "倾斜" in planes.why_not(one | {"kind": "stack", "geometry": one["geometry"] | {"tilt_deg": 12.0}})[0]
    assert "大小不同" in planes.why_not(one | {"kind": "stack"})[0]
    assert "少于" in planes.why_not(one | {"instances": one["instances"][:5]})[0]
    assert planes.why_not(one | {"modality": "DX"}) == ("", "") and planes.why_not(one | {"kind": "localizer"}) == ("", "")


@pytest.mark.parametrize("rescale", [Rescale(1.0, -1024.0, "HU"), Rescale(1.0, 65536.0, None), Rescale(2.0, -1024.0, "HU"), Rescale(1.0, 0.5, None), Rescale(-1.0, 3.0, None)])
@pytest.mark.parametrize("dtype", ["<u2", "<i2", "u1"])
def test_the_profile_of_stored_values_is_the_profile_of_their_values(rescale, dtype):
    limits = np.iinfo(dtype)
    stored = np.random.default_rng(4).integers(limits.min, limits.max, (301, 290), endpoint=True).astype(dtype)
    assert np.array_equal(profile_of(stored, rescale), profile(to_modality_values(stored, rescale).values))
