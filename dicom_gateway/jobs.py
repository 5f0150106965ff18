"""The worker's door to DICOM preparation: originals from the hub, prepared frames and metadata back to it."""
from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import get_native_id

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_gateway.prepare import planes
from dicom_gateway.prepare.frames import FLOATING
from dicom_gateway.prepare.header import Headers
from dicom_gateway.prepare.instance import PreparedInstance, prepare_instance
from dicom_gateway.prepare.manifest import study_manifest
from dicom_gateway.undecoded import LARGEST, undecoded
from dicom_gateway.web import metadata
from dicom_gateway.web.attributes import Said
from hub.context import Hub
from hub.errors import HubError
from hub.flow import naming, preparation
from hub.flow.preparation import NewArtifact, Problem

log = logging.getLogger("hub.worker")


PART, PROFILE_PART = "metadata_part", "profiles_part"      # of what was prepared ahead
PLANE = "plane"              # a picture across a series
PROFILES = "profiles"        # what each slice leaves for the pictures across its series
BATCH = 16                   # instances entered in one transaction
GENTLE = 10                  # niceness (Linux) of what can wait: whoever sends, or looks, goes first
PART_LEVEL = 1               # of gzip, for what is packed anew when the study is ready


def prepare_ahead(hub: Hub, study_id: int) -> None:
    """Prepares what has arrived of a study while the rest arrives, until nothing waits or the study has closed. What
    cannot be prepared is left to ``prepare_study``, which names it."""
    def batches() -> Iterator[list]:
        seen: set[int] = set()
        while rows := preparation.arrived(hub, study_id, seen, BATCH):
            seen.update(row.id for row in rows)
            yield rows

    for _ in _prepare_all(hub, study_id, batches(), {}, GENTLE):
        pass


