"""What the web door remembers of the studies it hands out, so that a frame costs one query and one read.

The promise: the right to see a study is asked of the hub at every request; only what a study consists of is
remembered, under its generation, size and state, and only while it is ready. A person's first look at a study
is audited, and again when ``LOOK_S`` seconds have passed.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from dicom_gateway.corrected import Change
from dicom_gateway.dataset import is_uid, read_header
from dicom_gateway.serving import CORRECTED, change_of, overlays_for
from dicom_gateway.web import metadata
from dicom_gateway.web.attributes import Said
from dicom_gateway.web.overlay import overlaid
from dicom_gateway.web.recent import Recent
from hub.context import Hub
from hub.errors import HubError, Invalid, NotFound
from hub.flow import naming, retention, studies
from hub.flow.repairs import Overlays
from hub.flow.studies import Standing
from hub.model.access import Actor
from hub.model.naming import Naming

LOOK_S = 300
MOST_STUDIES = 64
MOST_DOCUMENTS = 16
LARGEST_DOCUMENT = 8_000_000
MOST_LOOKS = 10_000


@dataclass(frozen=True)
class Contents:
    """A study's DICOM instances in reading order and the artifacts made of them. Those of single instances are thousands of
    rows, and looked for when one of them is asked for."""

    hub: Hub
    key: tuple
    study_id: int
    instances: tuple

    @cached_property
    def by_uid(self) -> dict:
        return {one.sop_uid: one for one in self.instances}

    @cached_property
    def of_study(self) -> dict:
        """By (kind, None, place)."""
        return _by_place(studies.artifacts_of_study(self.hub, self.study_id))

    @cached_property
    def of_instances(self) -> dict:
        """By (kind, instance, place)."""
        return _by_place(studies.artifacts_of_instances(self.hub, self.study_id))


@dataclass(frozen=True)
class Opened:
    """A study that this person may see. ``row``: as ``studies.standing`` gives it. ``overlays``: the corrections with which
    it is served; none where originals were asked for."""

    row: Standing
    contents: Contents
    overlays: Overlays = Overlays()

    @property
    def key(self) -> tuple:
        """What a document made of this study depends on."""
        return (*self.contents.key, self.overlays.revision(self.row.id), self.naming)

    @cached_property
    def naming(self) -> Naming:
        """How the study names its patient; as it was sent where a correction of the name is laid over it."""
        is_corrected = any(one.tag == metadata.NAME for one in self.overlays.of(self.row.id))
        return naming.of_study(self.contents.hub, self.row.id, as_sent=is_corrected)

    def instances(self, series_uid: str = "", sop_uid: str = "") -> list:
        """The study's, one series' or one instance; NotFound where there is none."""
        if sop_uid:
            one = self.contents.by_uid.get(sop_uid)
            found = [one] if one is not None and one.series_uid == series_uid else []
        else:
            found = [one for one in self.contents.instances if not series_uid or one.series_uid == series_uid]
        if not found:
            raise NotFound("not_found", "没有找到这个序列或图像。", "no such series or instance.")
        return found

    def artifact(self, kind: str, instance_id: int | None = None, place: int = 0):
        found = self.contents.of_study if instance_id is None else self.contents.of_instances
        return found.get((kind, instance_id, place))


class Shelf:
    """One per process and hub."""

    def __init__(self, hub: Hub):
        self.hub = hub
        self._contents, self._looks, self._documents = Recent(MOST_STUDIES), Recent(MOST_LOOKS), Recent(MOST_DOCUMENTS)

    def open(self, actor: Actor, study_uid: str, served: str = CORRECTED) -> Opened:
        """The study for a look: NotFound or Refused as the hub says, Invalid for what is no UID. ``served``: corrected or
        original."""
        require_uid(study_uid)
        row = studies.standing(self.hub, actor, study_uid)
        key = (row.id, row.generation, row.instances, row.state, row.ready_at)
        contents = self._contents.get(key)
        if contents is None:
            contents = self._load(key, row.id)
            if row.state == "ready":
                self._contents.put(key, contents)
        if row.removed_at is not None:
            retention.require_there(self.hub, row.id)
        if not contents.instances:
            raise NotFound("not_found", "该检查没有 DICOM 对象。", "this study holds no DICOM objects.")
        self._note_look(actor, row)
        return Opened(row, contents, overlays_for(self.hub, (row.id,), served) if row.revision else Overlays())

    def change(self, opened: Opened, one) -> Change | None:
        """What an instance says differently from its bytes; None for what it said when it came."""
        return change_of(self.hub, opened.overlays, opened.row.id, one.series_id, one.id, one.calling)

    def lines(self, opened: Opened, wanted: list) -> list[bytes]:
        """The metadata lines of these instances with their corrections: from the study's artifact, else from the file's
        header."""
        made, known = opened.artifact(metadata.KIND), {}
        if made is not None:
            known = self.remembered(("lines", made.sha256, opened.naming), lambda: self._unpacked(opened, made))
        found = ((one, known.get(one.id) or self._from_header(opened, one)) for one in wanted)
        if not opened.overlays.rows:
            return [line for _, line in found if line]
        changed = ((line, self.change(opened, one)) for one, line in found if line)
        return [line if change is None else overlaid(line, change) for line, change in changed]

    def remembered(self, key: tuple, make: Callable[[], object]):
        """What ``make`` gives, made once; kept only where its size allows."""
        kept = self._documents.get(key)
        if kept is None:
            kept = make()
            size = sum(map(len, kept.values())) if isinstance(kept, dict) else len(kept)
            if 0 < size <= LARGEST_DOCUMENT:
                self._documents.put(key, kept)
        return kept

    def _unpacked(self, opened: Opened, made) -> dict[int, bytes]:
        """The lines of a study's artifact. Where another reading of its patient's name stands by now than when it was written,
        their lines are written anew."""
        known = metadata.unpacked(self.hub.blobs.read(made.sha256), made.about)
        rows = {one.id: one for one in opened.contents.instances}
        for ids in metadata.named_otherwise(known, opened.naming).values():
            there = [one for one in ids if one in rows]
            if there and (first := self._from_header(opened, rows[there[0]])) and first != known[there[0]]:
                known |= {one: self._from_header(opened, rows[one]) or known[one] for one in there}
        return known

    def _load(self, key: tuple, study_id: int) -> Contents:
        return Contents(self.hub, key, study_id, tuple(studies.objects_of(self.hub, study_id)))

    def _from_header(self, opened: Opened, one) -> bytes | None:
        try:
            header = read_header(self.hub.blobs.path(one.sha256))
        except HubError:
            return None
        prepared = opened.artifact("htj2k", one.id) is not None
        return metadata.line_of(header, one.study_uid, one.series_uid, one.sop_uid, one.transfer_syntax, prepared, Said(opened.naming))

    def _note_look(self, actor: Actor, row) -> None:
        now, key = self.hub.now(), (actor.account_id, actor.name, row.id)
        last = self._looks.get(key)
        if last is None or not 0 <= (now - last).total_seconds() < LOOK_S:
            studies.opened(self.hub, actor, row, "dicomweb")
            self._looks.put(key, now)


def _by_place(artifacts: list) -> dict:
    return {(one.kind, one.instance_id, one.place): one for one in artifacts}


def require_uid(text: str) -> None:
    if not is_uid(text):
        raise Invalid("bad_uid", "UID 格式不正确。", "this is not a UID.")
