"""What every test may ask for: an open hub on a database of its own, a county in it, and the real recordings.

HUB_TEST_DATABASE_URL=postgresql://user@host/database runs everything on PostgreSQL: each test gets a database
of its own, copied from a template that was migrated once.
"""
import os
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import create_engine, make_url

from hub import accounts
from hub.context import Hub, open_hub
from hub.delivery.authority import ensure_authority
from hub.flow import administration, devices
from hub.flow.devices import Device
from hub.model.access import SYSTEM, Actor
from hub.settings import Settings
from hub.storage import migration

REAL_DATA = Path(os.environ.get("HUB_TEST_DATA", Path(__file__).resolve().parents[1] / ".." / "shared" / "data")).resolve()
SERVER = os.environ.get("HUB_TEST_DATABASE_URL", "")
MORNING = datetime(2026, 5, 4, 0, 30, tzinfo=UTC)      # 08:30 in the county
PASSWORD = "Right-horse-2026"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT and ECG data; skips with a reason where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"real data not found at {REAL_DATA} (set HUB_TEST_DATA)")
    return REAL_DATA


@dataclass
class TestClock:
    """The hub's clock in the hand of the test."""

    __test__ = False
    now: datetime = MORNING

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration) -> datetime:
        self.now += timedelta(**duration)
        return self.now


@dataclass(frozen=True)
class County:
    """Two clinics, their devices, and one person of every role. ``colleague`` is a second reviewer."""

    qingshan: int
    baihe: int
    ct: Device
    other_ct: Device
    ecg: Device
    ecg_token: str
    reader: Actor
    reader2: Actor
    reviewer: Actor
    colleague: Actor
    clinic: Actor
    neighbour: Actor
    administrator: Actor
    auditor: Actor

    @property
    def everybody(self) -> tuple[Actor, ...]:
        return (self.reader, self.reader2, self.reviewer, self.colleague, self.clinic, self.neighbour, self.administrator, self.auditor)


