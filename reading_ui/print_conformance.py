"""Prints what the hub speaks as a page: ``python -m reading_ui.print_conformance > docs/conformance.md``.

DICOM, DICOMweb and ECG files, each from the code's own tables (PS3.2 asks what is supported, not what is hoped).
The page stands here because here both rooms may be known.
"""
from __future__ import annotations

from flask import Flask
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

import ecg.jobs
import ecg.web
from dicom_gateway import availability, callers, charset, command, direct, facts, lobby, requesting, sender, server, status, tls
from dicom_gateway.corrected import REASON
from dicom_gateway.dataset import REQUIRED_UIDS
from dicom_gateway.prepare.decoders import DECODERS
from dicom_gateway.services import commitment, echo, find, get, move, mpps, mwl
from dicom_gateway.status import PROCESSING_FAILURE
from dicom_gateway.web import capabilities, frames, query, replies, routes, storing, transcoding
from ecg import files
from ecg.readers import READERS, given
from hub import rulebook
from hub.flow import commitments
from hub.model.access import SERVED
from hub.model.device_rules import REFUSALS
from hub.settings import Settings

PREFIX = "/dicomweb"
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
OUTCOMES = {
    "stored": "on disk, then in the database", "duplicate": "the same object was stored before; kept once (a file that differs in group 0002 only is kept beside it)",
    "conflict": "another version of a UID, another patient in the study, or an object of a study that was removed by a retention rule: kept aside for a person",
    "quarantined": "cannot be parsed or lacks a UID: kept with its bytes and the reason",
}

SERVICES_OF = {
    echo.CLASSES[0]: "C-ECHO", **dict.fromkeys(find.CLASSES, "C-FIND"), **dict.fromkeys(get.CLASSES, "C-GET"), **dict.fromkeys(move.CLASSES, "C-MOVE"),
    **dict.fromkeys(commitment.CLASSES, "N-ACTION, N-EVENT-REPORT"), mpps.CLASSES[0]: "N-CREATE, N-SET", mpps.CLASSES[1]: "N-GET", **dict.fromkeys(mwl.CLASSES, "C-FIND"),
}

HEAD = """# Conformance: DICOM, DICOMweb, ECG

Printed from the tables of `dicom_gateway/` and `ecg/` by `python -m reading_ui.print_conformance`; a test compares them.
"""


def page() -> str:
    """The whole page in Markdown."""
    return "\n".join([HEAD, *_dimse(), *_orders(), *_texts(), *_corrections(), *_dicomweb(), *_ecg()])


