"""Retention judges many studies at once: each gets the verdict that it would get alone, and the one that was built into it."""
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import event, insert, select, update

from hub.flow import known, retention, terms
from hub.storage.tables import (
    availability, critical, damage, delivery, destination, held, instance, job, legal_hold, patient, person, person_link, reading, removal, repair, report, series, study,
)

NOW = datetime(2060, 5, 4, tzinfo=UTC)
ORDER = ("unreported", "on_hold", "in_conflict", "damaged", "corrected", "unsent", "critical", "at_work")


class Mixture:
    """Studies of 2026, each with reasons to stay that were drawn for it; what must come out stands in ``expected``."""

    def __init__(self, hub, county, seed: int):
        self.hub, self.county, self.random, self.expected = hub, county, Random(seed), {}

    def build(self, count: int) -> None:
        with self.hub.writing() as self.connection:
            self.to = self.add(destination, site_id=self.county.qingshan, channel="availability", address={}, created_at=NOW)
            for number in range(count):
                self._one(number)

    def add(self, table, **values) -> int:
        return self.connection.execute(insert(table).values(**values)).inserted_primary_key[0]

    def _one(self, number: int) -> None:
        drawn = [code for code in ORDER if self.random.random() < 0.12]
        came_again = self.random.choice(["", "", "", "same row", "other row", "in the future", "unreadable day"])
        received = datetime(2026, 5, 1 + number % 3, 2, tzinfo=UTC)
        whose = self._patient(f"p{number}")
        study_id = self._study(whose, f"1.{number}", received, "2026-05-01T09:00:00", "preparing" if "unreported" in drawn else "ready")
        if came_again == "same row":
            self._study(whose, f"2.{number}", datetime(2045, 1, 1, tzinfo=UTC), "2045-01-01T09:00:00", "receiving")
        elif came_again == "other row":
            other, one = self._patient(f"q{number}"), self.add(person, created_at=NOW)
            for row in (whose, other):
                self.add(person_link, patient_id=row, person_id=one, score=1.0, reasons=[], linked_at=NOW)
            self._study(other, f"2.{number}", datetime(2045, 1, 1, tzinfo=UTC), "", "receiving")
        elif came_again:
            self.expected[self._study(whose, f"2.{number}", received, "2099-01-01T09:00:00" if came_again == "in the future" else "nonsense", "ready")] = ""
        for code in drawn:
            if code != "unreported":
                getattr(self, f"_{code}")(study_id, number)
        if came_again not in ("same row", "other row"):
            self.expected[study_id] = drawn[0] if drawn else ""

    def _patient(self, key: str) -> int:
        return self.add(patient, site_id=self.county.qingshan, identity_key=key, patient_id=key, name=key, created_at=NOW)

    def _study(self, whose, uid, received, study_at, state) -> int:
        study_id = self.add(study, study_uid=uid, kind="image", site_id=self.county.qingshan, patient_id=whose, study_at=study_at, state=state, proof={}, problems=[],
                            flags={}, received_at=received, last_received_at=received)
        shelf = self.add(series, study_id=study_id, series_uid=f"{uid}.1")
        self.add(instance, series_id=shelf, study_id=study_id, sop_uid=f"{uid}.1.1", sha256=f"{study_id:064x}", size=7, format="dicom", declared={},
                              files=[{"name": "", "sha256": f"{study_id:064x}", "size": 7}], notes=[], received_at=received)
        self.add(reading, study_id=study_id, state="final", rank=1, deadline_at=NOW, queued_at=NOW, changed_at=NOW)
        return study_id

    def _report(self, study_id, pdf_sha256="0" * 64) -> int:
        of = self.connection.scalar(select(reading.c.id).where(reading.c.study_id == study_id))
        version = len(self.connection.execute(select(report.c.id).where(report.c.reading_id == of)).all()) + 1
        return self.add(report, reading_id=of, study_id=study_id, version=version, content={}, reader_id=self.county.reader.account_id, submitted_at=NOW, signed_at=NOW,
                        pdf_sha256=pdf_sha256)

    def _on_hold(self, study_id, _number):
        self.add(legal_hold, study_id=study_id, why="医疗纠纷", who="管理员", at=NOW)

    def _in_conflict(self, study_id, number):
        own = self.connection.scalar(select(instance.c.id).where(instance.c.study_id == study_id))
        facts = {"study_uid": f"1.{number}"} if number % 2 else {}
        self.add(held, reason="other_patient", door="dicom", sha256=f"f{number:063x}", size=1, files=[], facts=facts, state="open", received_at=NOW,
                 instance_id=None if number % 2 else own)

    def _damaged(self, study_id, number):
        self.add(damage, sha256=f"d{number:063x}", source="instance", source_id=1, study_id=study_id, what="missing", found_at=NOW)

    def _corrected(self, study_id, _number):
        self.add(repair, study_id=study_id, level="study", tag="00080050", keyword="AccessionNumber", vr="SH", old="", new="A", at=NOW - timedelta(days=3))

    def _unsent(self, study_id, number):
        if number % 3 == 0:
            self._report(study_id, "")
        elif number % 3 == 1:
            self.add(delivery, report_id=self._report(study_id), site_id=self.county.qingshan, channel="portal", state="overdue", created_at=NOW, due_at=NOW)
        else:
            self.add(availability, study_id=study_id, destination_id=self.to, generation=0, state="refused", created_at=NOW, due_at=NOW)

    def _critical(self, study_id, _number):
        self.add(critical, study_id=study_id, site_id=self.county.qingshan, state="read_back", finding="气胸", raised_at=NOW, due_at=NOW)

    def _at_work(self, study_id, _number):
        self.add(job, kind="identify", key=str(study_id), args={"study_id": study_id}, state=self.random.choice(["due", "handed", "running"]), created_at=NOW, due_at=NOW)


