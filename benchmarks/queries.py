"""Time of the hub's questions over a county's index: worklist, clinic's page, C-FIND and QIDO-RS; and of taking in.

    python benchmarks/queries.py [--sizes 10000,100000,480000] [--postgresql 5000000] [--times 150]
                                 [--write docs/benchmarks.md] [--graph docs/images/queries.svg] [--keep FOLDER]

Each question is asked with other values every time, in one process, without the network: the worklist and the clinic's
page as rows and counts, C-FIND from its keys to its answers as data sets, QIDO-RS from the request, as a server hands
it to the hub, to the JSON. The audit entry of a C-FIND, one synchronised write, has a line of its own. Sizes are
studies; a database is filled by county_index. PostgreSQL is started from Debian's package, with synchronisation on, and
stopped at the end.
"""
from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from flask import Flask
from werkzeug.test import EnvironBuilder

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.chart import lines as chart  # noqa: E402
from benchmarks.county_index import SITES, SURNAMES, fill  # noqa: E402
from benchmarks.page import put  # noqa: E402
from benchmarks.store_servers import free_port  # noqa: E402
from dicom_gateway.identifier import Inquiry  # noqa: E402
from dicom_gateway.services import find  # noqa: E402
from dicom_gateway.web.query import alike, match_of  # noqa: E402
from dicom_gateway.web.routes import blueprint  # noqa: E402
from hub.context import Hub, open_hub  # noqa: E402
from hub.flow import dispatch, intake, studies, worklist  # noqa: E402
from hub.flow.devices import Device  # noqa: E402
from hub.flow.worklist import Filters  # noqa: E402
from hub.model.access import Actor  # noqa: E402
from hub.model.arrival import InstanceFacts, PatientFacts, StoredFile  # noqa: E402
from hub.model.name_search import SOUND  # noqa: E402
from hub.settings import load  # noqa: E402
from hub.storage import migration  # noqa: E402
from hub.storage.tables import patient, patient_name, study  # noqa: E402
from sqlalchemy import select  # noqa: E402

READER = Actor(1, "reader", "reader")
NEWEST = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEYS = frozenset(("00100010", "00100020", "00100030", "00100040", "00080020", "00080030", "00080050", "00080061", "0020000D", "00201206", "00201208"))
FAMILIES = ("worklist", "clinic", "C-FIND", "QIDO-RS")
TAKEN = 400        # instances of one round of taking in, four a study


@dataclass(frozen=True)
class Someone:
    """A patient of the index, with one study."""

    site: int
    number: str
    name: str
    sound: str
    accession: str
    day: str
    physician: str
    study_number: str


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", default="10000,100000,480000")
    options.add_argument("--postgresql", type=int, default=0)
    options.add_argument("--at", help="URL of a PostgreSQL server with filled databases big and small, instead of one that is started")
    options.add_argument("--times", type=int, default=150)
    options.add_argument("--write", type=Path)
    options.add_argument("--graph", type=Path)
    options.add_argument("--keep", type=Path, help="folder of filled SQLite databases, made where they are missing")
    chosen = options.parse_args()
    told: dict[str, dict[str, tuple[float, float]]] = {}
    taken: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(prefix="queries-bench-", ignore_cleanup_errors=True) as place:
        folder = chosen.keep or Path(place)
        for size in (int(part) for part in chosen.sizes.split(",") if part):
            with filled(folder / str(size), "", size) as hub, filled(Path(place) / f"empty{size}", "", 0) as empty:
                label = f"{size:,} SQLite"
                told[label] = {name: quantiles(values) for name, values in measured(hub, chosen.times, random.Random(size)).items()}
                taken[label] = take_in(empty, hub)
            print(label, told[label], taken[label], flush=True)
        if chosen.postgresql:
            with nullcontext(chosen.at) if chosen.at else server(Path(place)) as url, filled(Path(place) / "pg", f"{url}/big", chosen.postgresql) as hub, filled(Path(place) / "pgempty", f"{url}/small", 0) as empty:
                label = f"{chosen.postgresql:,} PostgreSQL"
                told[label] = {name: quantiles(values) for name, values in measured(hub, chosen.times, random.Random(chosen.postgresql)).items()}
                taken[label] = take_in(empty, hub)
            print(label, told[label], taken[label], flush=True)
    lines = table(told, taken, chosen.times)
    print("\n".join(lines))
    if chosen.write:
        put(chosen.write, "Queries at scale", lines)
    if chosen.graph:
        chosen.graph.write_text(graph(told), "utf-8")