def _dimse() -> list[str]:
    limits = Settings()
    served = [sop_class for service in (*server.SERVICES, *server.FINDERS) for sop_class in service.CLASSES]
    codes = [(f"{code:04X}", OUTCOMES[outcome], words) for outcome, (code, words) in status.BY_OUTCOME.items()]
    codes += [(f"{status.OUT_OF_RESOURCES:04X}", "disk full, database busy, larger than allowed, or faster than the device may send: nothing was kept, send again", ""),
              (f"{status.CLASS_NOT_SUPPORTED:04X}", REFUSALS["sop_class"][1], ""),
              (f"{status.PROCESSING_FAILURE:04X}", "an unexpected fault: nothing is acknowledged", "")]
    return [
        "## DICOM network (PS3.4, PS3.7, PS3.8)", "",
        *_table(("what", "value"), (
            ("implementation class UID", f"`{command.IMPLEMENTATION_UID}`"), ("implementation version", f"`{command.IMPLEMENTATION_VERSION}`"),
            ("AE title and port", f"`{limits.dicom_ae_title}`, {limits.dicom_port} by default; settings `dicom_ae_title`, `dicom_port`"),
            ("services as SCU", "C-STORE (reports as Encapsulated PDF; `hub send`), storage commitment reports, Instance Availability Notification, C-MOVE (a damaged object is asked of its sender again)"),
            ("callers", "registered AE titles, where registered with an address from that address only; others are rejected and shown to the administrator"),
            ("largest PDU received", f"{server.MAXIMUM_PDU} bytes"),
            ("largest object", f"{limits.largest_object_mb} MB by default (`largest_object_mb`)"),
            ("timeouts", f"ACSE {server.ACSE_TIMEOUT_S} s, DIMSE {server.DIMSE_TIMEOUT_S} s, network {server.NETWORK_TIMEOUT_S} s, "
                         f"association request {direct.INTRODUCTION_S:g} s, rest of a PDU {direct.PATIENCE_S:g} s; as SCU {requesting.TIMEOUT_S} s"),
            ("contexts proposed as SCU", f"at most {sender.MOST_CONTEXTS} an association"))),
        "", "Rejections (PS3.8 9.3.4: result, source, reason):", "",
        *_table(("when", "answer"), ((REFUSALS[reason][1], _triple(answer)) for reason, answer in callers.ANSWERS.items())),
        "", "### TLS (PS3.15 B, BCP 195: RFC 9325)", "",
        *_table(("what", "value"), (
            ("port", "`dicom_tls_port`, off by default; beside the plain one"),
            ("protocols", f"{tls.LEAST.name.replace('v', ' ').replace('_', '.')} and newer; no renegotiation, no compression"),
            ("cipher suites of TLS 1.2", ", ".join(tls.CIPHERS)),
            ("the hub's certificate", "`dicom_tls_certificate`, `dicom_tls_key`, or one of the hub's own network authority (`hub device certificate` issues for devices)"),
            ("devices' certificates", "`dicom_tls_clients`: asked for, required of all, or off; a device's rules can require one and bind it by its SHA-256"),
            ("trusted", "the hub's own network authority and `dicom_tls_trusted`"),
            ("as SCU", "for destinations with TLS: C-STORE of reports and of C-MOVE, storage commitment; the peer's certificate is verified"),
            ("handshake", f"within {tls.HANDSHAKE_S:g} s"))),
        "", "### Connections", "",
        *_table(("limit", "value"), (
            ("connections", f"{limits.dicom_connections} in all, {limits.dicom_connections_per_address} from one address by default "
                            "(`dicom_connections`, `dicom_connections_per_address`); beyond them the longest silent one makes room"),
            ("associations", f"{limits.dicom_associations} by default (`dicom_associations`), and each device's own rules"),
            ("before the request for an association is whole", f"{lobby.PATIENCE_S:g} s"))),
        "", "SOP classes as SCP besides storage, in Explicit and Implicit VR Little Endian:", "",
        *_table(("SOP class", "name", "services"), ((f"`{uid}`", UID(uid).name, SERVICES_OF[uid]) for uid in served)),
        "", "### Storage", "",
        "Every storage SOP class, private ones too, is accepted in every transfer syntax that the sender proposes; the one it",
        "names first is taken. Data sets are kept byte for byte; nothing is coerced or converted on receipt. Level 2 (full).",
        f"An object needs {', '.join(REQUIRED_UIDS)}. Kept as ECG:", "",
        *_table(("SOP class", "name"), ((f"`{uid}`", name) for uid, name in facts.ECG_CLASSES.items())),
        "", *_table(("status", "meaning", "comment"), codes),
        "", "C-FIND answers relational queries. The name of a patient or referring physician fits as a whole, whatever case, width and traditional or simplified characters, as "
        "written, as it sounds (pinyin, with or without tones, blanks and carets) or in initials; each component group of a key must fit. Where "
        "fuzzy semantic matching is negotiated (SOP Class Extended Negotiation, PS3.4 C.5.1.1), a name without wildcards fits any part. Where combined date-time "
        "matching is, ranges of Study Date and Study Time that are open alike are one span of time (C.2.2.2.5.4), and a study of which the day alone is known fits where "
        "a time of its day would; without it, or in other forms, each is matched by itself. Answers come in `GB18030` where that (or `ISO 2022 IR 58`) is asked in, or is "
        "registered for a device that declares no character set, else in `ISO_IR 192`.",
        "", "Pixel data is decoded for reading in these transfer syntaxes; in others the object is kept and said to be undecodable:", "",
        *_table(("transfer syntax", "name"), ((f"`{uid}`", UID(uid).name) for uid in (*NATIVE, *DECODERS))), ""]


