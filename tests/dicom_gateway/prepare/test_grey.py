"""Grey levels along the whole way (modality, values of interest, presentation) against DCMTK and against the standard's words."""
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_gateway.prepare.errors import UnusableTable
from dicom_gateway.prepare.frames import decode
from dicom_gateway.prepare.grey import path_of
from dicom_gateway.prepare.instance import prepare_instance, shown_frame
from dicom_gateway.prepare.plain import plain_frame
from dicom_gateway.prepare.window import Window, dataset_windows
from tests.dicom_gateway.prepare.images import dcmtk, grey, image, pnm

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def table(first: int, entries, bits: int, vr: str = "US", **attributes) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", np.asarray(entries, "<u2").tobytes())
    for keyword, given in attributes.items():
        setattr(item, keyword, given)
    return item


def drawn_by_dcmtk(dataset: Dataset, folder, *options: str) -> np.ndarray:
    dataset.save_as(folder / "x.dcm", enforce_file_format=True)
    dcmtk("dcm2pnm", "--write-raw-pnm", *options, folder / "x.dcm", folder / "x.pgm")
    return pnm(folder / "x.pgm").astype(int)


def drawn(dataset: Dataset, window: Window | None = None) -> np.ndarray:
    return shown_frame(dataset, decode(dataset)[0], 0, window).astype(int)


@pytest.mark.peers
@pytest.mark.parametrize("function, option", [("LINEAR", "+Wfl"), ("SIGMOID", "+Wfs")])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_window_functions_are_drawn_as_dcmtk_draws_them(function, option, photometric, tmp_path):
    dataset = grey(RAMP, WindowCenter="1500", WindowWidth="900", VOILUTFunction=function, RescaleSlope="2", RescaleIntercept="-1000",
                   PhotometricInterpretation=photometric)
    assert np.abs(drawn(dataset) - drawn_by_dcmtk(dataset, tmp_path, "+Wi", "1", option)).max() <= 1


def test_a_window_function_that_dcmtk_does_not_know_is_drawn_by_the_standard():
    """PS3.3 C.11.2.1.3.2, LINEAR_EXACT: below c - w/2 black, above c + w/2 white, else ((x - c) / w + 0.5) of the range."""
    dataset = grey(RAMP, WindowCenter="1500", WindowWidth="900", VOILUTFunction="LINEAR_EXACT")
    expected = np.rint(np.clip((RAMP.astype(float) - 1500) / 900 + 0.5, 0, 1) * 255)
    assert np.array_equal(drawn(dataset), expected)


@pytest.mark.peers
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_voi_table_is_drawn_as_dcmtk_draws_it(bits, photometric, tmp_path):
    entries = np.rint(np.sqrt(np.linspace(0, 1, 2000)) * ((1 << bits) - 1))
    dataset = grey(RAMP, VOILUTSequence=[table(1000, entries, bits)], WindowCenter="10", WindowWidth="20", PhotometricInterpretation=photometric)
    assert np.abs(drawn(dataset) - drawn_by_dcmtk(dataset, tmp_path, "+Wl", "1")).max() <= 1


@pytest.mark.peers
def test_a_modality_table_comes_before_the_window_as_in_dcmtk(tmp_path):
    entries = (np.linspace(0, 1, 3000) ** 2 * 4000).astype(int)
    dataset = grey(RAMP, ModalityLUTSequence=[table(500, entries, 16, ModalityLUTType="OD")], WindowCenter="1500", WindowWidth="1200")
    assert np.abs(drawn(dataset) - drawn_by_dcmtk(dataset, tmp_path, "+Wi", "1")).max() <= 1


@pytest.mark.peers
def test_a_modality_table_is_followed_by_a_voi_table_as_in_dcmtk(tmp_path):
    first = (np.linspace(0, 1, 3000) ** 2 * 4000).astype(int)
    second = np.rint(np.linspace(0, 1, 3001) ** 0.5 * 255)
    dataset = grey(RAMP, ModalityLUTSequence=[table(500, first, 16, ModalityLUTType="OD")], VOILUTSequence=[table(800, second, 8)])
    assert np.abs(drawn(dataset) - drawn_by_dcmtk(dataset, tmp_path, "+Wl", "1")).max() <= 1


def test_a_voi_table_may_begin_below_zero():
    """C.11.2.1.1: its first value is signed where the first step gives signed values; read as unsigned it would be 64536."""
    dataset = grey(RAMP, RescaleSlope="1", RescaleIntercept="-1024", VOILUTSequence=[table(64536, np.arange(0, 256), 8)])
    expected = np.clip(RAMP.astype(int) - 1024 + 1000, 0, 255)
    assert np.array_equal(drawn(dataset), expected)


