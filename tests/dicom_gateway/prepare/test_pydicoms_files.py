"""Every frame of every file of pydicom and pydicom-data: the values that pydicom reads, or a reason in words."""
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_files
from pydicom.pixels import apply_color_lut, pixel_array

from dicom_gateway.prepare.errors import UndecodablePixels
from dicom_gateway.prepare.frames import decode

# what no reader can show: neither does pydicom
NOT_SHOWN = {"OT-PAL-8-face.dcm": "transfer_syntax", "meta_missing_tsyntax.dcm": "transfer_syntax", "MR_truncated.dcm": "truncated",
             "badVR.dcm": "attribute", "nested_priv_SQ.dcm": "attribute", "JPEG2000-embedded-sequence-delimiter.dcm": "size_disagrees"}
FEWEST = 120        # files with pixels, of both packages


def with_pixels() -> dict[str, Path]:
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in map(Path, sorted(get_testdata_files())):
            try:
                if "PixelData" in dcmread(path, force=True):
                    found[path.name] = path
            except Exception:         # no DICOM at all
                continue
    return found


FILES = with_pixels()


def test_the_files_of_pydicom_data_are_among_them():
    assert len(FILES) >= FEWEST and "emri_small_jpeg_ls_lossless.dcm" in FILES and NOT_SHOWN.keys() <= FILES.keys()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_frames_are_those_that_pydicom_reads(name):
    dataset = dcmread(FILES[name], force=True)
    if name in NOT_SHOWN:
        with pytest.raises(UndecodablePixels) as refused:
            decode(dataset)[0]
        assert refused.value.code == NOT_SHOWN[name] and refused.value.zh and refused.value.en
        return
    frames = decode(dataset)
    ours = np.stack(list(frames)) if len(frames) > 1 else frames[0]
    try:
        theirs = pixel_array(dataset)
    except Exception:                 # a decoder that pydicom lacks here: at least the sizes are those that the header states
        assert ours.shape[:2] == (dataset.Rows, dataset.Columns)
        return
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        theirs = apply_color_lut(theirs, dataset)
        if theirs.dtype != ours.dtype:
            theirs = (theirs >> 8).astype(ours.dtype)
    assert np.array_equal(ours, theirs)