@contextmanager
def filled(folder: Path, url: str, size: int) -> Iterator[Hub]:
    """A hub on a database with ``size`` studies, filled where it is empty."""
    hub = open_hub(replace(load(environ={}), data_dir=str(folder), database_url=url, free_space_floor_mb=0))
    migration.migrate(hub.engine)
    with hub.reading() as connection:
        is_empty = connection.scalar(select(study.c.id).limit(1)) is None
    if is_empty:
        began = time.perf_counter()
        fill(hub.engine, max(size, 200), NEWEST)
        print(f"filled {size:,} in {time.perf_counter() - began:.0f} s", flush=True)
    yield hub
    hub.close()


def measured(hub: Hub, times: int, chance: random.Random, only: str = "") -> dict[str, list[float]]:
    """Milliseconds of processor time of every question, by its name, so that a busy machine does not show."""
    clock = processor_clock(hub, time.thread_time)
    people = some_people(hub, times, chance)
    asked = {name: put for name, put in questions(hub, chance).items() if name.startswith(only)}
    for put_question in asked.values():
        for person in people[:5]:
            put_question(person)
    told: dict[str, list[float]] = {name: [] for name in asked}
    for person in people:                       # in turns: what else the machine does falls on all alike
        for name, put_question in asked.items():
            began = clock()
            put_question(person)
            told[name].append((clock() - began) * 1e3)
    return told


def questions(hub: Hub, chance: random.Random) -> dict[str, Callable[[Someone], object]]:
    """Every question by its name, each about somebody."""
    app = Flask("benchmark")
    app.register_blueprint(blueprint(hub, lambda: READER), url_prefix="/dicomweb")
    ask = partial(qido, app, EnvironBuilder("/dicomweb/studies").get_environ())
    return {
        "worklist: queue": lambda p: worklist.listed(hub, READER, Filters()),
        "worklist: queue, modality": lambda p: worklist.listed(hub, READER, Filters(modality=chance.choice(("CT", "DX", "ECG", "MG")))),
        "worklist: queue, site": lambda p: worklist.listed(hub, READER, Filters(site_id=p.site)),
        "worklist: signed": lambda p: worklist.listed(hub, READER, Filters(state="done", page=chance.randint(1, 5))),
        "worklist: signed, site": lambda p: worklist.listed(hub, READER, Filters(state="done", site_id=p.site)),
        "worklist: signed, modality, urgency": lambda p: worklist.listed(hub, READER, Filters(state="done", modality="MG", urgency="urgent")),
        "worklist: to review": lambda p: worklist.listed(hub, READER, Filters(state="review")),
        "worklist: signed, name": lambda p: worklist.listed(hub, READER, Filters(state="done", text=p.name)),
        "worklist: signed, pinyin": lambda p: worklist.listed(hub, READER, Filters(state="done", text=p.sound)),
        "worklist: signed, surname": lambda p: worklist.listed(hub, READER, Filters(state="done", text=p.name[:1])),
        "worklist: signed, number": lambda p: worklist.listed(hub, READER, Filters(state="done", text=p.number)),
        "worklist: counts": lambda p: worklist.counts(hub, READER),
        "worklist: mark of change": lambda p: worklist.token(hub),
        "clinic: all": lambda p: dispatch.for_clinic(hub, clinic(p)),
        "clinic: no report yet": lambda p: dispatch.for_clinic(hub, clinic(p), state="waiting"),
        "clinic: new reports": lambda p: dispatch.for_clinic(hub, clinic(p), state="new"),
        "clinic: sent back": lambda p: dispatch.for_clinic(hub, clinic(p), state="bounced"),
        "clinic: name": lambda p: dispatch.for_clinic(hub, clinic(p), text=p.name),
        "C-FIND: patient ID": lambda p: c_find(hub, p, PatientID=p.number),
        "C-FIND: name with wildcard": lambda p: c_find(hub, p, PatientName=f"{p.name[:2]}*"),
        "C-FIND: pinyin with wildcard": lambda p: c_find(hub, p, PatientName=f"{p.sound[:-1]}*"),
        "C-FIND: a day and modality": lambda p: c_find(hub, p, StudyDate=p.day, ModalitiesInStudy="CT"),
        "C-FIND: accession number": lambda p: c_find(hub, p, AccessionNumber=p.accession),
        "C-FIND: referring physician, a week": lambda p: c_find(hub, p, ReferringPhysicianName=p.physician, StudyDate=week(p.day)),
        "QIDO-RS: patient ID": lambda p: ask(PatientID=p.number),
        "QIDO-RS: name with wildcard": lambda p: ask(PatientName=f"{p.name[:2]}*", limit="50"),
        "QIDO-RS: surname": lambda p: ask(PatientName=f"{p.name[:1]}*", limit="50"),
        "QIDO-RS: a week and modality": lambda p: ask(StudyDate=week(p.day), ModalitiesInStudy="CT", limit="50"),
        "QIDO-RS: rare modality": lambda p: ask(ModalitiesInStudy="MG", limit="50"),
        "QIDO-RS: accession number": lambda p: ask(AccessionNumber=p.accession),
        "QIDO-RS: referring physician": lambda p: ask(ReferringPhysicianName=f"{p.physician}*", limit="50"),
        "QIDO-RS: study ID": lambda p: ask(StudyID=p.study_number, limit="50"),
        "audit entry of a C-FIND": lambda p: studies.queried(hub, device_at(p), "study", [match_of("PatientID", "PatientID", p.number)], 1),
    }


