"""The worker's door to DICOM preparation: originals from the hub, prepared frames and metadata back to it."""
from __future__ import annotations

import json
import logging

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


def prepare_study(hub: Hub, study_id: int, generation: int) -> None:
    """Prepares every instance of a study and makes it ready. Instances prepared before are not done again."""
    rows = preparation.begin(hub, study_id, generation)
    if rows is None:
        return
    done = {row.instance_id: row.about for row in preparation.known_artifacts(hub, study_id, "prepared")}
    known = _known_lines(hub, study_id)
    problems: list[Problem] = []
    attributes: list[dict] = []
    lines: dict[int, bytes] = {}
    for row in rows:
        about, line = done.get(row.id), known.get(row.id)
        if about is None or line is None:
            about, line = _prepare_one(hub, study_id, row, about, problems)
        if about is not None:
            attributes.append(about | {"series_uid": row.series_uid, "instance_id": row.id, "description": row.series_description})
        if line is not None:
            lines[row.id] = line
    manifest = study_manifest(rows[0].study_uid, attributes) if attributes else {"series": []}
    content, instances = metadata.packed(lines)
    made = [NewArtifact("manifest", hub.blobs.keep(json.dumps(manifest, ensure_ascii=False).encode(), "manifest.json"), "application/json"),
            NewArtifact(metadata.KIND, hub.blobs.keep(content, "metadata.gz"), metadata.MEDIA_TYPE, about=instances)]
    preparation.finish(hub, study_id, generation, made, problems, summary=_summary(rows))


def _known_lines(hub: Hub, study_id: int) -> dict[int, bytes]:
    known = preparation.known_artifacts(hub, study_id, metadata.KIND)
    return metadata.unpacked(hub.blobs.read(known[0].sha256), known[0].about) if known else {}


def _prepare_one(hub: Hub, study_id: int, row, about: dict | None, problems: list[Problem]) -> tuple[dict | None, bytes | None]:
    """What the manifest needs of one instance and its line of metadata; None for what cannot be had."""
    line = None
    try:
        dataset = dcmread(hub.blobs.path(row.sha256), force=True)
        line = _line(dataset, row, "PixelData" in dataset)     # before decoding, while texts are still bytes
        if about is None and "PixelData" in dataset:
            prepared = prepare_instance(dataset)
            about = prepared.attributes | {"pixel_sha256": prepared.pixel_sha256,
                                           "stored_photometric": str(dataset.get("PhotometricInterpretation") or "")}
            preparation.add_artifacts(hub, study_id, _artifacts(hub, row, prepared, about))
        return about, line
    except HubError as error:
        problems.append(Problem(error.code, f"第 {row.number or '?'} 幅无法显示：{error.zh}", f"image {row.number or '?'}: {error.en}", row.id))
    except Exception as error:
        log.exception("instance %s of study %s cannot be prepared", row.id, study_id)
        problems.append(Problem("undecodable", f"第 {row.number or '?'} 幅无法解码，原始数据已保留。",
                                f"image {row.number or '?'} cannot be decoded ({type(error).__name__}); its bytes are kept.", row.id))
    return None, line


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
