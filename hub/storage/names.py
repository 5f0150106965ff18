"""The index of patients' names: rows of (site, form, kind, patient) that a search begins with; and that of referring physicians'.

The promise: whoever enters a patient calls ``enter`` in the same transaction (hub.storage.patients), so that a name is found
from the moment it stands. A pattern that begins with a literal costs as much as it has hits.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, bindparam, exists, false, literal_column, or_, select
from sqlalchemy import text as written
from sqlalchemy.sql.selectable import GenerativeSelect

from hub import rulebook
from hub.model import name_search
from hub.model.name_search import BESIDE, FUZZY, IN_LATIN, INITIALS, LATIN, LATIN_LATER, LATINS, LITERAL, SOUNDED, SOUNDED_LATER, WRITTEN, WRITTEN_LATER
from hub.model.names import NameRules, is_hanzi
from hub.storage import driver
from hub.storage.fitting import fitted
from hub.storage.tables import patient_name, physician_name, site, study

LAST = "\U0010ffff"      # sorts after every other character
Ask = tuple[str, str, tuple[int, ...]]      # how a form is asked to fit, the pattern, the kinds of forms


def heading(*names: str) -> dict[str, str]:
    """The columns of a patient's row by which the studies of all who are called alike are kept together."""
    found = name_search.heading(names, _rules())
    return {"head": found.character, "sound": found.sound}


def surname_asked(text: str) -> dict[str, str] | None:
    """The values of the same columns for those whom a text may mean by their surname ("" is anything), or None."""
    found = name_search.surname_asked(text, _rules())
    return None if found is None else {"head": found.character, "sound": found.sound}


def enter(connection: Connection, patient_id: int, site_id: int, *names: str) -> None:
    """Makes a new patient findable under these names."""
    driver.put_all(connection, patient_name, [
        {"site_id": site_id, "form": form, "kind": kind, "patient_id": patient_id} for form, kind in name_search.forms(names, _rules())])


def enter_physician(connection: Connection, site_id: int, name: str | None) -> None:
    """Makes the studies of a site's referring physician findable, whose rows repeat ``name``: with component groups, as it was decoded."""
    own = fitted(physician_name, {"name": name})["name"]
    if own and not driver.fetched(connection, _PHYSICIAN, {"called": own, "site": site_id}):
        rows = [{"form": form, "kind": kind, "name": own, "site": site_id} for form, kind in name_search.forms((own,), _rules()) if kind in _OF_PHYSICIANS]
        if rows:
            connection.execute(_PHYSICIAN_ENTERED, rows)


_OF_PHYSICIANS = (WRITTEN, WRITTEN_LATER, SOUNDED, SOUNDED_LATER, INITIALS)
_PHYSICIAN = select(physician_name.c.kind).where(physician_name.c.name == bindparam("called"), physician_name.c.site_id == bindparam("site")).limit(1)
_PHYSICIAN_ENTERED = written(      # another sender may enter the same one at the same moment
    "INSERT INTO physician_name (form, kind, name, site_id) VALUES (:form, :kind, :name, :site) ON CONFLICT DO NOTHING")


@dataclass(frozen=True)
class Way:
    """One condition on a row of the index: what is asked of its form (see ``test``) and of which kinds. Its text is a parameter, so
    that questions of one shape are one statement."""

    how: str
    kinds: tuple[int, ...]
    name: str


