"""Two sites with studies whose attributes are known, behind one gateway, for the tests of questions."""
import re
import subprocess
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import insert

from hub.flow import administration, devices
from hub.model.access import SYSTEM
from hub.storage import tables
from tests.dicom_gateway.running import SENDER, Gateway, peer, slice_of_ct

NEIGHBOUR = "BAIHE_DR"


def fill(gateway: Gateway) -> None:
    """Three studies of 青山 (SENDER) and one of 白河 (NEIGHBOUR)."""
    other = administration.create_site(gateway.hub, SYSTEM, code="BH", name="白河镇卫生院")
    devices.register(gateway.hub, SYSTEM, site_id=other, kind="dicom", name="白河 DR", ae_title=NEIGHBOUR)
    chinese = dict(SpecificCharacterSet="GB18030", PatientName="张^三", PatientID="A1", StudyDate="20260301", StudyTime="081500", PatientSex="M",
                   PatientBirthDate="19600229", StudyDescription="胸部平扫", ReferringPhysicianName="欧阳^明", StudyID="S-10")
    assert set(gateway.send(
        slice_of_ct(1, "1.2.10", "1.2.10.1", SOPInstanceUID="1.2.10.1.1", **chinese),
        slice_of_ct(1, "1.2.20", "1.2.20.1", SOPInstanceUID="1.2.20.1.1", PatientName="ZHANG^WEI", PatientID="A2", StudyDate="20260302",
                    StudyTime="101500", AccessionNumber="ACC2", Modality="DX", SpecificCharacterSet="ISO_IR 192", ReferringPhysicianName="Wang^Wu=王^五", StudyID="20"),
        *(slice_of_ct(n, "1.2.30", "1.2.30.1", SOPInstanceUID=f"1.2.30.1.{n}", SeriesNumber="1", PatientName="LI^NA", PatientID="A3",
                      StudyDate="20260303") for n in (1, 2, 3)),
        slice_of_ct(1, "1.2.30", "1.2.30.2", SOPInstanceUID="1.2.30.2.1", SeriesNumber="2", PatientName="LI^NA", PatientID="A3",
                    StudyDate="20260303", Modality="SR"),
        slice_of_ct(1, "1.2.40", "1.2.40.1", SOPInstanceUID="1.2.40.1.1", **(chinese | {"StudyDate": "20260401"})))) == {0}
    assert gateway.send(slice_of_ct(1, "1.2.90", "1.2.90.1", SOPInstanceUID="1.2.90.1.1", PatientName="ZHANG^WEI", PatientID="A2",
                                    StudyDate="20260302", ReferringPhysicianName="Zhao^Yun"), calling=NEIGHBOUR) == [0]


def ask(gateway: Gateway, model: str, identifier, calling: str = SENDER) -> tuple[list, int]:
    """The identifiers of the pending answers, and the last status."""
    association = gateway.associate((model, ExplicitVRLittleEndian), calling=calling)
    assert association.is_established
    found, status = [], None
    for told, answer in association.send_c_find(identifier, model):
        status = told.get("Status")
        if answer is not None:
            found.append(answer)
    association.release()
    return found, status


def many_studies(gateway: Gateway, count: int) -> list[str]:
    """Enters so many studies of one instance each past the door, as rows, and returns their UIDs."""
    now = gateway.hub.now()
    rows = [(number, f"1.2.7.{number}") for number in range(1, count + 1)]
    one = {"site_id": 1, "received_at": now, "last_received_at": now, "created_at": now}
    fill = {
        tables.patient: [one | {"id": n, "identity_key": f"K{n}", "patient_id": f"M{n}", "name": "王芳", "name_as_sent": "王^芳"} for n, _ in rows],
        tables.study: [one | {"id": n, "study_uid": uid, "kind": "image", "patient_id": n, "modality": "CT", "state": "receiving", "instances": 1,
                              "proof": {}, "problems": [], "flags": {}, "study_at": "2026-03-01T08:15:00"} for n, uid in rows],
        tables.series: [{"id": n, "study_id": n, "series_uid": f"{uid}.1", "modality": "CT"} for n, uid in rows],
        tables.instance: [one | {"id": n, "series_id": n, "study_id": n, "sop_uid": f"{uid}.1.1", "format": "dicom", "sha256": "0" * 64, "size": 1,
                                 "files": [], "declared": {}, "notes": []} for n, uid in rows],
    }
    with gateway.hub.writing() as connection:
        for table, values in fill.items():
            connection.execute(insert(table), [{k: v for k, v in value.items() if k in table.c} for value in values])
    return [uid for _, uid in rows]


def dcmtk(program: str, gateway: Gateway, *arguments, calling: str = SENDER, file: Path | str = "",
          folder: Path | None = None) -> str:
    """What one of DCMTK's programs printed. ``file``: holds the identifier. ``folder``: where it runs."""
    done = subprocess.run([peer(program), "-v", "-aet", calling, "-aec", "HUB", *map(str, arguments), "127.0.0.1", str(gateway.port),
                           *([str(file)] if file else [])], capture_output=True, timeout=120, cwd=folder)
    return re.sub(r"\x1b\[\d+m", "", (done.stdout + done.stderr).decode("utf-8", "replace"))