def test_a_presentation_table_is_spread_over_the_window_and_stands_for_the_shape():
    """C.11.4: the first entry is for the darkest of the window's output, the last for the brightest; P-values of 10 bits."""
    values = np.array([[0, 100, 200, 300, 400, 500]], np.uint16)
    dataset = grey(values, WindowCenter="250", WindowWidth="500", VOILUTFunction="LINEAR_EXACT", PhotometricInterpretation="MONOCHROME1",
                   PresentationLUTSequence=[table(0, [1023, 767, 511, 255, 127, 0], 10)])
    assert drawn(dataset).tolist() == [[255, round(767 / 1023 * 255), round(511 / 1023 * 255), round(255 / 1023 * 255), round(127 / 1023 * 255), 0]]


@pytest.mark.parametrize("item", [table(0, [1, 2, 3], 20), table(0, [1, 2, 3], 4)], ids=["20 bits", "4 bits"])
def test_a_table_that_is_none_is_refused_by_name_and_a_window_still_shows_the_image(item):
    dataset = grey(RAMP, VOILUTSequence=[item])
    with pytest.raises(UnusableTable, match="VOI"):
        drawn(dataset)
    assert len(prepare_instance(dataset).frames_htj2k) == 1, "its pixels are whole and are prepared all the same"
    assert drawn(dataset, Window("", "", 2048, 4096)).max() == 255


def test_each_frame_of_an_enhanced_object_is_shown_with_its_own_window():
    frames = np.stack([RAMP, RAMP])
    dataset = image(frames.astype("<u2").tobytes(), 64, 64, NumberOfFrames=2)
    dataset.PerFrameFunctionalGroupsSequence = [Dataset(), Dataset()]
    for group, center in zip(dataset.PerFrameFunctionalGroupsSequence, (1000, 3000)):
        voi = Dataset()
        voi.WindowCenter, voi.WindowWidth = center, 100
        group.FrameVOILUTSequence = [voi]
    assert [dataset_windows(dataset, frame)[0].center for frame in (0, 1)] == [1000, 3000]
    first, second = (shown_frame(dataset, decode(dataset)[frame], frame) for frame in (0, 1))
    assert first[RAMP == 2000].item() == 255 and second[RAMP == 2000].item() == 0


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("allocated, stored, signed", [(16, 16, 0), (16, 16, 1), (16, 12, 0), (16, 12, 1), (8, 8, 0), (8, 8, 1), (16, 10, 1)])
def test_what_is_drawn_straight_from_the_file_equals_what_its_data_set_gives(allocated, stored, signed, photometric):
    """With junk in the bits above those stored, as devices with overlays in them send."""
    values = np.random.default_rng(stored + signed).integers(0, 1 << allocated, (2, 150, 131)).astype(f"<u{allocated // 8}")
    dataset = image(values.tobytes() + b"\0" * (values.nbytes % 2), 150, 131, NumberOfFrames=2, BitsAllocated=allocated, BitsStored=stored, HighBit=stored - 1,
                    PixelRepresentation=signed, PhotometricInterpretation=photometric, RescaleSlope="1.5", RescaleIntercept="-20",
                    WindowCenter=str(40 if signed else 1 << stored - 1), WindowWidth=str(1 << stored))
    dataset["PixelData"].VR = "OB" if allocated == 8 else "OW"
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    dataset = pydicom.dcmread(BytesIO(file.getvalue()))
    about = prepare_instance(dataset).attributes
    for index in (0, 1):
        for window in (None, Window("", "", 100, 333, "SIGMOID")):
            plain = plain_frame(about, index, window)
            found = plain.shown(file.getvalue()[plain.offset:plain.offset + plain.size])
            assert np.array_equal(found, shown_frame(dataset, decode(dataset)[index], index, window))


def test_only_plain_images_are_drawn_without_their_data_set():
    def noted(dataset):
        file = BytesIO()
        dataset.save_as(file, enforce_file_format=True)
        return prepare_instance(pydicom.dcmread(BytesIO(file.getvalue()))).attributes["native_at"]
    assert noted(grey(RAMP)) is not None
    for keyword in ("ModalityLUTSequence", "VOILUTSequence", "PresentationLUTSequence"):
        assert noted(grey(RAMP, **{keyword: [table(0, range(4096), 12)]})) is None
    assert noted(grey(RAMP, SharedFunctionalGroupsSequence=[Dataset()])) is None
    assert plain_frame({"native_at": 100, "windows": []}, 0, None) is None, "the full range needs all values"


def test_the_way_that_is_found_names_what_was_asked_for():
    asked = Window("", "", 5, 6)
    assert path_of(grey(RAMP, WindowCenter="1", WindowWidth="2"), 0, asked).voi is asked
    assert path_of(grey(RAMP), 0).voi is None