@dataclass(frozen=True)
class Looks:
    """What is asked of names: of one of ``values`` every component group must fit in one of its ways. ``at_site``: of the patients of
    the site in the parameter ``site``; else of every site's."""

    values: tuple[tuple[tuple[Way, ...], ...], ...]
    at_site: bool

    @property
    def plain(self) -> Way | None:
        """What is asked, where that is one way for names as they are written, from a known first character on."""
        ways = [way for groups in self.values for ways in groups for way in ways]
        return ways[0] if len(ways) == 1 and ways[0].kinds == (WRITTEN,) and ways[0].how in ("begins", "headed") else None

    def patients(self) -> GenerativeSelect:
        """The ids of those who fit, one look for each way: of ways joined by OR, SQLite would read a site's names from end to end."""
        return _all([select(patient_name.c.patient_id).where(*asked) for asked in self._asked()])

    def studies(self) -> GenerativeSelect:
        """The ids of their studies, found one after the other, some perhaps more than once."""
        return _all([select(study.c.id).join_from(patient_name, study, study.c.patient_id == patient_name.c.patient_id).where(*asked) for asked in self._asked()])

    def physicians(self) -> GenerativeSelect:
        """The referring physicians that fit: site and name, as its studies repeat it, some perhaps more than once."""
        own = [physician_name.c.site_id == bindparam("site")] if self.at_site else []
        return _all([select(physician_name.c.site_id, physician_name.c.name).where(*own, self._names_physician(groups, physician_name)) for groups in self.values])

    def fits_physician(self, site_id: ColumnElement, called: ColumnElement) -> ColumnElement:
        """That the physician of that name at the site fits: where that is asked of one study after the other."""
        other = physician_name.alias()
        return or_(*(some(called, other.c.name == called, other.c.site_id == site_id, self._names_physician(groups, other)) for groups in self.values))

    @staticmethod
    def _names_physician(groups: tuple[tuple[Way, ...], ...], rows: FromClause) -> ColumnElement:
        others = [(physician_name.alias(), ways) for ways in groups[1:]]
        return and_(or_(*(_condition(way, rows.c.form, rows.c.kind) for way in groups[0])),
                    *(rows.c.name.in_(select(other.c.name).where(or_(*(_condition(way, other.c.form, other.c.kind) for way in ways)))) for other, ways in others))

    def fits(self, owner: ColumnElement) -> ColumnElement:
        """That the patient in the column ``owner`` fits: where that is asked of one patient after the other."""
        return or_(*(and_(*(self._has(ways, owner) for ways in groups)) for groups in self.values))

    def _asked(self) -> Iterator[list[ColumnElement]]:
        own = patient_name.c.site_id
        for groups in self.values:
            others = [self._has(ways, patient_name.c.patient_id) for ways in groups[1:]]
            for way in groups[0]:
                # Some have an index without the site; of the others each site's are a range of their own.
                sites = [own == bindparam("site")] if self.at_site else [] if way.kinds == (WRITTEN,) or set(way.kinds) <= {*LATINS, BESIDE} else [own.in_(select(site.c.id))]
                yield [*sites, _condition(way, patient_name.c.form, patient_name.c.kind), *others]

    @staticmethod
    def _has(ways: tuple[Way, ...], owner: ColumnElement) -> ColumnElement:
        other = patient_name.alias()      # another name for the table, for a look into the same index beside it
        kind = other.c.kind + literal_column("0")      # not as the indexes of one kind have it: planners that expect few of a name would read all of them for each row
        return some(owner, other.c.patient_id == owner, or_(*(_condition(way, other.c.form, kind) for way in ways)))


def like_one_of(values: tuple[str, ...], at_site: bool, likeness: str, prefix: str) -> tuple[Looks, dict[str, str]]:
    """Names that fit one of some DICOM patterns (``*`` and ``?``; PS3.4 C.2.2.2), and the texts of its parameters, whose names begin
    with ``prefix``. ``likeness``: one of hub.model.name_search."""
    return _apart([[_ways(group, likeness) for group in name_search.groups(value)] or [[("any", "", ())]] for value in values], at_site, prefix)


def beginning(text: str, at_site: bool, prefix: str = "name") -> tuple[Looks, dict[str, str]]:
    """Names that begin so, from any of their characters, syllables or words on, written, sounded or in initials."""
    return _apart([[_begun(plain) for plain in _plain_groups(text)] or [[("none", "", ())]]], at_site, prefix)


def beginning_in_latin(text: str, at_site: bool, prefix: str = "latin") -> tuple[Looks, dict[str, str]] | None:
    """Names known in Latin letters only that read as this Chinese text does, from any of their syllables on; None for a text that
    is not Chinese."""
    ways = [_read(plain) for plain in _plain_groups(text)]
    return _apart([ways], at_site, prefix) if ways and all(ways) else None


def some(owner: ColumnElement, *asked: ColumnElement) -> ColumnElement:
    """That a row is there for the owner's row: looked for row by row. The offset keeps PostgreSQL from gathering all such rows first."""
    return exists(select(literal_column("1")).where(*asked).offset(0).correlate(owner.table))


def how_asked(pattern: str) -> str:
    """How a text is asked to fit a DICOM pattern, in which ``*`` and ``?`` are wildcards: "is", "begins", "fits", or "headed" for a
    pattern that begins with letters and does not end with them."""
    if "*" not in pattern and "?" not in pattern:
        return "is"
    head = _head(pattern)
    return "begins" if head and pattern == f"{head}*" else "headed" if head else "fits"