@dataclass
class Databases:
    """Makes databases: files for SQLite, copies of a template for PostgreSQL."""

    folder: Path
    made: list[str] = field(default_factory=list)

    def new(self, folder: Path, template: str = "") -> str:
        """The URL of a new database, a copy of ``template`` where one is named."""
        if not SERVER:
            folder.mkdir(parents=True, exist_ok=True)
            if template:
                shutil.copy(template.removeprefix("sqlite:///"), folder / "hub.sqlite3")
            return f"sqlite:///{folder / 'hub.sqlite3'}"
        name = f"hub_test_{uuid.uuid4().hex}"
        like = f" TEMPLATE {make_url(template).database}" if template else ""
        self._run(f"CREATE DATABASE {name}{like}")
        self.made.append(name)
        return make_url(SERVER).set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        if SERVER:
            self._run(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
            self.made.remove(make_url(url).database)

    def drop_all(self) -> None:
        for name in self.made:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        url = make_url(SERVER).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords():
    """Hashes that cost a thousandth: what argon2 costs in earnest is slow by intent."""
    in_earnest, accounts._hasher = accounts._hasher, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield in_earnest
    accounts._hasher = in_earnest


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> Path:
    """A certificate authority made once; a test that needs one lays a copy into its hub."""
    folder = tmp_path_factory.mktemp("authority") / "keys"
    ensure_authority(folder / "authority", Settings().institution_zh, MORNING)
    return folder


@pytest.fixture(scope="session")
def databases(tmp_path_factory):
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.drop_all()


@pytest.fixture(scope="session")
def migrated_template(databases) -> str:
    """A database with the newest schema and no rows."""
    url = databases.new(databases.folder / "migrated")
    with _open(databases.folder / "migrated", url) as hub:
        migration.migrate(hub.engine)
    _settle(url)
    return url


@pytest.fixture(scope="session")
def county_template(databases, migrated_template) -> tuple[str, County]:
    """A database with a county in it."""
    url = databases.new(databases.folder / "county", migrated_template)
    with _open(databases.folder / "county", url) as hub:
        county = _make_county(hub)
    _settle(url)
    return url, county


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def empty_hub(tmp_path, databases, migrated_template, clock):
    """An open hub without rows, in a folder of its own, under a clock that the test moves."""
    url = databases.new(tmp_path / "data", migrated_template)
    with _open(tmp_path / "data", url, clock) as hub:
        yield hub
    databases.drop(url)


@pytest.fixture
def hub(tmp_path, databases, county_template, clock):
    """An open hub with the county in it, in a folder of its own, under a clock that the test moves."""
    url = databases.new(tmp_path / "data", county_template[0])
    with _open(tmp_path / "data", url, clock) as opened:
        yield opened
    databases.drop(url)


@pytest.fixture
def county(county_template) -> County:
    """Who and what is in ``hub``."""
    return county_template[1]


def with_settings(hub: Hub, **values) -> Hub:
    """The same hub under other settings."""
    return replace(hub, settings=replace(hub.settings, **values))


@contextmanager
def _open(folder: Path, url: str, clock=TestClock()):
    hub = open_hub(Settings(data_dir=str(folder), database_url=url, free_space_floor_mb=0), clock)
    try:
        yield hub
    finally:
        hub.close()


def _settle(url: str) -> None:
    """Folds the write-ahead log into the file, so that a copy of the file is the whole database."""
    if not SERVER:
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()


def _make_county(hub: Hub) -> County:
    qingshan = administration.create_site(hub, SYSTEM, code="QS", name="青山镇卫生院", phone="0999-1234501")
    baihe = administration.create_site(hub, SYSTEM, code="BH", name="白河乡卫生院", phone="0999-1234502")

    def dicom(site_id: int, name: str, ae_title: str) -> Device:
        device_id, _ = devices.register(hub, SYSTEM, site_id=site_id, kind="dicom", name=name, ae_title=ae_title)
        return Device(device_id, site_id, "dicom", name, ae_title, "", "")

    def person(username: str, name: str, role: str, site_id: int | None = None) -> Actor:
        account_id = accounts.create(hub, SYSTEM, username=username, password=PASSWORD, display_name=name, role=role, site_id=site_id)
        return Actor(account_id, name, role, site_id, "10.0.0.7")

    ecg_id, token = devices.register(hub, SYSTEM, site_id=qingshan, kind="ecg", name="青山心电图机")
    return County(
        qingshan, baihe, dicom(qingshan, "青山 CT", "QINGSHAN_CT"), dicom(baihe, "白河 CT", "BAIHE_CT"),
        Device(ecg_id, qingshan, "ecg", "青山心电图机", "", "", ""), token,
        person("reader", "王报告", "reader"), person("reader2", "赵报告", "reader"), person("reviewer", "李审核", "reviewer"),
        person("colleague", "孙审核", "reviewer"), person("qingshan", "青山卫生院", "clinic", qingshan),
        person("baihe", "白河卫生院", "clinic", baihe), person("admin", "管理员", "administrator"), person("auditor", "审计员", "auditor"))


_must_run = {marker for marker in os.environ.get("HUB_TEST_MUST_RUN", "").split(",") if marker}
_left_out: list[str] = []


def pytest_runtest_logreport(report):
    """Notes every skipped test that bears a marker which HUB_TEST_MUST_RUN names."""
    if report.skipped and not hasattr(report, "wasxfail") and _must_run & set(report.keywords):
        _left_out.append(report.nodeid)


def pytest_sessionfinish(session, exitstatus):
    """Fails the run when a test that must run here was skipped."""
    if _left_out and exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter):
    """Says whether browser journeys could be run, and which required tests were skipped."""
    if shutil.which("chromium") is None:
        terminalreporter.write_line("No Chromium found: browser journeys were not run.")
    for nodeid in _left_out:
        terminalreporter.write_line(f"must run here, but was skipped: {nodeid}", red=True)
