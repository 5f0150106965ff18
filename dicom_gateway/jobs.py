"""The worker's door to DICOM preparation: originals from the hub, prepared frames and metadata back to it."""
from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_gateway.prepare.instance import PreparedInstance, prepare_instance
from dicom_gateway.prepare.manifest import study_manifest
from dicom_gateway.web import metadata
from hub.context import Hub
from hub.errors import HubError
from hub.flow import preparation
from hub.flow.preparation import NewArtifact, Problem

log = logging.getLogger("hub.worker")


PART = "metadata_part"       # lines of metadata that were written ahead
BATCH = 32                   # instances entered in one transaction


def prepare_ahead(hub: Hub, study_id: int) -> None:
    """Prepares what has arrived of a study while the rest arrives, until nothing waits or the study has closed. What
    cannot be prepared is left to ``prepare_study``, which names it."""
    seen: set[int] = set()
    while rows := [row for row in preparation.arrived(hub, study_id) if row.id not in seen][:BATCH]:
        seen |= {row.id for row in rows}
        lines = {one.row.id: one.line for one in _prepare_all(hub, study_id, rows, {}) if one.about is not None and one.line is not None}
        if lines:
            content, instances = metadata.packed(lines)
            part = NewArtifact(PART, hub.blobs.keep(content), metadata.MEDIA_TYPE, min(lines), about=instances)
            preparation.add_artifacts(hub, study_id, [part])


def prepare_study(hub: Hub, study_id: int, generation: int) -> None:
    """Prepares every instance of a study and makes it ready. Instances prepared before are not done again; those in the
    middle of their series, which are looked at first, come first."""
    rows = preparation.begin(hub, study_id, generation)
    if rows is None:
        return
    abouts = {row.instance_id: row.about for row in preparation.known_artifacts(hub, study_id, "prepared")}
    lines = _known_lines(hub, study_id)
    problems: list[Problem] = []
    missing = [row for row in rows if row.id not in abouts or row.id not in lines]
    missing.sort(key=lambda row: abs(rows.index(row) - len(rows) // 2))
    for start in range(0, len(missing), BATCH):
        for one in _prepare_all(hub, study_id, missing[start:start + BATCH], abouts):
            problems += one.problems
            abouts |= {one.row.id: one.about} if one.about is not None else {}
            lines |= {one.row.id: one.line} if one.line is not None else {}
    attributes = [abouts[row.id] | {"series_uid": row.series_uid, "instance_id": row.id, "description": row.series_description}
                  for row in rows if row.id in abouts]
    manifest = study_manifest(rows[0].study_uid, attributes) if attributes else {"series": []}
    content, instances = metadata.packed({row.id: lines[row.id] for row in rows if row.id in lines})
    made = [NewArtifact("manifest", hub.blobs.keep(json.dumps(manifest, ensure_ascii=False).encode(), "manifest.json"), "application/json"),
            NewArtifact(metadata.KIND, hub.blobs.keep(content, "metadata.gz"), metadata.MEDIA_TYPE, about=instances)]
    preparation.finish(hub, study_id, generation, made, problems, summary=_summary(rows), replaces=PART)


@dataclass(frozen=True)
class _Prepared:
    """What became of one instance: what the manifest needs of it and its line of metadata, None for what cannot be had."""

    row: object
    about: dict | None
    line: bytes | None
    made: list[NewArtifact]
    problems: list[Problem]


def _known_lines(hub: Hub, study_id: int) -> dict[int, bytes]:
    known: dict[int, bytes] = {}
    for one in (*preparation.known_artifacts(hub, study_id, metadata.KIND), *preparation.known_artifacts(hub, study_id, PART)):
        known |= metadata.unpacked(hub.blobs.read(one.sha256), one.about)
    return known


def _prepare_all(hub: Hub, study_id: int, rows: list, known: dict[int, dict]) -> list[_Prepared]:
    """Some instances, on all processors (the codecs let other threads run), entered together once their bytes are safe."""
    with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, len(rows)))) as pool:
        done = list(pool.map(lambda row: _prepare_one(hub, study_id, row, known.get(row.id)), rows))
    made = [artifact for one in done for artifact in one.made]
    if made:
        preparation.add_artifacts(hub, study_id, made)
    return done


def _prepare_one(hub: Hub, study_id: int, row, about: dict | None) -> _Prepared:
    line, made, problems = None, [], []
    try:
        dataset = dcmread(hub.blobs.path(row.sha256), force=True)
        line = _line(dataset, row, "PixelData" in dataset)     # before decoding, while texts are still bytes
        if about is None and "PixelData" in dataset:
            prepared = prepare_instance(dataset)
            about = prepared.attributes | {"pixel_sha256": prepared.pixel_sha256,
                                           "stored_photometric": str(dataset.get("PhotometricInterpretation") or "")}
            made = _artifacts(hub, row, prepared, about)
    except HubError as error:
        about = None
        problems.append(Problem(error.code, f"第 {row.number or '?'} 幅无法显示：{error.zh}", f"image {row.number or '?'}: {error.en}", row.id))
    except Exception as error:
        about = None
        log.exception("instance %s of study %s cannot be prepared", row.id, study_id)
        problems.append(Problem("undecodable", f"第 {row.number or '?'} 幅无法解码，原始数据已保留。",
                                f"image {row.number or '?'} cannot be decoded ({type(error).__name__}); its bytes are kept.", row.id))
    return _Prepared(row, about, line, made, problems)


def _line(dataset: Dataset, row, prepared: bool) -> bytes:
    return metadata.line_of(dataset, row.study_uid, row.series_uid, row.sop_uid, row.transfer_syntax, prepared)


def _artifacts(hub: Hub, row, prepared: PreparedInstance, about: dict) -> list[NewArtifact]:
    made = [NewArtifact("htj2k", hub.blobs.keep(stream), "image/jphc", row.id, place)
            for place, stream in enumerate(prepared.frames_htj2k)]
    thumbnail = hub.blobs.keep(prepared.thumbnail_jpeg)
    made.append(NewArtifact("thumbnail", thumbnail, "image/jpeg", row.id))
    made.append(NewArtifact("prepared", thumbnail, "image/jpeg", row.id, 0, about))
    return made


def _summary(rows: list) -> str:
    names = dict.fromkeys(row.series_description for row in rows if row.series_description)
    return "；".join(names)[:200]