def _orders() -> list[str]:
    asked = {commitment.INVALID_ARGUMENT: "no Transaction UID, no references, or they cannot be read", commitment.NO_SUCH_ACTION: "another action type", PROCESSING_FAILURE: "not written down: an unexpected fault",
             commitment.NO_SUCH_INSTANCE: "another SOP instance", commitment.NOT_AUTHORISED: "a caller that is not registered",
             commitment.TOO_MUCH: f"more than {commitment.MOST_REFERENCES} references, or {commitments.MOST_WAITING} requests of the device wait for their report"}
    words = {mpps.INVALID_VALUE: "a value is none of its kind, or a step does not begin IN PROGRESS", mpps.SOME_IGNORED: "warning: attributes that N-SET may not change were left as they were",
             PROCESSING_FAILURE: f"completed or discontinued: may no longer be updated (error ID {mpps.MAY_NOT_BE_UPDATED:04X}); or an unexpected fault",
             mpps.DUPLICATE: "the step exists already", mpps.NO_SUCH_INSTANCE: "no such step at the device's site", mpps.INVALID_INSTANCE: "the SOP Instance UID is none",
             mpps.ATTRIBUTES_NOT_KEPT: "warning: not all attributes that were asked for are known of the step (N-GET)", mpps.NO_SUCH_CLASS: "another SOP class", mpps.MISSING_ATTRIBUTE: "a required attribute is missing (N-CREATE)", mpps.MISSING_VALUE: "a required value is missing"}
    return [
        "### Storage commitment, push model (PS3.4 J)", "",
        "Instances of the device's own site are committed when their file was read with its hash just before the report. The report goes over the association that",
        "asked; a device that left without answering it is called back at the DICOM destination of its AE title, also when the hub was stopped or killed meanwhile:",
        f"at once, then with growing pauses for {commitments.CALLS.patience.total_seconds() / 3600:.0f} hours, and for as long again when an administrator says so. An association that does not answer the report in {commitments.HOLD.total_seconds():.0f} seconds is called back, too.", "",
        *_table(("status", "meaning"), ((f"{code:04X}", asked[code]) for code in sorted(asked))), "",
        "### Modality worklist (PS3.4 K)", "",
        "Each order of the device's own site that waits to be performed is one scheduled procedure step. Matching keys: "
        + ", ".join(f"`{name}`" for name in mwl.MATCHED) + ".",
        "Names match with wildcards in Chinese, pinyin or initials. A date range with a time range is one span of time (K.6.1.2.2). Without a status key the steps",
        "with status SCHEDULED are given. An order for no particular device is given to every device of the site under its own AE title.",
        f"Answers come in the character set registered for the device, else in the one asked in: {', '.join(f'`{one}`' for one in (mwl.UTF8, mwl.GB))} with Latin and ideographic",
        f"component groups; any other set gets Latin letters in `{mwl.LATIN}`. Accession number, requested procedure ID and step ID are the same 13 characters.", "",
        "### Modality performed procedure step (PS3.4 F.7)", "",
        f"N-CREATE needs {', '.join(mpps.NEEDED)}; the end needs {', '.join(mpps.NEEDED_AT_END)}. The instances that a completed step names must arrive: what is",
        "lacking is named on the study's proof sheet, and a study of which all are here closes at once.", "",
        *_table(("status", "meaning"), ((f"{code:04X}", words[code]) for code in sorted(words))), "",
        "### Instance availability notification (PS3.4 R)", "",
        "Sent by N-CREATE when a study is ready, to the destinations of its site that are registered for it, with every instance, "
        f"`InstanceAvailability` {availability.ONLINE} and the hub's AE title. Tried again after no answer or " + ", ".join(f"{code:04X}" for code in availability.TRY_AGAIN)
        + f", for {Settings().delivery_give_up_hours} hours by default; other failures are shown to the administrator.", ""]


