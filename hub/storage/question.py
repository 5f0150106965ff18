"""What is asked of the index of studies, series and instances: the keys of a query, and its shape apart from texts and numbers."""
from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import func

from hub.model.name_search import LITERAL
from hub.storage import referrers
from hub.storage.names import Looks
from hub.storage.tables import instance, patient, series, study


@dataclass(frozen=True)
class Match:
    """One key of a DICOM query (PS3.4 C.2.2.2): any of ``values``, in which ``*`` and ``?`` are wildcards, or a
    range from ``low`` to ``high`` ("" is open). ``field``: a name of FIELDS. Dates 2026-03-01, times 08:15:00, moments
    2026-03-01T08:15:00: a study of which the day alone is known fits where a moment of its day would.
    ``likeness``: of names, how they may fit (hub.model.name_search)."""

    field: str
    values: tuple[str, ...] = ()
    low: str = ""
    high: str = ""
    likeness: str = LITERAL


FIELDS = {
    "study_uid": study.c.study_uid, "accession_number": study.c.accession_number, "description": study.c.description,
    "institution": study.c.institution, "study_number": study.c.study_number, "referring_physician": study.c.referring_physician, "study_date": study.c.study_at, "study_moment": study.c.study_at, "study_time": func.substr(study.c.study_at, 12, 8),
    "patient_id": patient.c.patient_id, "patient_name": patient.c.name, "birth_date": patient.c.birth_date, "sex": patient.c.sex,
    "modalities_in_study": series.c.modality, "series_uid": series.c.series_uid, "modality": series.c.modality,
    "series_number": series.c.number, "series_description": series.c.description, "body_part": series.c.body_part,
    "sop_uid": instance.c.sop_uid, "sop_class": instance.c.sop_class, "instance_number": instance.c.number,
}
OF_PATIENT = ("patient_id", "patient_name", "birth_date", "sex")
OF_SERIES = ("series_uid", "modality", "series_number", "series_description", "body_part")
OF_INSTANCE = ("sop_uid", "sop_class", "instance_number")
DATES = ("study_date", "study_moment")
NUMBERS = ("series_number", "instance_number")
# Keys with an index of their own, those that are rarest first.
INDEXED = ("study_uid", "sop_uid", "series_uid", "accession_number", "patient_id", "study_number", "patient_name", "referring_physician", "study_moment", "study_date", "modalities_in_study", "modality")


@dataclass(frozen=True)
class Key:
    """The shape of one match: how its field is asked (hub.storage.names.how_asked; "in": one of several; "from" and "to": the ends
    of a range; "timed_from": where on the first day it begins), of patients' names their looks, of physicians' theirs. ``name``: with
    which its parameters begin."""

    field: str
    asked: tuple[str, ...]
    looks: Looks | None
    name: str
    physicians: Looks | None = None


@dataclass(frozen=True)
class Question:
    """All keys of a query in one shape. ``settled``: the place of the key whose few studies are given by their ids, or None, ``given``:
    with how many parameters (hub.storage.driver.given_ids);
    ``gathered``: the places of names whose patients are gathered before all else. ``noted``: of those whose patients are noted, so that
    each study that is met is soon asked. ``at_site``: of the site in ``site`` only.
    ``referred``: with how many parameters the physicians are given, one by one, of whom each has his studies in an order of his own
    (hub.storage.referrers), or 0.
    ``is_near``: of the newest studies only, those with ids above ``floor``, or ``by_date`` with dates. ``headed``: the place of a name of which all that fit begin
    with the character in ``head``; ``is_whole``: and all that begin so fit."""

    keys: tuple[Key, ...]
    at_site: bool
    settled: int | None = None
    given: int = 0
    gathered: tuple[int, ...] = ()
    noted: tuple[int, ...] = ()
    referred: int = 0
    is_near: bool = False
    headed: int | None = None
    is_whole: bool = False

    @property
    def names(self) -> tuple[int, ...]:
        """The places of patients' names."""
        return tuple(place for place, key in enumerate(self.keys) if key.looks is not None)

    @property
    def leader(self) -> Key | None:
        """A modality that leads through its own index, newest study first; None where another key or a site leads sooner."""
        found = [key for key in self.keys if key.field in ("modalities_in_study", "modality") and key.asked == ("is",)]
        return found[0] if found and not (self.at_site or self.names or self.by_date or self.settled is not None) else None

    @property
    def by_date(self) -> bool:
        """Whether its studies are shown by their own date: those of a range, and of a physician, lie together in that order, not in that of arrival."""
        return bool(self.dates or self.physician)

    @property
    def physician(self) -> Key | None:
        """The first name of a referring physician that is asked for."""
        return next((key for key in self.keys if key.physicians is not None), None)

    @property
    def dates(self) -> tuple[Key, ...]:
        """Its ranges of the study's date."""
        return tuple(key for key in self.keys if key.field in DATES)

    @property
    def of_newest(self) -> Question | None:
        """The same of the newest studies alone: where many bear the name, the newest do, or few with all the rest, and of so many
        physicians' the newest are met soon. None where the whole is answered as soon."""
        if self.settled is not None:
            return None
        if self.referred > referrers.AT_ONCE:
            return replace(self, referred=0, is_near=True)
        is_met = set(self.names) - set(self.gathered) and not self.by_date and not (self.is_whole and len(self.keys) == 1)
        return replace(self, is_near=True) if is_met else None

    @property
    def looked_up(self) -> Question:
        """The same where no studies are met one after the other: those of every physician or, without one, of every patient who fits are found first."""
        return self if self.referred else replace(self, gathered=self.names, headed=None, is_whole=False)
