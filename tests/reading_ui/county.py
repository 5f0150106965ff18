"""A small county in a temporary folder: synthetic studies in every state, driven through hub.flow only."""
from __future__ import annotations

import datetime
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from hub import accounts
from hub.context import Hub, open_hub
from hub.flow import administration, completion, devices, dispatch, intake, preparation, reporting, studies, worklist
from hub.model.access import SYSTEM, Actor
from hub.model.arrival import InstanceFacts, PatientFacts
from hub.model.report import ReportContent
from hub.settings import load
from hub.storage import migration

PASSWORD = "Passw0rd-for-{}"
PEOPLE = (("chen", "陈医生", "reader", None), ("lin", "林医生", "reader", None), ("zhou", "周主任", "reviewer", None), ("wu", "吴主任", "reviewer", None),
          ("qs", "青山镇值班医生", "clinic", "QS"), ("bx", "白溪镇值班医生", "clinic", "BX"), ("admin", "系统管理员", "administrator", None),
          ("audit", "审计员", "auditor", None))
CHEST = ReportContent("胸廓对称，气管居中。左肺上叶见软组织密度肿块影，大小约 42 mm×38 mm，边缘毛糙，可见分叶及毛刺。余双肺野未见明确异常密度影。双肺门不大，纵隔内未见肿大淋巴结。双侧胸腔未见积液。",
                      "左肺上叶占位性病变，考虑周围型肺癌可能大。", "建议增强 CT 及病理学检查。", positive=True)


class County:
    """An open hub with two sites, a scanner and a cart each, and one account per role."""

    def __init__(self, folder: Path, **settings):
        self.hub = open_hub(replace(load(environ={}), data_dir=str(folder), free_space_floor_mb=0, **settings))
        migration.migrate(self.hub.engine)
        self.sites = {code: administration.create_site(self.hub, SYSTEM, code=code, name=name, phone=phone) for code, name, phone in (
            ("QS", "青山镇中心卫生院", "0871-6802 1120"), ("BX", "白溪镇卫生院", "0871-6803 4417"))}
        self.devices = {}
        for code in self.sites:
            devices.register(self.hub, SYSTEM, site_id=self.sites[code], kind="dicom", name=f"{code} CT", ae_title=f"{code}CT")
            self.devices[code] = devices.admit(self.hub, f"{code}CT", "127.0.0.1")
        self.accounts = {name: accounts.create(
            self.hub, SYSTEM, username=name, password=PASSWORD.format(name), display_name=shown, role=role, title="",
            site_id=self.sites.get(site)) for name, shown, role, site in PEOPLE}
        self.made = 0

    def actor(self, name: str) -> Actor:
        one = next(p for p in PEOPLE if p[0] == name)
        return Actor(self.accounts[name], one[1], one[2], self.sites.get(one[3]), "127.0.0.1")

    def study(self, site: str = "QS", *, patient: str = "张建国", number: str = "", modality: str = "CT", body_part: str = "CHEST", slices: int = 4,
              missing: tuple[int, ...] = (), kind: str = "image", summary: str = "", urgency: str = "routine", flags: dict | None = None,
              files: list[bytes] | None = None, description: str = "", problems: list | None = None, sex: str = "M", age: str = "062Y", pixels: bool = False,
              analysis: dict | None = None, name_unsure: bool = False, told: bool = True, sop_class: str = "", study_at: str = "2026-03-02T09:14:00") -> int:
        """One study, arrived, closed, prepared and in the queue. Returns its id."""
        self.made += 1
        uid, number = f"1.2.826.0.1.{self.made}", number or f"{site}{2026000 + self.made}"
        for at in range(slices):
            if at in missing:
                continue
            content = files[at] if files else (slice_file(uid, at) if pixels else f"{uid} {at}".encode())
            names = ("record.csv",) if kind == "ecg" else ("",)
            stored = tuple(replace(self.hub.blobs.keep(content), name=one) for one in names)
            facts = InstanceFacts(
                kind, "csv" if kind == "ecg" else "dicom", uid, f"{uid}.1", f"{uid}.1.{at + 1}", patient=PatientFacts(number, patient, patient, name_unsure, sex, "", age),
                modality=modality, body_part=body_part, study_description=description, series_description=description, instance_number=at + 1, position_mm=at * 5.0 if modality == "CT" else None,
                study_at=study_at, accession_number=f"A{self.made:05d}", expected_in_series=slices if told else None, sop_class=sop_class,
                declared={"rate_hz": "500", "unit": "uV"} if kind == "ecg" else {})
            taken = intake.take(self.hub, self.devices[site], stored, facts)
        study_id = taken.study_id
        later = self.later(3600)
        completion.close_quiet_studies(later)
        generation = studies.find(self.hub, self.actor("chen"), study_id).generation
        preparation.begin(self.hub, study_id, generation)
        made = []
        if analysis is not None:
            made.append(preparation.NewArtifact("ecg_analysis", self.hub.blobs.keep(json.dumps(analysis).encode()), "application/json", taken.instance_id))
        preparation.finish(self.hub, study_id, generation, made, problems or [], summary=summary, urgency=urgency, flags=flags)
        return study_id

    def reading(self, study_id: int) -> int:
        return worklist.of_study(self.hub, study_id).id

    def written(self, study_id: int, by: str = "chen", content: ReportContent = CHEST) -> int:
        """Claimed and drafted. Returns the reading."""
        reading_id, actor = self.reading(study_id), self.actor(by)
        worklist.claim(self.hub, actor, reading_id)
        reporting.save_draft(self.hub, actor, reading_id, reporting.current_draft(self.hub, actor, reading_id).revision, content)
        return reading_id

    def submitted(self, study_id: int, by: str = "chen", content: ReportContent = CHEST) -> int:
        reading_id = self.written(study_id, by, content)
        reporting.submit(self.hub, self.actor(by), reading_id)
        return reading_id

    def signed(self, study_id: int, by: str = "chen", reviewer: str = "zhou", content: ReportContent = CHEST) -> int:
        """Signed and on the clinic's page. Returns the report."""
        reading_id = self.submitted(study_id, by, content)
        return self.issued(reporting.sign(self.hub, self.actor(reviewer), reading_id))

    def late_slice(self, study_id: int, number: int = 99) -> None:
        """One more image of a study that was complete already."""
        known = studies.find(self.hub, self.actor("chen"), study_id)
        uid = known.study_uid
        facts = InstanceFacts("image", "dicom", uid, f"{uid}.1", f"{uid}.1.{number}",
                              patient=PatientFacts(known.patient_number, known.patient_name, known.patient_name, False, known.sex, "", known.age),
                              modality=known.modality, body_part=known.body_part, instance_number=number, study_at="2026-03-02T09:14:00")
        intake.take(self.later(3700), self.devices["QS"], (self.hub.blobs.keep(f"late {uid}".encode()),), facts)

    def issued(self, report_id: int) -> int:
        dispatch.issue_letter(self.hub, report_id)
        for one in dispatch.of_report(self.hub, SYSTEM, report_id):
            if one.state == "due":
                dispatch.deliver(self.hub, one.id)
        return report_id

    def later(self, seconds: float) -> Hub:
        return self.hub.at(lambda: datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds))