def _corrections() -> list[str]:
    rules = rulebook.load().repairs
    return [
        "## Corrections", "",
        "An attribute that a person corrected is a row beside the object; its stored bytes never change. C-FIND and QIDO-RS match and",
        "answer by what stands. C-GET, C-MOVE and WADO-RS give the corrected object: only the corrected elements are other bytes, with",
        f"Original Attributes Sequence (0400,0561) that names the earlier values, the moment, the sender and the reason `{REASON}`; the",
        "transfer syntax stays and the pixel data is bit for bit the original's. Specific Character Set changes where a new value needs it.",
        "A device or destination may be set to be given objects as they came.", "",
        *_table(("who asks", "how it is chosen", "values"), (
            ("device (C-GET)", "on the device's page", _ticks(SERVED)), ("destination (C-MOVE)", "on the institution's page", _ticks(SERVED)),
            ("WADO-RS (objects, metadata)", "query parameter `values`", _ticks(SERVED) + "; the first without it"))),
        "", f"An object whose file cannot be taken apart is not given corrected; the request fails by name. Offered on the page ({rules.version}):", "",
        *_table(("tag", "attribute", "VR", "holds for"), ((f"({tag[:4]},{tag[4:]})", one.keyword, one.vr, "study" if one.level == "study" else "study, series or instance")
                                                          for tag, one in rules.offered.items())),
        "", "Other standard attributes can be corrected by keyword, except identifiers, sequences, binary values, private tags, character",
        "sets, slice geometry and what describes pixels.", ""]


def _texts() -> list[str]:
    return [
        "## Character sets", "",
        "Defined terms: " + ", ".join(f"`ISO_IR {number}`" for number in charset._CODECS if number != "6")
        + ", their ISO 2022 forms, " + ", ".join(f"`{name}`" for name in charset._NAMED) + ". Bytes decide where the declaration is wrong",
        "(GB18030 or UTF-8 under ISO_IR 100 or under nothing); the original is kept and a doubtful name is marked.", ""]


def _dicomweb() -> list[str]:
    app = Flask("conformance")
    app.register_blueprint(routes.blueprint(None, None), url_prefix=PREFIX)
    rules = sorted((rule.rule, method) for rule in app.url_map.iter_rules() if rule.rule.startswith(PREFIX)
                   for method in rule.methods - {"HEAD", "OPTIONS"})
    names = {"<s>": "{study}", "<e>": "{series}", "<i>": "{instance}", "<frames>": "{frames}", "<path:path>": "{path}"}
    codes = ((f"`{name}`", f"{code:04X}") for name, code in (
        ("out of resources", storing.OUT_OF_RESOURCES), ("not of this study", storing.NOT_OF_THIS_STUDY),
        ("cannot understand", storing.CANNOT_UNDERSTAND), ("processing failure", storing.PROCESSING_FAILURE), ("kept beside the first", storing.KEPT_BESIDE)))
    return [
        "## DICOMweb (PS3.18)", "",
        "A signed-in person asks; a registered device stores with its token (`Authorization: Bearer`).", "",
        *_table(("method", "resource"), ((method, f"`{_replaced(rule, names)}`") for rule, method in rules)),
        "", f"Searches return {query.DEFAULT_RESULTS} results, at most {query.MOST_RESULTS}, with `limit` and `offset`. Matched attributes: "
        + ", ".join(f"`{name}`" for name in query.SEARCHED) + ". Others are ignored and named in a Warning header.",
        "Names of patients and referring physicians are matched as a whole, whatever case, width and traditional or simplified characters; `*` and `?` are wildcards. With "
        "`fuzzymatching=true` a name without wildcards fits any part of a name as written, as it sounds (pinyin) or in initials. Ranges of Study Date and "
        "Study Time are matched as one span of time (8.3.4.1.1).",
        f"Instances are given as they were received, or on demand in {', '.join(f'`{uid}`' for uid in transcoding.TARGETS)}. Storing takes "
        f"{', '.join(f'`{one}`' for one in storing.TAKEN)}, the last two with bulk data; the answer is XML where that is asked for.",
        f"`OPTIONS {PREFIX}/` describes the service as `{capabilities.WADL}` or JSON (8.9). A study whose images were removed by a retention rule is found with",
        "instance availability UNAVAILABLE, here and by C-FIND; whoever retrieves it is told that it is gone, when, and by which rule.",
        "Prepared frames are HTJ2K with a tile-part for each resolution level and a TLM segment: byte ranges of `image/jphc` are coarser images.",
        f"Metadata and search results are {' or '.join(f'`{one}`' for one in routes.DESCRIBED)} (Native DICOM Model, PS3.19 A.1). At most {routes.MOST_FRAMES} frames a request; to whoever takes multipart, `/rendered` gives every frame of every instance.",
        "Frames are given as stored, or uncompressed; media types of compressed frames:", "",
        *_table(("transfer syntax", "media type"), ((f"`{uid}` {UID(uid).name}", f"`{media}`") for uid, media in frames.MEDIA_OF.items())),
        "", "Failure and warning reasons of STOW-RS:", "", *_table(("reason", "code"), codes),
        "", *_table(("refusal", "HTTP status"), ((kind.__name__, code) for kind, code in replies.STATUS)), ""]


