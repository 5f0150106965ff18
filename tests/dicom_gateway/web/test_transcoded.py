"""Every file of pydicom in Explicit VR Little Endian: dciodvfy finds nothing that it does not find in what DCMTK makes of the file."""
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from dicom_gateway.prepare.errors import UndecodablePixels
from dicom_gateway.web.transcoding import transcoded
from tests.dicom_gateway.prepare.test_pydicoms_files import FILES
from tests.dicom_gateway.running import peer

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
LARGEST = 3_000_000
NO_UID = "bad_sequence.dcm"      # its SOP instance UID is none: it is never entered


def faults(path: Path) -> Counter:
    said = subprocess.run([peer("dciodvfy"), str(path)], capture_output=True, timeout=120)
    return Counter(line for line in said.stderr.decode("latin-1").splitlines() if line.startswith("Error"))


@pytest.mark.parametrize("name", [name for name, path in FILES.items() if path.stat().st_size < LARGEST and name != NO_UID])
def test_dciodvfy_finds_no_fault_that_the_file_had_not(name, tmp_path):
    try:
        content = transcoded(FILES[name], str(ExplicitVRLittleEndian))
    except UndecodablePixels as refused:
        assert refused.code and refused.zh and refused.en
        return
    (tmp_path / "given.dcm").write_bytes(content)
    converted = subprocess.run([peer("dcmconv"), "+te", str(FILES[name]), str(tmp_path / "by_dcmtk.dcm")], capture_output=True, timeout=300).returncode == 0
    known = faults(FILES[name]) | (faults(tmp_path / "by_dcmtk.dcm") if converted else Counter())
    assert set(faults(tmp_path / "given.dcm")) <= set(known)
    assert dcmread(tmp_path / "given.dcm").file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