def prepare_study(hub: Hub, study_id: int, generation: int) -> None:
    """Prepares every instance of a study and makes it ready. Instances prepared before are not done again; those in the
    middle, which are looked at first, come first. Where some stand already the last come first: whoever prepares ahead may
    still have those in hand that follow."""
    rows = preparation.begin(hub, study_id, generation)
    if rows is None:
        return
    known = _Known(hub, study_id)

    def batches() -> Iterator[list]:
        left = rows[::-1] if known.abouts else [row for _, row in sorted(enumerate(rows), key=lambda one: abs(one[0] - len(rows) // 2))]
        while left := [row for row in left if not known.holds(row.id)]:
            yield left[:BATCH]
            left = left[BATCH:]
            known.look()                      # what was still being prepared ahead has been entered meanwhile

    problems = [problem for one in _prepare_all(hub, study_id, batches(), known.abouts) for problem in one.problems]
    known.look()
    present = [row for row in rows if row.id in known.abouts]
    attributes = [known.abouts[row.id] | {"series_uid": row.series_uid, "instance_id": row.id, "description": row.series_description} for row in present]
    manifest = study_manifest(rows[0].study_uid, attributes) if attributes else {"series": []}
    made = _across(hub, manifest, {row.sop_uid: row.id for row in present}, known)
    glance = [{"series_uid": one["series_uid"], "description": one["description"], "pictures": [each["name"] for each in one["across"]], **one["no_pictures"]}
              for one in manifest["series"] if one["across"] or one["no_pictures"]["zh"]]
    contents = (("manifest", "application/json", json.dumps(manifest, ensure_ascii=False).encode(), {"glance": glance}),
                (metadata.KIND, metadata.MEDIA_TYPE, *metadata.packed({row.id: known.lines[row.id] for row in rows if row.id in known.lines})),
                (PROFILES, "application/gzip", *planes.packed({row.id: known.profiles[row.id] for row in present if row.id in known.profiles})))
    for (kind, media, _, about), file in zip(contents, hub.blobs.keep_all([content for _, _, content, _ in contents])):
        made.append(NewArtifact(kind, file, media, about=about))
    preparation.finish(hub, study_id, generation, made, problems, summary=_summary(rows), replaces=(PART, PROFILE_PART, PLANE))


@dataclass(frozen=True)
class _Before:
    """What the instances of a study have said so far, so that it is worked out once."""

    headers: Headers
    said: Said


@dataclass(frozen=True)
class _Prepared:
    """What became of one instance: what is noted of it, its line of metadata, its profile, its frames and thumbnail; None or
    empty for what cannot be had."""

    row: object
    about: dict | None
    line: bytes | None
    result: PreparedInstance | None
    problems: list[Problem]


class _Known:
    """What stands of a study: attributes, lines of metadata and profiles by instance id. ``look`` adds what came since."""

    def __init__(self, hub: Hub, study_id: int):
        self._hub, self._study_id, self._newest = hub, study_id, 0
        self.abouts: dict[int, dict] = {}
        self.lines: dict[int, bytes] = {}
        self.profiles: dict[int, np.ndarray] = {}
        self.look()

    def look(self) -> None:
        for one in preparation.known_artifacts(self._hub, self._study_id, ("prepared", metadata.KIND, PART, PROFILES, PROFILE_PART), self._newest):
            self._newest = one.id
            if one.kind == "prepared":
                self.abouts[one.instance_id] = one.about
            elif one.kind in (metadata.KIND, PART):
                self.lines |= metadata.unpacked(self._hub.blobs.read(one.sha256), one.about)
            else:
                self.profiles |= planes.unpacked(self._hub.blobs.read(one.sha256), one.about)

    def holds(self, instance_id: int) -> bool:
        return instance_id in self.abouts and instance_id in self.lines


def _prepare_all(hub: Hub, study_id: int, batches: Iterator[list], known: dict[int, dict], niceness: int = 0) -> Iterator[_Prepared]:
    """Instances, batch by batch, on all processors (the codecs let other threads run); the bytes of one batch go to disk
    while the next is being worked on. ``niceness``: of the threads that work, on top of their process's."""
    begun: list = []
    before = _Before(Headers(), Said(naming.of_study(hub, study_id)))
    with ThreadPoolExecutor(os.cpu_count() or 1, initializer=_step_back, initargs=(niceness,)) as pool:
        for rows in batches:
            ended, begun = begun, [pool.submit(_prepare_one, hub, study_id, row, known.get(row.id), before) for row in rows]
            yield from _entered(hub, study_id, [one.result() for one in ended])
        yield from _entered(hub, study_id, [one.result() for one in begun])


def _step_back(niceness: int) -> None:
    """Lowers the priority of this thread alone, for as long as it lives."""
    if niceness:
        thread = get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness)


def _entered(hub: Hub, study_id: int, batch: list[_Prepared]) -> list[_Prepared]:
    """A batch, entered in one transaction once its bytes are safe."""
    told: list[tuple] = []                 # kind, media type, bytes, instance, place, about
    for one in batch:
        if one.result is not None:
            told += [("htj2k", "image/jphc", stream, one.row.id, place, {}) for place, stream in enumerate(one.result.frames_htj2k)]
            told += [("thumbnail", "image/jpeg", one.result.thumbnail_jpeg, one.row.id, 0, {})] if one.result.thumbnail_jpeg else []
            told.append(("prepared", "image/jphc", one.result.frames_htj2k[0], one.row.id, 0, one.about))
    lines = {one.row.id: one.line for one in batch if one.line is not None and one.about is not None}
    profiles = {one.row.id: one.result.profile for one in batch if one.result is not None and one.result.profile is not None}
    if lines:
        content, about = metadata.packed(lines, PART_LEVEL)
        told.append((PART, metadata.MEDIA_TYPE, content, None, min(lines), about))
    if profiles:
        content, about = planes.packed(profiles)
        told.append((PROFILE_PART, "application/gzip", content, None, min(profiles), about))
    different = list({id(content): content for _, _, content, *_ in told}.values())
    files = {id(content): file for content, file in zip(different, hub.blobs.keep_all(different))}
    made = [NewArtifact(kind, files[id(content)], media, instance_id, place, about) for kind, media, content, instance_id, place, about in told]
    if made:
        preparation.add_artifacts(hub, study_id, made)
    return batch


def _prepare_one(hub: Hub, study_id: int, row, about: dict | None, before: _Before) -> _Prepared:
    line, result, problems = None, None, []
    try:
        dataset = _read(hub.blobs.path(row.sha256))
        line = metadata.line_of(dataset, row.study_uid, row.series_uid, row.sop_uid, row.transfer_syntax, "PixelData" in dataset,
                                before.said)     # before decoding, while texts are still bytes
        if about is None and any(name in dataset for name in ("PixelData", *FLOATING)):
            result = prepare_instance(dataset, before.headers)
            about = result.attributes | {"pixel_sha256": result.pixel_sha256}
    except HubError as error:
        about = None
        problems.append(Problem(error.code, f"第 {row.number or '?'} 幅无法显示：{error.zh}", f"image {row.number or '?'}: {error.en}", row.id))
    except Exception as error:
        about = None
        log.exception("instance %s of study %s cannot be prepared", row.id, study_id)
        problems.append(Problem("undecodable", f"第 {row.number or '?'} 幅无法解码，原始数据已保留。",
                                f"image {row.number or '?'} cannot be decoded ({type(error).__name__}); its bytes are kept.", row.id))
    return _Prepared(row, about, line, result, problems)


def _read(file: Path) -> Dataset:
    """The data set of a stored file; ``dcmread`` takes ten times as long."""
    dataset = undecoded(file.read_bytes()) if file.stat().st_size <= LARGEST else None
    return dcmread(file, force=True) if dataset is None else dataset


def _across(hub: Hub, manifest: dict, ids: dict[str, int], known: _Known) -> list[NewArtifact]:
    """The pictures across each series, told in the manifest as well, or there why there are none. ``ids``: instances by SOP
    instance UID."""
    made = []
    for number, one in enumerate(manifest["series"]):
        members = [ids[each["sop_instance_uid"]] for each in one["instances"]]
        why_not = planes.why_not(one)
        zh, en = why_not or ("", "")
        one["across"], one["no_pictures"] = [], {"zh": zh, "en": en}
        if why_not is not None or any(each not in known.profiles for each in members):
            continue
        key = known.abouts[members[one["key_index"]]]
        pictures = planes.across(one, [known.profiles[each] for each in members], key["windows"], key["inverted"])
        for (place, plane), file in zip(enumerate(pictures), hub.blobs.keep_all([each.jpeg for each in pictures])):
            about = {"name": plane.name, "zh": plane.zh, "width_mm": round(plane.width_mm, 1), "height_mm": round(plane.height_mm, 1)}
            one["across"].append(about)
            made.append(NewArtifact(PLANE, file, "image/jpeg", None, number * len(pictures) + place, about | {"series_uid": one["series_uid"]}))
    return made


def _summary(rows: list) -> str:
    names = dict.fromkeys(row.series_description for row in rows if row.series_description)
    return "；".join(names)[:200]
