"""DICOMweb as one Flask blueprint: QIDO-RS, WADO-RS and STOW-RS over the hub (PS3.18 10).

The promise: whoever asks is named by ``actor_of_request``, and every study is opened through the hub, which
knows who may see it; a study of another site is not told from one that does not exist. Storing needs a
device's token, not a person.
"""
from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from itertools import chain
from pathlib import Path

from flask import Blueprint, Response, current_app, jsonify, request

from dicom_gateway.corrected import Corrected, corrected
from dicom_gateway.prepare.encode import THUMBNAIL_EDGE
from dicom_gateway.serving import served_values
from dicom_gateway.web import answers, capabilities, levels, metadata, native_xml, replies
from dicom_gateway.web.accept import asked
from dicom_gateway.web.bulk import bulk_given
from dicom_gateway.web.frames import NATIVE, OCTETS, NotAcceptable, frame_given
from dicom_gateway.web.multipart import Part
from dicom_gateway.web.query import Question, question
from dicom_gateway.web.recent import Recent
from dicom_gateway.web.rendering import DRAWN, PARAMETERS, picture
from dicom_gateway.web.shelf import Opened, Shelf, require_uid
from dicom_gateway.web.storing import TAKEN, store
from dicom_gateway.web.transcoding import TARGETS, transcoded
from hub.context import Hub
from hub.errors import Gone, HubError, Invalid, NotFound
from hub.flow import studies
from hub.flow.studies import Match
from hub.model.access import Actor

MOST_FRAMES = 1000
MOST_PICTURES, LARGEST_PICTURE = 64, 500_000      # of those drawn last, kept at hand (bytes)


def blueprint(hub: Hub, actor_of_request: Callable[[], Actor], name: str = "dicomweb") -> Blueprint:
    """The service, to be mounted under any prefix. ``actor_of_request``: who asks, as the page's gate knows it.

    Answers of refusals are JSON with code, zh and en. The one route that asks for no person is STOW-RS.
    """
    web = Blueprint(name, __name__)
    desk = _Desk(hub, actor_of_request)
    web.register_error_handler(HubError, replies.refusal)
    web.register_error_handler(FileNotFoundError, replies.missing)
    study, series, instance = "/studies/<s>", "/studies/<s>/series/<e>", "/studies/<s>/series/<e>/instances/<i>"
    for rule, end, view in (
        ("/studies", "studies", lambda: desk.search("study")),
        ("/series", "all_series", lambda: desk.search("series")),
        ("/instances", "all_instances", lambda: desk.search("instance")),
        (f"{study}/series", "series", lambda s: desk.search("series", s)),
        (f"{study}/instances", "study_instances", lambda s: desk.search("instance", s)),
        (f"{series}/instances", "instances", lambda s, e: desk.search("instance", s, e)),
        *((f"{place}/metadata", f"{level}_metadata", desk.metadata) for level, place in
          (("study", study), ("series", series), ("instance", instance))),
        *((place, f"{level}_objects", desk.objects) for level, place in (("study", study), ("series", series), ("instance", instance))),
        *((f"{place}/thumbnail", f"{level}_thumbnail", desk.thumbnail) for level, place in
          (("study", study), ("series", series), ("instance", instance))),
        *((f"{place}/rendered", f"{level}_rendered", desk.rendered) for level, place in
          (("study", study), ("series", series), ("instance", instance))),
        (f"{instance}/frames/<frames>", "frames", desk.frames),
        (f"{instance}/frames/<frames>/rendered", "frames_rendered", desk.rendered),
        (f"{instance}/frames/<frames>/thumbnail", "frames_thumbnail", desk.thumbnail),
        (f"{instance}/bulkdata/<path:path>", "bulkdata", desk.bulkdata),
    ):
        web.add_url_rule(rule, end, view, methods=["GET"])
    web.add_url_rule("/", "capabilities", desk.capabilities, methods=["GET", "OPTIONS"], provide_automatic_options=False)
    web.add_url_rule("/studies", "store", lambda: store(hub, request, desk.root()), methods=["POST"])
    web.add_url_rule("/studies/<s>", "store_in_study", lambda s: store(hub, request, desk.root(), s), methods=["POST"])
    return web


