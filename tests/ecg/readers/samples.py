"""One line a sample: which files make a recording of which format, and what was declared about it.

Small synthetic recordings are built here byte by byte from the formats' documents, independently of the
readers; real ones are named by their path below the shared data. A new format adds its lines to both tables.
"""
from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ecg.recording import SourceFile

TWELVE = "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"


@dataclass(frozen=True)
class Real:
    """A real recording: the reader's module name, the files, and what its documents say of it."""

    reader: str
    paths: tuple[str, ...]
    leads: int
    rate_hz: float
    declared: Mapping[str, str] = field(default_factory=dict)

    def files(self, root: Path) -> list[SourceFile]:
        return [SourceFile(Path(path).name, (root / "ecg" / path).read_bytes()) for path in self.paths]


REAL = (
    *(Real("hl7_aecg", (f"formats/aecg_cn_fda/{number}/1.xml",), 12, 500) for number in (1, 9, 17, 25, 33, 41)),
    Real("hl7_aecg", ("formats/aecg_fda/examples/minimum_aecg.xml",), 1, 500),
    Real("hl7_aecg", ("formats/ecgtoolkit/Example.xml",), 12, 500),
    Real("dicom", ("formats/ecgtoolkit/Example.dcm",), 12, 500),
    Real("edf", ("formats/contec/tools/0000050.ECG.edf",), 12, 800),
    Real("edf", ("formats/edf/test_generator.edf",), 11, 200),
    Real("edf", ("formats/edf/test_generator.bdf",), 1, 1000),
    Real("wfdb", ("mitdb/101.hea", "mitdb/101.dat"), 2, 360),
    Real("wfdb", ("cpsc2018/A0001.hea", "cpsc2018/A0001.mat"), 12, 500),
    Real("wfdb", ("ptbxl/records500/00000/00001_hr.hea", "ptbxl/records500/00000/00001_hr.dat"), 12, 500),
    Real("wfdb", ("ludb/data/101.hea", "ludb/data/101.dat"), 12, 500),
    Real("scp", ("formats/ecgtoolkit/Example.scp",), 12, 500),
    Real("healforce", ("formats/healforce/ECG_0/62.SCP",), 3, 150),
    Real("contec", ("formats/contec/tools/0000050.ECG",), 12, 800),
    Real("ishne", ("formats/ishne/1-300m.ecg",), 3, 200),
    Real("mfer", ("formats/mfer/test-file.MWF",), 2, 250),
    Real("muse_xml", ("formats/muse_braveheart/example1.xml",), 12, 500),
    Real("philips_xml", ("formats/philips_tbj/ecg-example.xml",), 12, 500),
    Real("philips_xml", ("formats/sierra/1_03/129DYPRG.XML",), 12, 500),
    Real("schiller_xml", ("formats/cvrg/schiller.xml",), 12, 500),
    Real("csv", ("formats/contec/tools/0000050.ECG.csv",), 12, 800, {"rate_hz": "800", "unit": "uV", "leads": TWELVE}),
)

COUNTS = np.array([[0, 5, -7, 900, -32768, 3], [1, -2, 4, -800, 20, -32767]])      # two leads, six samples


def wfdb_16() -> list[SourceFile]:
    """Two leads, format 16, 360 Hz; lead II has a gain of 250 about a baseline of 10."""
    header = b"r1 2 360 6 09:30:00 05/01/2026\nr1.dat 16 200/mV 16 0 0 0 0 I\nr1.dat 16 250(10)/mV 16 0 0 0 0 AVR\n# Age: 61\n"
    header = header.replace(b" 0 0 0 0 I\n", b" 0 0 %d 0 I\n" % (int(COUNTS[0].sum()) % 65536))
    header = header.replace(b" 0 0 0 0 AVR\n", b" 0 1 %d 0 AVR\n" % (int(COUNTS[1].sum()) % 65536))
    return [SourceFile("r1.hea", header), SourceFile("r1.dat", COUNTS.T.astype("<i2").tobytes())]


def hl7_aecg() -> list[SourceFile]:
    """The same counts at 2.5 uV, 500 Hz."""
    rows = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{lead}"/><value><origin value="0" unit="uV"/>'
        f'<scale value="2.5" unit="uV"/><digits>{" ".join(map(str, row))}</digits></value></sequence></component>'
        for lead, row in zip(("I", "AVR"), COUNTS))
    return [SourceFile("a.xml", (
        '<?xml version="1.0" encoding="UTF-8"?><AnnotatedECG xmlns="urn:hl7-org:v3"><component><series><code code="RHYTHM"/>'
        '<component><sequenceSet><component><sequence><code code="TIME_RELATIVE"/><value><head value="0" unit="s"/>'
        f'<increment value="0.002" unit="s"/></value></sequence></component>{rows}</sequenceSet></component></series>'
        '</component></AnnotatedECG>').encode())]


def edf(width: int = 2, reserved: str = "", annotations: list[bytes] | None = None) -> list[SourceFile]:
    """Two ECG signals (uV) of three samples a record, two records of 6 ms: 500 Hz. -1000..1000 uV over +-2000 counts."""
    def text(value: object, size: int) -> bytes:
        return str(value).encode("latin-1").ljust(size)

    low, high = (-2000, 2000)
    signals = [("ECG I", "uV", -1000, 1000, low, high, 3), ("ECG aVR", "mV", -1, 1, low, high, 3)]
    if annotations is not None:
        signals.append(("EDF Annotations", "", -1, 1, -32768, 32767, 20))
    count = len(signals)
    version = b"\xffBIOSEMI" if width == 3 else text("0", 8)
    header = version + text("X M 12-MAR-1964 Demo_One", 80) + text("Startdate 05-JAN-2026 X X Cart", 80) + \
        b"05.01.26" + b"09.30.00" + text(256 * (count + 1), 8) + text(reserved, 44) + text(2, 8) + text(0.006, 8) + text(count, 4)
    for column, size in ((0, 16), (None, 80), (1, 8), (2, 8), (3, 8), (4, 8), (5, 8), (None, 80), (6, 8), (None, 32)):
        header += b"".join(text("" if column is None else signal[column], size) for signal in signals)
    counts = np.array([[0, 2000, -2000, 7, 8, 9], [1, -1, 2, -2, 1000, -1000]])
    body = b""
    for record in range(2):
        for row in counts:
            body += b"".join(int(value).to_bytes(width, "little", signed=True) for value in row[record * 3:record * 3 + 3])
        if annotations is not None:
            body += annotations[record].ljust(40, b"\x00")
    return [SourceFile("a.edf", header + body)]


def csv() -> list[SourceFile]:
    return [SourceFile("a.csv", b"time;I;aVR\n0,000;0,001;-0,5\n0,002;;0,25\n0,004;1,5;0\n")]


SYNTHETIC = {
    "wfdb": (wfdb_16, {}),
    "hl7_aecg": (hl7_aecg, {}),
    "edf": (edf, {}),
    "csv": (csv, {"rate_hz": "500", "unit": "mV"}),
}


def dicom_group_bytes(counts: np.ndarray) -> bytes:
    """Interleaved little-endian 16-bit samples, as PS3.3 C.10.9 stores them."""
    return b"".join(struct.pack("<h", int(value)) for value in counts.T.ravel())
