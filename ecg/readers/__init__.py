"""Every ECG format the hub reads: one file a format, one line here.

A reader is a module with ``NAME: str``, ``sniff(head: bytes, name: str = "") -> bool`` (``head`` is the
first 4096 bytes; content decides, never the extension) and
``read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording``, which raises
UnreadableRecording and nothing else. The order is the order of asking; the weakest evidence comes last.
"""
from __future__ import annotations

from ecg.readers import (
    contec, csv, dicom, edf, healforce, hl7_aecg, ishne, mfer, muse_xml, philips_xml, schiller_xml, scp, wfdb,
)

READERS = (
    dicom,
    hl7_aecg,
    muse_xml,
    philips_xml,
    schiller_xml,
    scp,
    healforce,
    contec,
    ishne,
    mfer,
    edf,
    wfdb,
    csv,      # last: numbers in columns are the weakest evidence
)