def slice_file(study_uid: str, at: int, size: int = 128) -> bytes:
    """A CT slice of a synthetic phantom: a disc of water in air with one denser spot, HU by rescale -1024."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    y, x = np.mgrid[:size, :size]
    hu = np.full((size, size), -1000, dtype=np.int32)
    hu[(y - size / 2) ** 2 + (x - size / 2) ** 2 < (0.42 * size) ** 2] = 20
    hu[(y - 0.4 * size) ** 2 + (x - 0.65 * size) ** 2 < (0.08 * size) ** 2] = 300 + at
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{study_uid}.1.{at + 1}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = study_uid, f"{study_uid}.1", "CT"
    dataset.Rows = dataset.Columns = size
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "-1024", "HU"
    dataset.PixelData = (hu + 1024).astype("<u2").tobytes()
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def ecg_csv(seconds: int = 10, rate_hz: int = 500, bpm: float = 72) -> bytes:
    """Twelve leads of a drawn heartbeat in microvolts, as CSV with a header of lead names."""
    t = np.arange(seconds * rate_hz) / rate_hz
    phase = (t * bpm / 60) % 1.0
    beat_s = phase * 60 / bpm

    def wave(at, width, height):
        return height * np.exp(-((beat_s - at) ** 2) / (2 * width**2))
    shape = wave(0.20, 0.022, 110) + wave(0.355, 0.008, -90) + wave(0.38, 0.011, 1050) + wave(0.405, 0.009, -220) + wave(0.66, 0.045, 260)
    i, ii = 0.62 * shape, shape
    leads = {"I": i, "II": ii, "III": ii - i, "aVR": -(i + ii) / 2, "aVL": i - ii / 2, "aVF": ii - i / 2}
    for at, scale in enumerate((-0.5, -0.1, 0.5, 1.0, 1.05, 0.8), start=1):
        leads[f"V{at}"] = scale * shape + wave(0.66, 0.045, 80)
    rows = [",".join(leads)] + [",".join(f"{v:.0f}" for v in row) for row in np.stack(list(leads.values()), axis=1)]
    return "\n".join(rows).encode()