def some_people(hub: Hub, count: int, chance: random.Random) -> list[Someone]:
    with hub.reading() as connection:
        last = connection.scalar(select(study.c.id).order_by(study.c.id.desc()).limit(1))
        wanted = [chance.randint(1, last) for _ in range(count)]
        rows = connection.execute(
            select(study.c.site_id, patient.c.patient_id, patient.c.name, patient_name.c.form, study.c.accession_number, study.c.study_at,
                   study.c.referring_physician, study.c.study_number)
            .join(patient, patient.c.id == study.c.patient_id).join(patient_name, (patient_name.c.patient_id == patient.c.id) & (patient_name.c.kind == 2))
            .where(study.c.id.in_(wanted))).all()
    people = [Someone(row.site_id, row.patient_id, row.name, row.form, row.accession_number, row.study_at[:10].replace("-", ""),
                      row.referring_physician or "王^五", row.study_number or "1") for row in rows]
    chance.shuffle(people)
    return people


def clinic(person: Someone) -> Actor:
    return Actor(2, "clinic", "clinic", person.site)


def device_at(person: Someone) -> Actor:
    return Actor(None, "CT", "device", person.site)


def c_find(hub: Hub, person: Someone, **keys: str) -> list:
    """From keys to answers, as dicom_gateway.services.find makes them, without association and audit."""
    asking = Inquiry("study", "STUDY", [alike(match_of(keyword, keyword, value), SOUND) for keyword, value in keys.items()], KEYS, "GB18030", keys)
    rows, parts = find._rows(hub, device_at(person), asking)
    return [find._identifier(hub, asking, answer) for answer in find._answers(hub, asking, rows, parts)]


def qido(app: Flask, environ: dict, **parameters: str) -> bytes:
    """From the request, as a server hands it to the hub, to the bytes of the answer."""
    said = []
    reply = app.wsgi_app({**environ, "QUERY_STRING": urlencode(parameters)}, lambda status, headers: said.append(status))
    body = b"".join(reply)
    reply.close()
    assert said[0][:3] in ("200", "204"), body
    return body


def week(day: str) -> str:
    begin = datetime.fromisoformat(day)
    return f"{begin:%Y%m%d}-{begin + timedelta(days=6):%Y%m%d}"


