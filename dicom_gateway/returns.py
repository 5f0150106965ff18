"""The DICOM channel: a signed report as an Encapsulated PDF (PS3.3 A.45.1) to the clinic's own node."""
from __future__ import annotations

import uuid
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from dicom_gateway.sender import store_dataset
from dicom_gateway.command import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from dicom_gateway.tls import tls_args
from hub.context import Hub
from hub.delivery.parcel import Parcel

_NAMESPACE = uuid.UUID("6f0c2f0e-6a2b-5d1c-9b59-6b1d8d1f4a11")
SERIES_NUMBER = 9000
REPORT_TITLE_CODE = ("11528-7", "LN", "Radiology Report")
ECG_TITLE_CODE = ("11524-6", "LN", "EKG study")


def deliver(hub: Hub, parcel: Parcel) -> str:
    """Sends the report by C-STORE. Every attempt carries the same SOP Instance UID, so it is kept once."""
    to = parcel.address
    store_dataset(encapsulated(parcel, hub.settings.zone), to["host"], int(to["port"]), called=to["ae_title"],
                  calling=hub.settings.dicom_ae_title, tls_args=tls_args(hub, to.get("tls") == "yes"))
    return f"C-STORE to {to['ae_title']}"


def encapsulated(parcel: Parcel, zone) -> Dataset:
    """The Encapsulated PDF object of one report version, in the study that it reports."""
    signed = parcel.signed_at.astimezone(zone)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = EncapsulatedPDFStorage
    ds.SOPInstanceUID = _uid(f"instance {parcel.idempotency_key}")
    ds.InstanceCreationDate, ds.InstanceCreationTime = _date_time(signed)
    ds.StudyInstanceUID = parcel.study_uid
    ds.SeriesInstanceUID = _uid(f"series {parcel.study_uid}")
    ds.SeriesNumber, ds.InstanceNumber = SERIES_NUMBER, parcel.version
    ds.SeriesDescription = "诊断报告"
    ds.Modality = "DOC"
    ds.Manufacturer, ds.ManufacturerModelName = "Diagnosis hub", "hub"
    ds.DeviceSerialNumber = "1"
    ds.SoftwareVersions = IMPLEMENTATION_VERSION
    ds.ConversionType = "SD"
    ds.InstitutionName = parcel.institution[:64]
    ds.PatientName, ds.PatientID = parcel.patient_name, parcel.patient_id
    ds.PatientBirthDate = parcel.patient_birth_date.replace("-", "")
    ds.PatientSex = parcel.patient_sex if parcel.patient_sex in ("M", "F", "O") else ""
    day, _, time = parcel.study_at.partition("T")
    ds.StudyDate, ds.StudyTime = day.replace("-", ""), time.replace(":", "")
    ds.StudyID = ""
    ds.AccessionNumber = parcel.accession_number
    ds.ReferringPhysicianName = ""
    ds.ContentDate, ds.ContentTime = _date_time(signed)
    ds.AcquisitionDateTime = ds.ContentDate + ds.ContentTime
    ds.BurnedInAnnotation = "YES"
    ds.VerificationFlag = "VERIFIED"
    ds.DocumentTitle = f"诊断报告 {parcel.report_number}"
    ds.ConceptNameCodeSequence = [_code(*(ECG_TITLE_CODE if parcel.modality == "ECG" else REPORT_TITLE_CODE))]
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(parcel.pdf)
    ds.EncapsulatedDocument = parcel.pdf + b"\0" * (len(parcel.pdf) % 2)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    return ds


def part10(dataset: Dataset) -> bytes:
    """The object as a DICOM file (PS3.10)."""
    output = BytesIO()
    dataset.save_as(output, enforce_file_format=True)
    return output.getvalue()


def _uid(words: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, words).int}"


def _date_time(moment) -> tuple[str, str]:
    return moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
