"""The worker's door to DICOM preparation: originals from the hub, prepared frames back to it."""
from __future__ import annotations

import json
import logging

from pydicom import dcmread

from dicom_gateway.prepare.instance import PreparedInstance, prepare_instance
from dicom_gateway.prepare.manifest import study_manifest
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
    problems: list[Problem] = []
    attributes: list[dict] = []
    for row in rows:
        about = done.get(row.id)
        if about is None:
            about = _prepare_one(hub, study_id, row, problems)
        if about is not None:
            attributes.append(about | {"series_uid": row.series_uid, "instance_id": row.id, "description": row.series_description})
    manifest = study_manifest(rows[0].study_uid, attributes) if attributes else {"series": []}
    made = [NewArtifact("manifest", hub.blobs.keep(json.dumps(manifest, ensure_ascii=False).encode(), "manifest.json"), "application/json")]
    preparation.finish(hub, study_id, generation, made, problems, summary=_summary(rows))


def _prepare_one(hub: Hub, study_id: int, row, problems: list[Problem]) -> dict | None:
    try:
        dataset = dcmread(hub.blobs.path(row.sha256), force=True)
        if "PixelData" not in dataset:
            return None
        prepared = prepare_instance(dataset)
    except HubError as error:
        problems.append(Problem(error.code, f"第 {row.number or '?'} 幅无法显示：{error.zh}", f"image {row.number or '?'}: {error.en}", row.id))
        return None
    except Exception as error:
        log.exception("instance %s of study %s cannot be prepared", row.id, study_id)
        problems.append(Problem("undecodable", f"第 {row.number or '?'} 幅无法解码，原始数据已保留。",
                                f"image {row.number or '?'} cannot be decoded ({type(error).__name__}); its bytes are kept.", row.id))
        return None
    preparation.add_artifacts(hub, study_id, _artifacts(hub, row, prepared))
    return _about(prepared)


def _artifacts(hub: Hub, row, prepared: PreparedInstance) -> list[NewArtifact]:
    made = [NewArtifact("htj2k", hub.blobs.keep(stream), "image/jphc", row.id, place)
            for place, stream in enumerate(prepared.frames_htj2k)]
    thumbnail = hub.blobs.keep(prepared.thumbnail_jpeg)
    made.append(NewArtifact("thumbnail", thumbnail, "image/jpeg", row.id))
    made.append(NewArtifact("prepared", thumbnail, "image/jpeg", row.id, 0, _about(prepared)))
    return made


def _about(prepared: PreparedInstance) -> dict:
    return prepared.attributes | {"pixel_sha256": prepared.pixel_sha256}


def _summary(rows: list) -> str:
    names = dict.fromkeys(row.series_description for row in rows if row.series_description)
    return "；".join(names)[:200]