class _Desk:
    """The views. ``s``, ``e``, ``i``: UIDs of study, series and instance."""

    def __init__(self, hub: Hub, actor_of_request: Callable[[], Actor]):
        self._hub, self._actor, self._shelf, self._pictures = hub, actor_of_request, Shelf(hub), Recent(MOST_PICTURES)

    def root(self) -> str:
        """The service's own address: the public one where it is set, else the request's."""
        path, host = request.script_root + request.path, self._hub.settings.public_url.rstrip("/") or f"{request.scheme}://{request.host}"
        for word in ("/studies", "/series", "/instances"):
            head, found, _ = path.partition(word)
            if found:
                return f"{host}{head}"
        return f"{host}{path.rstrip('/')}"

    def capabilities(self) -> Response:
        """What is served here (PS3.18 8.9): JSON to whoever asks by GET or takes it, else WADL."""
        prefix = request.url_rule.rule.rstrip("/")
        rules = [rule for rule in current_app.url_map.iter_rules() if rule.endpoint.startswith(f"{request.blueprint}.") and rule.rule != request.url_rule.rule]
        paths = capabilities.resources(rules, prefix)
        accepted = self._accepted()
        as_json = request.method == "GET" or not any(one.covers(capabilities.WADL) for one in accepted)
        if as_json and not any(one.covers(media) for one in accepted for media in capabilities.JSON):
            raise NotAcceptable("not_acceptable", "服务说明只提供 WADL 或 JSON。", f"the description is given as {capabilities.WADL} or application/json.")
        if as_json:
            reply = jsonify({"service": "DICOMweb", "resources": [{"path": path, "methods": list(methods)} for path, methods in paths.items()], "mediaTypes": MEDIA})
        else:
            reply = Response(capabilities.wadl(paths, MEDIA, f"{self.root()}/"), content_type=capabilities.WADL)
        reply.headers["Allow"] = "GET, HEAD, OPTIONS"
        return reply

    def search(self, level: str, s: str = "", e: str = "") -> Response:
        in_xml = replies.wants_xml()
        asking = question(list(request.args.items(multi=True)))
        given = [Match(field, (uid,)) for field, uid in (("study_uid", s), ("series_uid", e)) if uid]
        for one in given:
            require_uid(one.values[0])
        opened = self._opened_for_search(s) if s else None
        rows, parts = studies.matching_with_parts(self._hub, self._actor(), level, [*given, *asking.matches], asking.limit + 1, asking.offset)
        warnings = asking.warnings
        if len(rows) > asking.limit:
            rows = rows[:asking.limit]
            if asking.capped:
                warnings += ("There are additional results that can be requested.",)
        if not rows:
            return replies.nothing_found(warnings)
        if level == "study" and asking.include and len(rows) == 1:
            opened = self._opened_for_search(rows[0].study_uid)
        elif opened is None and (apart := levels.BY_LEVEL.get(level, asking.include) & asking.include - answers.KNOWN):
            warnings += (f"The following attributes are given where one study is named and were left out: {', '.join(sorted(apart)[:20])}",)
        if level == "study" and opened is None and not in_xml:
            return replies.json_reply(answers.study_document(rows, parts, self.root()), warnings=warnings)
        told = ([self._with_included(opened, level, row, asking.include, answers.study_answer(row, parts.get(row.id, {}), self.root())) for row in rows]
                if level == "study" else self._answers(level, rows, parts, asking, opened, bool(e)))
        if in_xml:
            return replies.xml_reply([native_xml.to_xml(one) for one in told], warnings)
        return replies.json_reply(replies.document(told), warnings=warnings)

    def _opened_for_search(self, s: str) -> Opened | None:
        """The study that is searched within; None for one whose images were removed: it is known, and said to be unavailable."""
        try:
            return self._shelf.open(self._actor(), s)
        except Gone:
            return None

    def _answers(self, level: str, rows: list, parts: dict, asking: Question, opened: Opened | None, of_series: bool) -> list[dict]:
        """Series or instances; ``parts``: as ``studies.matching_with_parts`` gives them."""
        root, told = self.root(), []
        for row in rows:
            of_study, one = parts.get(row.id, {}), {}
            if opened is None:
                one |= answers.study_answer(row, of_study, root)
            if not (level == "instance" and of_series):
                total = of_study[row.series_id].total if row.series_id in of_study else 0
                one |= answers.series_answer(row, total, root)
            if level == "instance":
                one |= answers.instance_answer(row, root)
            told.append(self._with_included(opened, level, row, asking.include, one))
        return told

    def _with_included(self, opened: Opened | None, level: str, row, include: frozenset[str], one: dict) -> dict:
        """An answer with the attributes asked for by includefield, in order: of an instance from its own metadata; of a study or
        series as a whole from those of its first object. What the index knows stands."""
        if opened is None or not include:
            return answers.in_order(one)
        held = (opened.contents.by_uid.get(row.sop_uid) if level == "instance" else
                next((each for each in opened.contents.instances if level == "study" or each.series_uid == row.series_uid), None))
        lines = self._shelf.lines(opened, [held]) if held is not None else []
        found = metadata.chosen(lines[0], include, self.root()) if lines else {}
        return answers.in_order(one | {tag: value for tag, value in found.items()
                                       if "Value" not in one.get(tag, {}) and (level == "instance" or tag in levels.BY_LEVEL[level])})

    def metadata(self, s: str, e: str = "", i: str = "") -> Response:
        opened, wanted = self._wanted(s, e, i)
        in_xml, root, made = replies.wants_xml(), self.root(), opened.artifact(metadata.KIND)
        if in_xml:
            return replies.xml_reply([native_xml.to_xml(metadata.told(line, root)) for line in self._shelf.lines(opened, wanted)])
        key = ("document", opened.key, made.sha256 if made else "", root, e, i)

        def make() -> bytes:
            return gzip.compress(metadata.document(self._shelf.lines(opened, wanted), root), 1, mtime=0)
        packed = self._shelf.remembered(key, make) if made is not None else make()
        return replies.packed_json_reply(packed)

    def frames(self, s: str, e: str, i: str, frames: str) -> Response:
        opened, (one,) = self._wanted(s, e, i)
        accepted = self._accepted()
        places = _frame_numbers(frames, one.frames)
        at = f"{self.root()}/studies/{s}/series/{e}/instances/{i}/frames"
        given = [frame_given(self._hub, opened, one, place, accepted, f"{at}/{place + 1}") for place in places]
        if len(given) == 1 and not given[0].multipart:
            return replies.single_reply(given[0].part, f"{given[0].etag[:64]}-1")
        return replies.parts_reply([one.part for one in given], given[0].part.content_type.split(";")[0],
                                   replies.tag_of("".join(one.etag + one.part.content_type for one in given).encode()))

    def bulkdata(self, s: str, e: str, i: str, path: str) -> Response:
        opened, (one,) = self._wanted(s, e, i)
        if path.upper() in ("7FE00010", "7FE00008", "7FE00009"):
            return self.frames(s, e, i, ",".join(str(n) for n in range(1, one.frames + 1)))
        accepted = self._accepted()
        taken = next((each for each in accepted if each.covers(OCTETS)), None)
        if taken is None:
            raise NotAcceptable("not_acceptable", "此处只提供 application/octet-stream。", "only application/octet-stream is given here.")
        value = bulk_given(self._hub.blobs.path(one.sha256), path)
        part = Part(f"{OCTETS}; transfer-syntax={NATIVE}", value, len(value), request.base_url)
        etag = replies.tag_of(f"{one.sha256}{path}".encode())
        return replies.parts_reply([part], OCTETS, etag) if taken.multipart or taken.media == "*/*" else replies.single_reply(part, f"{etag}-1")

    def objects(self, s: str, e: str = "", i: str = "") -> Response:
        """The stored objects with their corrections, or as they came (``values=original``), in the transfer syntax in which
        they came, unless another one is insisted on that can be made."""
        opened, wanted = self._wanted(s, e, i)
        parts, single = [], False
        accepted = [one for one in self._accepted() if one.covers("application/dicom")]
        for one in wanted:
            taken = next((each for each in accepted if each.syntax in ("", "*", one.transfer_syntax, *TARGETS)), None)
            if taken is None:
                raise NotAcceptable("not_acceptable", "没有客户端可接受的传输语法。", "none of the accepted transfer syntaxes can be given; "
                                    f"available: application/dicom; transfer-syntax={one.transfer_syntax}, {', '.join(TARGETS)} or *.")
            single = taken.media == "application/dicom" and not taken.multipart
            as_stored = taken.syntax in ("", "*", one.transfer_syntax)
            syntax = one.transfer_syntax if as_stored else taken.syntax
            content, size = self._object(opened, one, "" if as_stored else syntax)
            parts.append(Part(f"application/dicom; transfer-syntax={syntax}", content, size,
                              f"{self.root()}/studies/{s}/series/{one.series_uid}/instances/{one.sop_uid}"))
        etag = replies.tag_of("".join((*(one.sha256 for one in wanted), str(opened.overlays.revision(opened.row.id)), *(part.content_type for part in parts))).encode())
        if i and single:
            whole = parts[0].content.content() if isinstance(parts[0].content, Corrected) else parts[0].content
            return replies.single_reply(replace(parts[0], content=whole), etag)
        return replies.parts_reply(parts, "application/dicom", etag)

    def _object(self, opened: Opened, one, syntax: str) -> tuple[Path | Corrected | bytes, int]:
        """An object and its size in bytes: with its corrections, and in another transfer syntax where one is named."""
        file, change = self._hub.blobs.path(one.sha256), self._shelf.change(opened, one)
        stands = file if change is None else corrected(file, change)
        if syntax:
            made = transcoded(file if change is None else BytesIO(stands.content()), syntax)
            return made, len(made)
        return stands, file.stat().st_size if change is None else stands.size

    def thumbnail(self, s: str, e: str = "", i: str = "", frames: str = "") -> Response:
        """The prepared picture of the middle instance, or one drawn now; sized by ``viewport``."""
        opened, wanted = self._wanted(s, e, i)
        if not frames and "viewport" not in request.args:
            shown = [one for one in wanted if one.rows and one.columns]
            made = opened.artifact("thumbnail", shown[len(shown) // 2].id) if shown else None
            if made is not None:
                self._require_picture(("image/jpeg",))
                return replies.single_reply(Part("image/jpeg", self._hub.blobs.path(made.sha256), made.size), made.sha256)
        return self._drawn(opened, wanted, frames, THUMBNAIL_EDGE)

    def rendered(self, s: str, e: str = "", i: str = "", frames: str = "") -> Response:
        """The middle instance, or the one named, as a picture: window, viewport, quality (PS3.18 8.3.5). To whoever takes multipart every
        frame of every instance, or the frames named (10.4.1.1.3)."""
        opened, wanted = self._wanted(s, e, i)
        in_parts = self._parts_asked("," in frames)
        return self._all_drawn(opened, wanted, frames, in_parts) if in_parts else self._drawn(opened, wanted, frames, None)

    def _parts_asked(self, are_several: bool) -> str:
        """The media type of pictures that the client wants in parts, "" where it takes one picture before that, and one is meant."""
        for one in self._accepted():
            for media in PICTURES:
                if one.covers(media) and (one.multipart or not are_several or one.media == "*/*"):
                    return media if one.multipart or are_several else ""
        raise NotAcceptable("not_acceptable", "此处只提供 JPEG 或 PNG 图片，多帧时为 multipart/related。",
                            f"only {' and '.join(PICTURES)} can be given here, of several frames as multipart/related.")

    def _all_drawn(self, opened: Opened, wanted: list, frames: str, media: str) -> Response:
        shown = [(one, place) for one in _with_pixels(wanted) for place in (_frame_numbers(frames, one.frames) if frames else range(one.frames))]
        if len(shown) > MOST_FRAMES:
            raise Invalid("too_many_frames", f"一次最多提供 {MOST_FRAMES} 幅图片，请按序列或帧号分批请求。", f"at most {MOST_FRAMES} pictures are given at a time; ask by series or frames.")
        parameters = request.args.to_dict()      # they are asked for when the request is over
        pictures = (Part(media, content, len(content)) for content in (self._picture(opened, one, place, media, parameters, None) for one, place in shown))
        return replies.streamed_reply(chain([next(pictures)], pictures), media)      # what is wrong with the question shows with the first

    def _picture(self, opened: Opened, one, place: int, media: str, parameters: Mapping[str, str], edge: int | None) -> bytes:
        made = opened.artifact("prepared", one.id)
        return picture(self._hub.blobs.path(one.sha256), place, media, parameters, edge, made.about if made is not None else None)

    def _drawn(self, opened: Opened, wanted: list, frames: str, edge: int | None) -> Response:
        media = self._require_picture(PICTURES)
        shown = _with_pixels(wanted)
        one = shown[len(shown) // 2]
        place = _frame_numbers(frames, one.frames)[0] if frames else one.frames // 2 if len(wanted) > 1 else 0
        key = (one.sha256, place, media, edge, *(request.args.get(name) for name in PARAMETERS), DRAWN)
        etag = replies.tag_of(repr(key).encode())
        if etag in request.if_none_match:
            return replies.unchanged_reply(etag)
        content = self._pictures.get(key)
        if content is None:
            content = self._picture(opened, one, place, media, request.args, edge)
            if len(content) <= LARGEST_PICTURE:
                self._pictures.put(key, content)
        return replies.single_reply(Part(media, content, len(content)), etag)

    def _require_picture(self, given: tuple[str, ...]) -> str:
        accepted = asked(request.headers.get("Accept", ""), request.args.get("accept", ""))
        for one in accepted:
            for media in given:
                if one.covers(media):
                    return media
        raise NotAcceptable("not_acceptable", "此处只提供 JPEG 或 PNG 图片。", f"only {' and '.join(given)} can be given here.")

    def _accepted(self):
        return asked(request.headers.get("Accept", ""), request.args.get("accept", ""))

    def _wanted(self, s: str, e: str, i: str) -> tuple[Opened, list]:
        for uid in (s, e, i):
            if uid:
                require_uid(uid)
        actor = self._actor()
        actor.require("study.images")
        opened = self._shelf.open(actor, s, served_values(request.args.get("values", "")))
        return opened, opened.instances(e, i)


def _with_pixels(wanted: list) -> list:
    """The objects that can be shown. NotFound where there is none."""
    shown = [one for one in wanted if one.rows and one.columns]
    if not shown:
        raise NotFound("no_pixels", "该对象不含可显示的图像。", "there is no picture to show in this object.")
    return shown


def _frame_numbers(text: str, frames: int) -> list[int]:
    """Places from 0 of a comma-separated list of frame numbers from 1; 404 beyond the last (PS3.18 10.4.1)."""
    numbers = text.split(",")
    if len(numbers) > max(MOST_FRAMES, frames) or not all(n.isascii() and n.isdigit() and len(n) <= 9 and int(n) > 0 for n in numbers):
        raise Invalid("bad_frames", "帧号应为从 1 开始的数字。", "frame numbers are numbers from 1, separated by commas.")
    places = [int(n) - 1 for n in numbers]
    if max(places) >= frames:
        raise NotFound("no_frame", "没有这一帧。", "there is no such frame.")
    return places


PICTURES = ("image/jpeg", "image/png")
DESCRIBED = [replies.DICOM_JSON, f'multipart/related; type="{native_xml.MEDIA}"']
MEDIA = {
    "search": DESCRIBED, "metadata": DESCRIBED, "instances": ["application/dicom"], "bulkdata": [OCTETS],
    "frames": [OCTETS, "image/jphc", "image/jpeg", "image/jls", "image/jp2", "image/dicom-rle"], "rendered": [*PICTURES, *(f'multipart/related; type="{one}"' for one in PICTURES)],
    "store": [f'multipart/related; type="{one}"' for one in TAKEN],
}