def test_every_study_of_a_mixture_gets_its_own_verdict_at_once_as_alone(hub, county, clock):
    mixture = Mixture(hub, county, 11)
    mixture.build(120)
    with hub.writing() as connection:                          # ended things and other people's jobs keep nobody
        connection.execute(insert(job).values(kind="sweep", key="1", args={}, state="due", created_at=NOW, due_at=NOW))
    clock.now = NOW
    listed = retention.dry_run(hub, county.administrator).listed
    assert {one.verdict.row.id: one.verdict.stays for one in listed} == mixture.expected
    assert set(mixture.expected.values()) == {"", *ORDER}, "a mixture in which every reason occurs"
    assert {(one.instances, one.size) for one in listed} == {(1, 7)}
    with hub.reading() as connection:
        rows = connection.execute(terms.STUDIES.order_by(study.c.id)).all()
        together = terms.judged(hub, connection, rows)
        alone = [verdict for row in rows for verdict in terms.judged(hub, connection, [row])]
    assert together == alone and len(together) > len(listed)


@pytest.mark.parametrize("most, looked_at, at_once", [(5, 21, 7), (200, 21, 7), (1, 1000, 1000), (200, 20_000, 1000)])
def test_page_after_page_comes_to_every_study_once_however_many_stay(hub, county, clock, monkeypatch, most, looked_at, at_once):
    mixture = Mixture(hub, county, 11)
    mixture.build(60)
    clock.now = NOW
    monkeypatch.setattr(retention, "LOOKED_AT", looked_at)
    monkeypatch.setattr(known, "AT_ONCE", at_once)
    after, seen, pages = 0, [], 0
    while True:
        page = retention.dry_run(hub, county.administrator, after, most)
        assert len(page.listed) <= most
        seen += [(one.verdict.row.id, one.verdict.stays) for one in page.listed]
        pages += 1
        if not page.further:
            break
        assert page.further > after
        after = page.further
    assert seen == sorted(mixture.expected.items()) and (pages == 1) == (looked_at == 20_000)


def test_things_that_have_ended_keep_no_study(hub, county, clock):
    mixture = Mixture(hub, county, 5)
    mixture.build(60)      # of each pair of rows that are one person, one alone is taken away
    with hub.writing() as connection:
        for table, values in ((legal_hold, {"ended_at": NOW}), (held, {"state": "resolved"}), (damage, {"mended_at": NOW}), (delivery, {"state": "acknowledged"}),
                              (availability, {"state": "withdrawn"}), (report, {"pdf_sha256": "0" * 64}), (critical, {"state": "closed"}), (job, {"state": "failed"}),
                              (repair, {"at": NOW - timedelta(days=91)}), (study, {"state": "ready"})):
            connection.execute(update(table).values(**values))
        connection.execute(update(person_link).where((person_link.c.id % 4).in_((0, 1))).values(ended_at=NOW))
    clock.now = NOW
    listed = retention.dry_run(hub, county.administrator).listed
    assert {one.verdict.stays for one in listed} == {""}
    with hub.reading() as connection:
        parted = len(connection.execute(select(person.c.id)).all())
    assert parted > 3 and len(listed) == len(mixture.expected) + parted, "whoever is one person no more keeps no study of another"
    with hub.reading() as connection:
        assert connection.scalar(select(removal.c.id)) is None


def test_a_page_counts_the_statements_not_the_studies(hub, county, clock):
    """Twice the studies are judged with the same number of statements."""
    clock.now, mixture, counted = NOW, Mixture(hub, county, 3), []
    for _ in range(2):
        with hub.writing() as mixture.connection:
            mixture.to = mixture.add(destination, site_id=county.qingshan, channel="availability", address={}, created_at=NOW)
            for number in range(40 * len(counted), 40 * len(counted) + 40):
                mixture._one(number)
        said = []
        listen = lambda *args: said.append(args[2])      # noqa: E731
        event.listen(hub.engine, "before_cursor_execute", listen)
        retention.dry_run(hub, county.administrator)
        event.remove(hub.engine, "before_cursor_execute", listen)
        counted.append(len(said))
    assert counted[0] == counted[1]
