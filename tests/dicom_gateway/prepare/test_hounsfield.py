"""Rescaled values worked out by hand, and the densities that a real chest must show."""
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_gateway.prepare.errors import UndecodablePixels
from dicom_gateway.prepare.frames import decode
from dicom_gateway.prepare.hounsfield import rescale_of, to_modality_values
from tests.dicom_gateway.prepare.images import grey


def values_of(stored, **attributes):
    dataset = grey(np.array([stored]), **attributes)
    return to_modality_values(decode(dataset)[0], rescale_of(dataset))


def test_whole_number_rescale_gives_exact_int16():
    found = values_of(np.array([0, 1024, 4095], np.uint16), RescaleSlope="1", RescaleIntercept="-1024")
    assert found.unit == "HU"
    assert found.values.dtype == np.int16
    assert found.values.tolist() == [[-1024, 0, 3071]]


def test_values_beyond_int16_widen_instead_of_wrapping():
    found = values_of(np.array([0, 65535], np.uint16), RescaleSlope="2", RescaleIntercept="-1000")
    assert found.values.dtype == np.int32
    assert found.values.tolist() == [[-1000, 130070]]


def test_a_broken_slope_is_computed_in_double_and_kept_as_float32():
    found = values_of(np.array([-3, 0, 1001], np.int16), RescaleSlope="0.1", RescaleIntercept="-0.5")
    assert found.values.dtype == np.float32
    assert found.values.tolist() == [np.float32([-0.8, -0.5, 99.6]).tolist()]


def test_without_rescale_attributes_the_values_have_no_unit():
    found = values_of(np.array([7], np.uint16))
    assert found.unit is None and found.values.tolist() == [[7]]


@pytest.mark.parametrize("slope", ["0", "1e400"])
def test_an_impossible_slope_is_refused(slope):
    with pytest.raises(UndecodablePixels):
        values_of(np.array([7], np.uint16), RescaleSlope=slope, RescaleIntercept="0")


def test_a_modality_table_is_looked_up_and_its_ends_hold_beyond_it():
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [3, 10, 16])
    item.add_new("LUTData", "US", [100, 300, 900])
    item.ModalityLUTType = "OD"
    found = values_of(np.array([0, 10, 11, 12, 99], np.uint16), ModalityLUTSequence=[item])
    assert found.values.tolist() == [[100, 100, 300, 900, 900]]
    assert found.unit == "OD"


def test_each_frame_of_an_enhanced_object_has_its_own_rescale():
    def group(intercept):
        transformation = Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept = 1, intercept
        transformation.RescaleType = "HU"
        frame = Dataset()
        frame.PixelValueTransformationSequence = [transformation]
        return frame

    dataset = grey(np.zeros((1, 2), np.uint16), PerFrameFunctionalGroupsSequence=[group(-1000), group(-2000)])
    assert [rescale_of(dataset, frame).intercept for frame in (0, 1)] == [-1000, -2000]
    assert rescale_of(dataset, 1).unit == "HU"


def test_a_real_chest_shows_air_lung_and_soft_tissue(real_data):
    """Air about -1000 HU, soft tissue 0 to 100 HU, nothing below -1024 (Philips, intercept -1024)."""
    dataset = pydicom.dcmread(sorted((real_data / "dicom" / "chest_ct").iterdir())[30])
    found = to_modality_values(decode(dataset)[0], rescale_of(dataset))
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(512, 512)
    assert found.unit == "HU"
    assert np.array_equal(found.values, stored.astype(int) - 1024)
    counts, edges = np.histogram(found.values, bins=np.arange(-1024, 1500, 50))
    tissue = counts[(edges[:-1] >= -50) & (edges[:-1] < 150)].sum()
    air = counts[edges[:-1] < -750].sum()
    assert air > 50_000 and tissue > 20_000
