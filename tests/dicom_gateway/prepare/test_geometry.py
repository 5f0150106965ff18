"""Positions worked out by hand, and a real series of 64 slices of 5 mm."""
import math

import pydicom
import pytest

from dicom_gateway.prepare.errors import UnusableGeometry
from dicom_gateway.prepare.geometry import Slice, pixel_spacing, slice_normal, slice_of, slice_position, stack

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def axial(*heights, x=0.0, y=0.0):
    return [Slice(f"1.{n}", (x, y, height), AXIAL) for n, height in enumerate(heights)]


def test_the_normal_is_at_right_angles_and_the_position_lies_along_it():
    assert slice_normal(AXIAL) == (0.0, 0.0, 1.0)
    assert slice_normal((0, 1, 0, 0, 0, -1)) == (-1.0, 0.0, 0.0)
    assert slice_position((-228.0, -93.0, -124.0), AXIAL) == -124.0
    assert slice_position(["10", "20", "30"], ["0", "1", "0", "0", "0", "-1"]) == -10.0


def test_an_oblique_position_is_the_projection_on_the_normal():
    c, s = math.cos(math.radians(30)), math.sin(math.radians(30))
    assert slice_position((1.0, 2.0, 3.0), (1, 0, 0, 0, c, s)) == pytest.approx(-s * 2 + c * 3)


@pytest.mark.parametrize(
    "ipp, iop",
    [
        (None, AXIAL),
        ((1, 2, 3), None),
        ((1, 2), AXIAL),
        (("a", "b", "c"), AXIAL),
        ((1, 2, float("nan")), AXIAL),
        ((1, 2, float("inf")), AXIAL),
        ((1, 2, 3), (0, 0, 0, 0, 0, 0)),
        ((1, 2, 3), (1, 0, 0, 1, 0, 0)),
        ((1, 2, 3), (2, 0, 0, 0, 2, 0)),
        ("123", AXIAL),
    ],
)
def test_nonsense_has_no_position(ipp, iop):
    assert slice_position(ipp, iop) is None


def test_slices_are_ordered_by_position_whatever_their_order_of_arrival():
    found = stack(axial(10, 0, 5, 15))
    assert found.uids == ("1.1", "1.2", "1.0", "1.3")
    assert found.spacing_mm == 5 and found.is_volume and not found.gaps


def test_two_slices_missing_between_neighbours_are_counted():
    found = stack(axial(0, 2.5, 5, 12.5, 15))
    assert [(gap.before_uid, gap.after_uid, gap.missing) for gap in found.gaps] == [("1.2", "1.3", 2)]
    assert not found.is_volume


def test_the_middle_of_three_is_missed_from_two_steps_of_which_one_is_double():
    assert stack(axial(0, 5, 15)).gaps[0].missing == 1


def test_a_slice_at_the_same_place_is_a_duplicate_not_a_step():
    found = stack(axial(0, 5, 5, 10))
    assert found.duplicates == ("1.2",) and found.spacing_mm == 5


def test_uneven_steps_are_irregular():
    assert stack(axial(0, 5, 10, 15.8, 20)).irregular
    assert not stack(axial(0, 5.001, 9.999, 15, 20)).irregular


def test_a_tilted_gantry_is_found_with_its_angle():
    """Slices tilted by 18 degrees about x, stacked along the table: the classic head CT."""
    angle = math.radians(18)
    tilted = (1, 0, 0, 0, math.cos(angle), math.sin(angle))
    found = stack([Slice(str(n), (0.0, 0.0, 5.0 * n), tilted) for n in range(10)])
    assert found.tilt_deg == pytest.approx(18)
    assert found.tilted and not found.is_volume
    assert found.spacing_mm == pytest.approx(5 * math.cos(angle))


def test_an_upright_oblique_stack_is_not_called_tilted():
    angle = math.radians(18)
    oblique = (1, 0, 0, 0, math.cos(angle), math.sin(angle))
    along = (0.0, -math.sin(angle), math.cos(angle))
    found = stack([Slice(str(n), tuple(4.0 * n * part for part in along), oblique) for n in range(10)])
    assert found.tilt_deg == pytest.approx(0, abs=1e-6)
    assert found.is_volume


def test_mixed_orientations_and_nothing_at_all_are_refused():
    for slices, code in (
        (axial(0, 5) + [Slice("9", (0, 0, 0), (0, 1, 0, 0, 0, -1))], "mixed_orientation"),
        ([], "empty"),
        ([Slice("1", (0, 0, 0), (0, 0, 0, 0, 0, 0))], "orientation"),
    ):
        with pytest.raises(UnusableGeometry) as caught:
            stack(slices)
        assert caught.value.code == code


@pytest.fixture(scope="module")
def chest(real_data):
    paths = sorted((real_data / "dicom" / "chest_ct").iterdir())
    return [slice_of(pydicom.dcmread(path, stop_before_pixels=True)) for path in paths]


def test_the_real_chest_is_64_slices_5_mm_apart(chest, real_data):
    found = stack(chest)
    assert len(found.uids) == 64
    assert found.spacing_mm == pytest.approx(5.0)
    assert (found.positions_mm[0], found.positions_mm[-1]) == (-439.0, -124.0)
    assert found.is_volume
    header = pydicom.dcmread(sorted((real_data / "dicom" / "chest_ct").iterdir())[0], stop_before_pixels=True)
    assert pixel_spacing(header) == (0.841796875, 0.841796875)


def test_removing_any_inner_slice_of_the_real_chest_shows_as_one_gap_in_its_place(chest):
    order = stack(chest).uids
    for place in range(1, 63):
        gaps = stack([part for part in chest if part.uid != order[place]]).gaps
        assert [(gap.before_uid, gap.after_uid, gap.missing) for gap in gaps] == [
            (order[place - 1], order[place + 1], 1)
        ]
