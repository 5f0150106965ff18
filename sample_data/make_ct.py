"""Makes a small synthetic chest CT: 40 slices of a body phantom with lungs, spine, heart and one nodule.

    python sample_data/make_ct.py FOLDER

Nothing in it comes from a patient. The same call makes the same bytes, so that sending it again adds nothing.
"""
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SLICES, SIZE, SPACING_MM, STEP_MM = 40, 256, 1.5, 5.0
ROOT = "2.25.318274650912837465091283746509128374"
INTERCEPT = -1024


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(20260314)
    for index in range(SLICES):
        hu = phantom((index - SLICES / 2) * STEP_MM) + noise.normal(0, 12, (SIZE, SIZE))
        dataset = _object(index, np.clip(np.round(hu - INTERCEPT), 0, 4095).astype("<u2"))
        dataset.save_as(folder / f"{index + 1:03d}.dcm", enforce_file_format=True)


def phantom(z_mm: float) -> np.ndarray:
    """Hounsfield units of one slice, shape (SIZE, SIZE), at ``z_mm`` from the middle of the chest."""
    axis = (np.arange(SIZE) - SIZE / 2 + 0.5) * SPACING_MM
    y, x = np.meshgrid(axis, axis, indexing="ij")
    hu = np.full((SIZE, SIZE), -1000.0)
    taper = 1 - 0.12 * (z_mm / 100) ** 2

    def inside(cx, cy, rx, ry):
        return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1

    hu[inside(0, 0, 165 * taper, 115 * taper)] = -90          # fat under the skin
    hu[inside(0, 0, 152 * taper, 102 * taper)] = 45           # muscle
    lung = max(0.15, 1 - (abs(z_mm) / 108) ** 2)
    for side in (-1, 1):
        wide = inside(side * 72, -6, 52 * lung ** 0.5, 76 * lung ** 0.5)
        hu[wide] = -860
    hu[inside(14, -18, 44 * lung ** 0.4, 50 * lung ** 0.4)] = 42     # heart and great vessels
    hu[inside(0, 74, 21, 19)] = 60
    hu[inside(0, 72, 16, 14)] = 420                            # vertebral body
    hu[inside(0, 90, 7, 7)] = 20
    for angle in np.linspace(0.35, 2.8, 6):                    # ribs
        for side in (-1, 1):
            cx, cy = side * 142 * taper * np.sin(angle), 94 * taper * np.cos(angle) + 6 * np.sin(z_mm / 9 + angle)
            hu[inside(cx, cy, 9, 4)] = 380
    hu[inside(-1, -28, 9, 8)] = -990                           # trachea
    if (distance := (z_mm - 25) / 9) ** 2 < 1:                 # a round nodule in the left upper lobe
        hu[inside(78, -32, 9 * (1 - distance ** 2) ** 0.5, 9 * (1 - distance ** 2) ** 0.5)] = 35
    vessels = (np.sin(x / 7.3) * np.sin(y / 6.1 + z_mm / 11) > 0.965) & (hu == -860)
    hu[vessels] = -250
    return hu


def _object(index: int, stored: np.ndarray) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "GB18030"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{ROOT}.1.{index + 1}"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20260314"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "093000"
    ds.AccessionNumber, ds.Modality, ds.StudyID = "DEMO0001", "CT", "1"
    ds.Manufacturer, ds.ManufacturerModelName = "Synthetic", "Phantom 16"
    ds.InstitutionName, ds.ReferringPhysicianName = "青山镇卫生院", ""
    ds.StudyDescription, ds.SeriesDescription = "胸部平扫", "胸部 5.0 mm"
    ds.PatientName, ds.PatientID = "演示^患者甲", "DEMO-0002"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19680512", "M", "057Y"
    ds.BodyPartExamined, ds.PatientPosition, ds.KVP = "CHEST", "HFS", "120"
    ds.SliceThickness = ds.SpacingBetweenSlices = STEP_MM
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{ROOT}.0", f"{ROOT}.1"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = f"{ROOT}.2", ""
    ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = 1, index + 1, 1
    corner = -(SIZE / 2 - 0.5) * SPACING_MM
    ds.ImagePositionPatient = [corner, corner, -index * STEP_MM]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceLocation = -index * STEP_MM
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = SIZE
    ds.PixelSpacing = [SPACING_MM, SPACING_MM]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = [40, -600], [400, 1500]
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = INTERCEPT, 1, "HU"
    ds.NumberOfSeriesRelatedInstances = SLICES
    ds.PixelData = stored.tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


if __name__ == "__main__":
    main(Path(sys.argv[1]))
