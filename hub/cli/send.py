"""``hub send``: a folder of files through the real doors, C-STORE for DICOM and HTTP for ECG files."""
from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import click
from rich.console import Console
from rich.progress import Progress

from hub.cli import IMPOSSIBLE, NO, settings_of
from hub.settings import Settings

STORE = "dicom_gateway.sender:store"      # found by name (docs/decisions/0002)
WFDB_PARTS = {".hea", ".dat", ".mat"}


@dataclass
class Tally:
    """What became of the files."""

    sent: int = 0
    problems: list[str] = field(default_factory=list)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--dicom", "dicom_address", help="HOST:PORT of the gateway; default: this hub's")
@click.option("--ae-title", default="", help="the AE title that the device is registered under")
@click.option("--ecg", "ecg_address", help="address of the web server; default: this hub's")
@click.option("--token", default="", help="token of the ECG device", envvar="HUB_DEVICE_TOKEN")
@click.option("--rate", "rate_hz", help="for CSV files: samples per second")
@click.option("--unit", help="for CSV files: uV or mV")
@click.pass_context
def send(context, folder, dicom_address, ae_title, ecg_address, token, rate_hz, unit) -> None:
    """Push every file of FOLDER (or one file) through the DICOM or ECG door, as a device would."""
    declared = {name: value for name, value in (("rate_hz", rate_hz), ("unit", unit)) if value}
    tally = send_folder(settings_of(context), folder, ae_title=ae_title, token=token, console=Console(stderr=True),
                        dicom_address=dicom_address, ecg_address=ecg_address, declared=declared)
    click.echo(f"{tally.sent} sent, {len(tally.problems)} refused")
    for words in tally.problems:
        click.echo(words, err=True)
    if tally.problems:
        raise click.exceptions.Exit(NO if tally.sent else IMPOSSIBLE)


def send_folder(settings: Settings, folder: Path, *, ae_title: str, token: str, console: Console, dicom_address: str | None = None,
                ecg_address: str | None = None, declared: dict[str, str] | None = None) -> Tally:
    """Sends all files below ``folder``, hidden ones left out, and tells what became of them."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")) if folder.is_dir() else [folder]
    dicom = [path for path in files if _is_dicom(path)]
    ecgs = _ecg_groups([path for path in files if path not in set(dicom)])
    tally = Tally()
    with Progress(console=console, transient=True) as progress:
        if dicom:
            host, port = _split(dicom_address) if dicom_address else ("127.0.0.1", settings.dicom_port)
            bar = progress.add_task("C-STORE", total=len(dicom))
            module, name = STORE.split(":")
            for path, refused in getattr(import_module(module), name)(
                    dicom, host, port, called=settings.dicom_ae_title, calling=ae_title or "HUB_SEND"):
                progress.advance(bar)
                _note(tally, path, refused)
        if ecgs:
            bar = progress.add_task("ECG", total=len(ecgs))
            for group in ecgs:
                _note(tally, group[0], post_ecg(ecg_address or settings.address, token, group, declared or {}))
                progress.advance(bar)
    return tally


def post_ecg(address: str, token: str, files: list[Path], declared: dict[str, str]) -> str:
    """Posts one recording (one file, or a WFDB pair) to the ECG door. Returns "" or why it was refused."""
    boundary, parts = uuid.uuid4().hex, []
    for name, value in declared.items():
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for path in files:
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n'
                     "Content-Type: application/octet-stream\r\n\r\n".encode() + path.read_bytes() + b"\r\n")
    request = Request(f"{address.rstrip('/')}/api/ecg", data=b"".join(parts) + f"--{boundary}--\r\n".encode(), headers={
        "Content-Type": f"multipart/form-data; boundary={boundary}", "Authorization": f"Bearer {token}"})
    try:
        with urlopen(request, timeout=60) as reply:
            reply.read()
        return ""
    except HTTPError as error:
        try:
            return json.loads(error.read())["zh"]
        except (ValueError, KeyError):
            return f"HTTP {error.code}"
    except (URLError, OSError) as error:
        return str(error)


def _note(tally: Tally, path: Path, refused: str) -> None:
    if refused:
        tally.problems.append(f"{path.name}: {refused}")
    else:
        tally.sent += 1


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _ecg_groups(paths: list[Path]) -> list[list[Path]]:
    """One list per recording: a WFDB header goes with the signal files of the same stem."""
    groups: dict[tuple, list[Path]] = {}
    for path in paths:
        wfdb = path.suffix.lower() in WFDB_PARTS
        groups.setdefault((path.parent, path.stem) if wfdb else (path,), []).append(path)
    return list(groups.values())


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter("write it as HOST:PORT", param_hint="--dicom")
    return host, int(port)
