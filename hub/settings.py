"""Settings: one hub.toml or HUB_* variables, frozen and complete, or the hub does not start.

A variable wins over the file, the file over the default. An unknown name, a wrong type or a value out of
range stops the start with one sentence that names the setting.
"""
from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.errors import Invalid

SETTINGS_FILE = "hub.toml"
OTHER_VARIABLES = ("HUB_SETTINGS", "HUB_DEVICE_TOKEN")      # HUB_TEST_* belong to the tests
SCHEMES = {
    "database_url": ("sqlite:///", "postgresql://", "postgresql+psycopg://"),
    "redis_url": ("redis://", "rediss://", "unix://"),
    "public_url": ("http://", "https://"),
}


def _setting(default, about: str, least: float | None = None, most: float | None = None,
             choices: tuple[str, ...] = ()):
    return field(default=default, metadata={"about": about, "least": least, "most": most, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """Every setting of the hub. The field's name is the key in hub.toml; HUB_ and upper case the variable."""

    data_dir: str = _setting("data", "folder of database, files, keys and Redis; everything to back up")
    database_url: str = _setting("", "SQLAlchemy URL; empty: SQLite in data_dir")
    redis_url: str = _setting("", "Redis URL; empty: an own redis-server on a private socket in data_dir")
    web_host: str = _setting("127.0.0.1", "address that the web server listens on; 0.0.0.0 for the network")
    web_port: int = _setting(8080, "port of the web server", 1, 65535)
    web_threads: int = _setting(24, "threads of a web process; at most a third hold open worklists, half take very long uploads in", 2, 512)
    public_url: str = _setting("", "address that clinics use, printed in QR codes; empty: from host and port")
    trusted_proxies: int = _setting(0, "reverse proxies in front whose forwarded address is believed", 0, 5)
    dicom_host: str = _setting("0.0.0.0", "address that the DICOM gateway listens on")
    dicom_port: int = _setting(11112, "port of the DICOM gateway", 1, 65535)
    dicom_ae_title: str = _setting("HUB", "AE title of the DICOM gateway, at most 16 characters")
    dicom_associations: int = _setting(32, "associations at the same time", 1, 1000)
    unknown_callers: str = _setting("refuse", "what becomes of a device that is not registered: refuse it, or hold what it sends for the administrator",
                                    choices=("refuse", "hold"))
    dicom_connections: int = _setting(300, "DICOM connections at the same time, silent ones too", 8, 10000)
    dicom_connections_per_address: int = _setting(64, "of these from one address", 2, 10000)
    dicom_tls_port: int = _setting(0, "port of the DICOM gateway over TLS, 2762 by custom; 0: none", 0, 65535)
    dicom_tls_certificate: str = _setting("", "PEM file with the certificate that devices see; empty: one of the hub's own authority")
    dicom_tls_key: str = _setting("", "PEM file with its private key")
    dicom_tls_trusted: str = _setting("", "PEM file of further authorities whose certificates devices and destinations may show")
    dicom_tls_clients: str = _setting("ask", "certificates of devices over TLS", choices=("ask", "required", "off"))
    metrics_token: str = _setting("", "bearer token for GET /metrics; empty: for signed-in administrators only")
    institution_zh: str = _setting("云岭县远程影像与心电诊断中心", "name on pages and reports")
    institution_en: str = _setting("Yunling County Remote Imaging and ECG Diagnosis Centre", "its English name")
    language: str = _setting("zh", "language of pages for people who have not chosen", choices=("zh", "en"))
    timezone: str = _setting("Asia/Shanghai", "time zone of pages and reports")
    workers: int = _setting(2, "worker processes", 1, 64)
    released_quiet_s: float = _setting(3.0, "seconds of silence after the sender released before a study closes", 0.1, 3600)
    evident_quiet_s: float = _setting(1.0, "the same where the sender told how many there are, or the images are numbered without a gap", 0.1, 3600)
    study_quiet_s: float = _setting(30.0, "seconds of silence before a study closes while the sender is still connected", 0.2, 3600)
    incomplete_quiet_s: float = _setting(60.0, "seconds of silence before a study with known gaps closes all the same", 0.2, 86400)
    claim_lease_minutes: int = _setting(30, "minutes that a claimed study stays with a reader who does nothing", 1, 1440)
    session_hours: int = _setting(12, "hours until everybody must sign in again", 1, 168)
    session_idle_minutes: int = _setting(60, "minutes without a request that end a session", 1, 1440)
    sessions_per_account: int = _setting(3, "sessions of one account at the same time; the oldest ends", 1, 50)
    lockout_failures: int = _setting(5, "wrong passwords in a row that lock an account", 2, 50)
    lockout_minutes: int = _setting(15, "minutes that a locked account stays locked", 1, 1440)
    second_signature_hours: int = _setting(24, "hours until an emergency report needs its second signature", 1, 168)
    critical_minutes: int = _setting(10, "minutes until an unanswered critical value is escalated", 1, 240)
    largest_object_mb: int = _setting(4096, "largest DICOM object taken in, MB", 1, 65536)
    largest_ecg_mb: int = _setting(64, "largest ECG upload taken in, MB", 1, 1024)
    free_space_floor_mb: int = _setting(512, "free disk space below which the doors refuse, MB", 0, 10**7)
    free_space_warning_mb: int = _setting(5120, "free disk space below which the administrator is warned, MB", 0, 10**7)
    archive_after_days: int = _setting(90, "days after the final report until the originals of a study are kept packed without loss; 0: never", 0, 36500)
    archive_from_hour: int = _setting(1, "hour of the day from which studies are packed, in the time zone of the pages", 0, 23)
    archive_until_hour: int = _setting(6, "hour until which they are packed", 1, 24)
    outpatient_sites: str = _setting("", "codes of institutions without beds, parted by spaces: their studies are kept as long as outpatient records")
    fixity_mb_per_minute: int = _setting(300, "stored files that are read back and hashed again in the background, MB a minute; 0: none", 0, 100_000)
    fixity_days: int = _setting(30, "days from the beginning of one round over all stored files to the next", 1, 3650)
    delivery_give_up_hours: int = _setting(72, "hours after which an undelivered report is shown as overdue", 1, 720)
    job_lease_s: float = _setting(45.0, "seconds until the job of a vanished worker is given to another", 1, 3600)
    job_tries: int = _setting(6, "tries of a job before it is shown as failed", 1, 50)

    @property
    def folder(self) -> Path:
        return Path(self.data_dir).expanduser().absolute()

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.folder / 'hub.sqlite3'}"

    @property
    def address(self) -> str:
        """The web address people use."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "127.0.0.1" if self.web_host in ("0.0.0.0", "") else self.web_host
        return f"http://{host}:{self.web_port}"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


def load(file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings from ``file`` (HUB_SETTINGS, else ./hub.toml where it exists) and the environment.

    Raises Invalid with one sentence that names the first bad setting.
    """
    environ = os.environ if environ is None else environ
    named = file or (Path(environ["HUB_SETTINGS"]) if environ.get("HUB_SETTINGS") else None)
    values: dict[str, object] = {}
    if named is not None or Path(SETTINGS_FILE).is_file():
        values |= _read(Path(named or SETTINGS_FILE))
    known = {f.name: f for f in fields(Settings)}
    for name in values:
        if name not in known:
            raise _bad(name, "没有这个设置项", "is not a setting; see docs/settings.md")
    for variable in environ:
        name = variable.removeprefix("HUB_").lower()
        if variable.startswith("HUB_") and name not in known and variable not in OTHER_VARIABLES and not name.startswith("test_"):
            raise _bad(variable, "没有这个设置项", "is not a setting; see docs/settings.md")
    for name in known:
        if (text := environ.get(f"HUB_{name.upper()}")) is not None:
            values[name] = text
    settings = Settings(**{name: _checked(known[name], value) for name, value in values.items()})
    _check_whole(settings)
    return settings


def _check_whole(settings: Settings) -> None:
    if not settings.data_dir.strip():
        raise _bad("data_dir", "不能为空", "must name a folder")
    for name, schemes in SCHEMES.items():
        value = getattr(settings, name)
        if value and not value.startswith(schemes):
            raise _bad(name, f"应以 {' 或 '.join(schemes)} 开头", f"must begin with {' or '.join(schemes)}")
    ae = settings.dicom_ae_title
    if not 1 <= len(ae.strip()) <= 16 or not ae.isascii() or "\\" in ae:
        raise _bad("dicom_ae_title", "应为 1 至 16 个 ASCII 字符", "must be 1 to 16 ASCII characters")
    if bool(settings.dicom_tls_certificate) != bool(settings.dicom_tls_key):
        raise _bad("dicom_tls_key", "与 dicom_tls_certificate 必须同时填写或同时留空", "and dicom_tls_certificate are given together or not at all")
    for name in ("dicom_tls_certificate", "dicom_tls_key", "dicom_tls_trusted"):
        if getattr(settings, name) and not Path(getattr(settings, name)).is_file():
            raise _bad(name, "所指的文件不存在", "names a file that is not there")
    if settings.dicom_tls_port and settings.dicom_tls_port == settings.dicom_port:
        raise _bad("dicom_tls_port", "不能与 dicom_port 相同", "must differ from dicom_port")
    try:
        ZoneInfo(settings.timezone)
    except (KeyError, ValueError, OSError):
        raise _bad("timezone", "不是有效的时区名", "is not a time zone name such as Asia/Shanghai") from None


def _read(file: Path) -> dict:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise Invalid("bad_setting", f"无法读取设置文件 {file}。", f"cannot read the settings file {file}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid("bad_setting", f"设置文件 {file} 格式有误：{error}", f"the settings file {file} is not valid TOML: {error}") from None


def _checked(spec, value):
    name, kind = spec.name, type(spec.default)
    if kind is str:
        if not isinstance(value, str):
            raise _bad(name, "应为文字", "must be text")
    else:
        try:
            if isinstance(value, bool) or kind is int and isinstance(value, float):
                raise ValueError
            value = kind(value)
        except (TypeError, ValueError):
            raise _bad(name, "应为数字", "must be a number") from None
        least, most = spec.metadata["least"], spec.metadata["most"]
        if not least <= value <= most:
            raise _bad(name, f"应在 {least} 与 {most} 之间", f"must lie between {least} and {most}")
    if spec.metadata["choices"] and value not in spec.metadata["choices"]:
        allowed = " / ".join(spec.metadata["choices"])
        raise _bad(name, f"只能是 {allowed}", f"must be one of {allowed}")
    return value


def _bad(name: str, zh: str, en: str) -> Invalid:
    return Invalid("bad_setting", f"设置项 {name} 有误：{zh}。", f"setting {name} {en}.")