def test(column: ColumnElement, how: str, name: str) -> ColumnElement:
    """That a column fits the parameters of ``texts``. Of texts sorted by their bytes all but "fits" is a range of an index."""
    if how in ("any", "none"):
        return column >= "" if how == "any" else false()
    if how == "is":
        return column == bindparam(name)
    begins = and_(column >= bindparam(name), column < bindparam(f"{name}_end"))
    fits = column.ilike(bindparam(f"{name}_like"), escape="\\")
    return {"begins": begins, "fits": fits, "headed": and_(begins, fits)}[how]


def texts(pattern: str, how: str, name: str) -> dict[str, str]:
    """The parameters of ``test``."""
    if how in ("any", "none"):
        return {}
    if how == "is":
        return {name: pattern}
    head = _head(pattern)
    ends = {} if how == "fits" else {name: head, f"{name}_end": head + LAST}
    return ends if how == "begins" else ends | {f"{name}_like": _as_like(pattern)}


def _head(pattern: str) -> str:
    return pattern[:min((at for at in (pattern.find("*"), pattern.find("?")) if at >= 0), default=len(pattern))]


def _all(looks: list[Select]) -> GenerativeSelect:
    return looks[0].union_all(*looks[1:]) if len(looks) > 1 else looks[0]


def _condition(way: Way, form: ColumnElement, kind: ColumnElement) -> ColumnElement:
    fits = test(form, way.how, way.name)
    if not way.kinds:
        return fits
    if set(way.kinds) <= {*LATINS, BESIDE}:
        fits = and_(fits, kind >= literal_column(str(LATIN)))      # as the index of Latin forms has it
    written = [literal_column(str(one)) for one in way.kinds]
    return and_(fits, kind.in_(written) if len(written) > 1 else kind == written[0])


def _apart(values: list[list[list[Ask]]], at_site: bool, prefix: str) -> tuple[Looks, dict[str, str]]:
    """The shape of a question apart from its texts."""
    number, told, shape = count(), {}, []
    for groups in values:
        shape.append([])
        for ways in groups:
            named = [(how, pattern, kinds, f"{prefix}{next(number)}") for how, pattern, kinds in ways]
            shape[-1].append(tuple(Way(how, kinds, name) for how, _, kinds, name in named))
            for how, pattern, _, name in named:
                told |= texts(pattern, how, name)
    return Looks(tuple(tuple(groups) for groups in shape), at_site), told


def _ways(group: str, likeness: str) -> list[Ask]:
    is_plain = "*" not in group and "?" not in group
    if likeness == IN_LATIN:
        return _read(group.rstrip("*")) or [("none", "", ())]
    if likeness == FUZZY and is_plain:
        return _begun(group)
    ways = [_like(name_search.folded(group, _rules()), WRITTEN, WRITTEN_LATER)]
    if likeness != LITERAL:
        sounds = name_search.sounds(group, _rules())
        ways += [_like(sound, SOUNDED, SOUNDED_LATER) for sound in sounds if sound.strip("*?")]
        ways += [(how_asked(sound), sound, (INITIALS,)) for sound in sounds[:1] if sound.strip("*?")]
    return ways


def _begun(text: str) -> list[Ask]:
    written = name_search.folded(text, _rules())
    ways: list[Ask] = [("begins", f"{written}*", (WRITTEN, WRITTEN_LATER))] if written else []
    ways += [("begins", f"{sound}*", (SOUNDED, SOUNDED_LATER, INITIALS)) for sound in name_search.sounds(text, _rules())]
    return ways or [("none", "", ())]


def _read(text: str) -> list[Ask]:
    """Of a Chinese text: from a name's beginning on as a surname is read, from its other syllables on as other characters are."""
    whole, later = name_search.readings(text, _rules())
    return [("begins", f"{sound}*", (LATIN,)) for sound in whole] + [("begins", f"{sound}*", (LATIN_LATER,)) for sound in later]


def _like(pattern: str, whole: int, later: int) -> Ask:
    """A pattern that begins with ``*`` and a Chinese character is answered by the forms that begin there."""
    inside = pattern.lstrip("*")
    if inside != pattern and inside and is_hanzi(inside[0]):
        return how_asked(inside), inside, (whole, later)
    return how_asked(pattern), pattern, (whole,)


def _plain_groups(text: str) -> list[str]:
    return [plain for group in name_search.groups(text) if (plain := group.replace("*", "").replace("?", ""))]


def _as_like(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def _rules() -> NameRules:
    return rulebook.load().identity.names
