"""Grey levels against the standard's formulas worked out by hand and against DCMTK's rendering."""
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_gateway.prepare.frames import decode
from dicom_gateway.prepare.hounsfield import rescale_of, to_modality_values
from dicom_gateway.prepare.instance import shown_frame
from dicom_gateway.prepare.window import (
    CT_PRESETS, apply_window, dataset_windows, is_inverted, presets_for,
)  # fmt: skip
from tests.dicom_gateway.prepare.images import dcmtk, grey, pnm


def test_linear_is_the_formula_of_the_standard():
    """PS3.3 C.11.2.1.2.1, note 2: centre 2048 and width 4096 map 0 to black and 4095 to white."""
    found = apply_window(np.array([-5, 0, 4095, 9000], np.int16), 2048, 4096)
    assert found.tolist() == [0, 0, 255, 255]
    # C.11.2.1.2.1, note 2: width 1, centre 0.5 or less than 1: a threshold at the centre
    assert apply_window(np.array([-1, 0, 1], np.int16), 0.5, 1).tolist() == [0, 0, 255]
    # ((x - (c - 0.5)) / (w - 1) + 0.5) * 255 at x = 50, c = 40, w = 80: (10.5/79 + 0.5) * 255 = 161.39
    assert apply_window(np.array([50.0]), 40, 80).tolist() == [161]


def test_linear_exact_and_sigmoid_are_the_formulas_of_the_standard():
    # ((50 - 40) / 80 + 0.5) * 255 = 159.375
    assert apply_window(np.array([0.0, 50.0, 80.0]), 40, 80, "LINEAR_EXACT").tolist() == [0, 159, 255]
    # 255 / (1 + exp(-4 * 10 / 80)) = 158.73
    assert apply_window(np.array([40.0, 50.0, -1e6, 1e6]), 40, 80, "SIGMOID").tolist() == [128, 159, 0, 255]


def test_whole_numbers_and_fractions_take_the_same_levels():
    values = np.arange(-1024, 3072, dtype=np.int16)
    for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        whole = apply_window(values, -600, 1500, function)
        assert np.array_equal(whole, apply_window(values.astype(np.float32), -600, 1500, function))


@pytest.mark.parametrize("width, function", [(0, "LINEAR"), (0.5, "LINEAR"), (0, "SIGMOID"), (-3, "LINEAR_EXACT"),
                                             (float("nan"), "LINEAR"), (80, "CUBIC")])  # fmt: skip
def test_impossible_windows_are_refused(width, function):
    with pytest.raises(ValueError):
        apply_window(np.array([1]), 0, width, function)


@pytest.mark.peers
@pytest.mark.parametrize("preset", CT_PRESETS, ids=lambda preset: preset.name)
def test_a_real_slice_is_within_one_grey_level_of_dcmtk_in_every_preset(preset, real_data, tmp_path):
    source = sorted((real_data / "dicom" / "chest_ct").iterdir())[30]
    dcmtk("dcm2pnm", "--write-raw-pnm", "+Ww", str(preset.center), str(preset.width), source, tmp_path / "w.pgm")
    dataset = pydicom.dcmread(source)
    values = to_modality_values(decode(dataset)[0], rescale_of(dataset)).values
    found = apply_window(values, preset.center, preset.width)
    assert np.abs(found.astype(int) - pnm(tmp_path / "w.pgm")).max() <= 1


@pytest.mark.peers
def test_the_window_a_real_slice_brings_itself_is_shown_as_dcmtk_shows_it(real_data, tmp_path):
    source = sorted((real_data / "dicom" / "chest_ct").iterdir())[30]
    dcmtk("dcm2pnm", "--write-raw-pnm", "+Wi", "1", source, tmp_path / "w.pgm")
    dataset = pydicom.dcmread(source)
    assert [(w.center, w.width) for w in dataset_windows(dataset)] == [(-600, 1600)]
    assert np.abs(shown_frame(dataset, decode(dataset)[0]).astype(int) - pnm(tmp_path / "w.pgm")).max() <= 1


@pytest.mark.peers
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
def test_light_and_dark_are_the_way_round_that_dcmtk_shows(photometric, shape, real_data, tmp_path):
    dataset = pydicom.dcmread(sorted((real_data / "dicom" / "chest_ct").iterdir())[30])
    dataset.PhotometricInterpretation = photometric
    if shape:
        dataset.PresentationLUTShape = shape
    dataset.save_as(tmp_path / "x.dcm")
    dcmtk("dcm2pnm", "--write-raw-pnm", "+Wi", "1", tmp_path / "x.dcm", tmp_path / "x.pgm")
    shown = shown_frame(dataset, decode(dataset)[0])
    assert np.abs(shown.astype(int) - pnm(tmp_path / "x.pgm")).max() <= 1
    assert is_inverted(dataset) == (shape == "INVERSE" or (shape is None and photometric == "MONOCHROME1"))


def test_windows_that_are_no_numbers_are_left_out():
    dataset = Dataset()
    dataset.WindowCenter, dataset.WindowWidth = ["40", "50"], ["0", "350"]
    assert [(w.center, w.width) for w in dataset_windows(dataset)] == [(50, 350)]
    assert dataset_windows(Dataset()) == ()


def test_an_image_without_a_window_is_shown_over_its_range():
    values = np.arange(1000, dtype=np.int16).reshape(20, 50)
    shown = shown_frame(grey(values), values)
    assert shown.min() == 0 and shown.max() == 255 and abs(int(np.median(shown)) - 127) <= 1


def test_presets_fit_the_region_and_name_their_source():
    assert [preset.name for preset in presets_for("CT", "", "2 Chest C-/Thorax")][:2] == ["lung", "mediastinum"]
    assert presets_for("CT", "头颅平扫")[0].name == "brain"
    assert presets_for("CT", "ABDOMEN")[0].name == "abdomen"
    assert presets_for("MR", "HEAD") == ()
    assert {preset.name for preset in presets_for("CT", "")} == {"lung", "mediastinum", "bone", "brain", "abdomen"}
    assert all(preset.source for preset in CT_PRESETS)