def _ecg() -> list[str]:
    limits = Settings()
    return [
        "## ECG files", "",
        "`POST /api/ecg` with a device's token: a form with the files in the field `file`, or one file as the body. Content decides",
        f"the format. A zip may hold the files of one recording. Declared with it where the file does not say: {_ticks(ecg.web.DECLARED)};",
        f"where the file is silent: {_ticks(ecg.web.PATIENT)}, `accession_number` (form fields, or the query of a bare body).", "",
        *_table(("format", "document"), ((reader.NAME, _first_sentence(reader.__doc__)) for reader in READERS)),
        "", *_table(("limit", "value"), (
            ("upload", f"{limits.largest_ecg_mb} MB by default (`largest_ecg_mb`)"), ("one file", f"{given.MAX_FILE_BYTES // 2**20} MB"),
            ("one XML file", f"{given.MAX_XML_BYTES // 2**20} MB"), ("unpacked", f"{files.MAX_UPLOAD_BYTES // 2**20} MB in {files.MAX_FILES} files"),
            ("samples times leads", f"{given.MAX_VALUES:,}"), ("leads", given.MAX_LEADS), ("rate", f"{given.MIN_RATE_HZ:g} to {given.MAX_RATE_HZ:g} Hz"),
            ("checked while the sender waits", f"the first {ecg.web.CHECKED_S:g} s"), ("measured by the worker", f"the first {ecg.jobs.LONGEST_S:g} s; critical rhythms are searched in the whole"))),
        "", *_table(("answer", "meaning"), (
            ("201", "stored: receipt with the SHA-256 of every file, quality, summary"), ("200", "the same bytes were stored before; kept once"),
            ("409", "kept beside the first for a person: another version of a UID, or another patient"),
            ("413", "larger than allowed; not kept"), ("422", "cannot be read; kept in quarantine, with the reason"),
            ("400", "no file, or the transfer broke off; not kept"),
            *((str(code), f"{kind.__name__}; not acknowledged") for kind, code in ecg.web.STATUS.items() if code != 400))), ""]


def _table(head: tuple[str, ...], rows) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)]


def _triple(values: tuple[int, ...]) -> str:
    return ", ".join(f"{value:02X}" for value in values)


def _ticks(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _replaced(rule: str, names: dict[str, str]) -> str:
    for short, long in names.items():
        rule = rule.replace(short, long)
    return rule


def _first_sentence(docstring: str) -> str:
    return docstring.strip().partition("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    print(page(), end="")