def take_in(empty: Hub, full: Hub, rounds: int = 3) -> tuple[float, float]:
    """Instances a second of processor time that are entered into the empty and the full index, by 16 at the same time, in turns; medians."""
    told: dict[int, list[float]] = {0: [], 1: []}
    for number in range(rounds):
        for place, hub in enumerate((empty, full)):
            clock = processor_clock(hub, time.process_time)
            began = clock()
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(partial(one_study, hub, f"{time.time_ns()}.{number}"), range(TAKEN // 4)))
            told[place].append(TAKEN / (clock() - began))
    return median(told[0]), median(told[1])


def one_study(hub: Hub, run: str, number: int) -> None:
    uid, device = f"1.2.{run}.{number}", Device(1, 1 + number % SITES, "dicom", "CT", "DEVICE1", "", "")
    person = PatientFacts(f"N{run}{number}", "王小明", "王^小明", False, "M", "1963-02-11", "063Y")
    for one in range(4):
        facts = InstanceFacts(
            kind="image", format="dicom", study_uid=uid, series_uid=f"{uid}.1", sop_uid=f"{uid}.1.{one}", sop_class="1.2.840.10008.5.1.4.1.1.2",
            transfer_syntax="1.2.840.10008.1.2.1", patient=person, modality="CT", body_part="CHEST", study_description="胸部平扫", series_description="肺窗",
            study_at="2026-11-20T08:20:00", accession_number=f"N{number}", series_number=1, instance_number=one + 1, frames=1, rows=512, columns=512,
            position_mm=5.0 * one, orientation="1,0,0,0,1,0", expected_in_series=None,
            referring_physician=f"王^{SURNAMES[number % 3]}" if number % 4 else "", study_number=str(number) if number % 3 else "")      # as the studies that are there
        intake.take(hub, device, (StoredFile("in.dcm", f"{abs(hash((uid, one))):064x}"[-64:], 524288),), facts)


def processor_clock(hub: Hub, own: Callable[[], float]) -> Callable[[], float]:
    """A clock of processor seconds: of this program (``own``), and of PostgreSQL's processes that serve it."""
    if hub.engine.dialect.name != "postgresql":
        return own
    with hub.reading() as connection:
        postmaster = int(Path(connection.exec_driver_sql("SHOW data_directory").scalar(), "postmaster.pid").read_text().split()[0])

    spent = 0.0                                    # by looking at the clock

    def clock() -> float:
        nonlocal spent
        now, served = own() - spent, 0
        for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
            with suppress(OSError):                # ended meanwhile
                served += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        spent = own() - now
        return now + served / 1e9
    return clock


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """PostgreSQL from Debian's package on a port of its own, with its default settings but for memory; yields its URL."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    place, port = folder / "postgresql", free_port()
    place.mkdir()
    folder.chmod(0o755)
    subprocess.run(["chown", "postgres", str(place)], check=True)

    def run(command: str) -> None:
        subprocess.run(["su", "postgres", "-s", "/bin/sh", "-c", f"cd {place} && {command}"], check=True, stdout=subprocess.DEVNULL)
    run(f"{programs}/initdb -D {place}/data -A trust -E UTF8 --locale=C.UTF-8")
    run(f"{programs}/pg_ctl -D {place}/data -o '-k {place} -p {port} -c listen_addresses=127.0.0.1 -c shared_buffers=1GB -c work_mem=32MB "
        f"-c maintenance_work_mem=512MB -c max_wal_size=8GB -c wal_level=minimal -c max_wal_senders=0 -c max_connections=120 -c max_parallel_workers_per_gather=0' -w -l {place}/log start")
    try:
        for name in ("big", "small"):
            run(f"{programs}/createdb -h 127.0.0.1 -p {port} {name}")
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        run(f"{programs}/pg_ctl -D {place}/data -m immediate stop")


def quantiles(values: list[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


def table(told: dict, taken: dict, times: int) -> list[str]:
    sizes = list(told)
    rows = [f"Milliseconds, p50 / p95 of {times} questions each, studies in the index, no network: processor time of the hub's thread and of PostgreSQL's processes.", "",
            "| question | " + " | ".join(sizes) + " |", "|---|" + "---|" * len(sizes)]
    for name in next(iter(told.values())):
        rows.append(f"| {name} | " + " | ".join("{:.1f} / {:.1f}".format(*told[size][name]) for size in sizes) + " |")
    for family in FAMILIES:
        rows.append(f"| **{family}: median p50, worst p95** | " + " | ".join("**{:.1f} / {:.1f}**".format(*of_family(told[size], family)) for size in sizes) + " |")
    rows += ["", "Instances a second of processor time entered by 16 at once, rows committed (new patient and study every four): " + "; ".join(
        f"{size}: {full:.0f} against {empty:.0f} into an empty index ({full / empty:.2f})" for size, (empty, full) in taken.items()) + "."]
    return rows


def of_family(told: dict[str, tuple[float, float]], family: str) -> tuple[float, float]:
    """Of a family's questions the median p50 and the worst p95."""
    own = [values for name, values in told.items() if name.startswith(family)]
    return median(p50 for p50, _ in own), max(p95 for _, p95 in own)


def graph(told: dict) -> str:
    series = {f"{family} {name}": sorted((int(size.split()[0].replace(",", "")), of_family(told[size], family)[place]) for size in told)
              for family in FAMILIES for place, name in enumerate(("median p50", "worst p95"))}
    return chart(series, "studies in the index", "milliseconds", ", ".join(told))


if __name__ == "__main__":
    main()
