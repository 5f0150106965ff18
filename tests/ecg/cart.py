"""An ECG cart at the HTTP door of the whole web application, and the recordings that it sends."""
from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from flask import Flask
from sqlalchemy import select

from ecg.recording import Recording, SourceFile
from hub.context import Hub
from hub.storage.tables import held, instance
from tests.ecg.built_signals import built

DECLARED = {"rate_hz": "500", "unit": "uV"}


class Cart:
    """A device with a token. Every answer is JSON."""

    def __init__(self, app: Flask, token: str):
        self.client, self.token = app.test_client(), token

    def send(self, *files: SourceFile, token: str | None = None, **words: str):
        """The files as a form."""
        form = {**words, "file": [(io.BytesIO(file.content), file.name) for file in files]}
        return self.client.post("/api/ecg", data=form, headers=self.headers(token), content_type="multipart/form-data")

    def send_body(self, content: bytes, query: str = "", **headers: str):
        """One file as the whole body, as ``curl --data-binary`` does."""
        return self.client.post(f"/api/ecg?{query}", data=content, headers=self.headers() | headers)

    def headers(self, token: str | None = None) -> dict[str, str]:
        token = self.token if token is None else token
        return {"Authorization": f"Bearer {token}"} if token else {}


def csv_of(recording: Recording, name: str = "ecg.csv") -> SourceFile:
    """A recording as the table that a cart exports: a row of lead names, then microvolts."""
    text = io.StringIO()
    np.savetxt(text, np.nan_to_num(recording.samples_uv).T, fmt="%.1f", delimiter=",", header=",".join(recording.leads), comments="")
    return SourceFile(name, text.getvalue().encode())


def resting(seed: int = 1, **more) -> SourceFile:
    """Ten seconds of twelve leads; another seed makes another recording."""
    return csv_of(built(seed=seed, **more))


def wfdb_pair(root: Path, record: str = "ludb/data/101") -> list[SourceFile]:
    return [SourceFile(f"{Path(record).name}{end}", (root / "ecg" / f"{record}{end}").read_bytes()) for end in (".hea", ".dat")]


def zipped(files: Sequence[SourceFile], level: int = zipfile.ZIP_DEFLATED, name: str = "ecg.zip") -> SourceFile:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", level) as archive:
        for file in files:
            archive.writestr(file.name, file.content)
    return SourceFile(name, packed.getvalue())


def sha256(file: SourceFile) -> str:
    return hashlib.sha256(file.content).hexdigest()


def instances(hub: Hub) -> list:
    with hub.reading() as connection:
        return list(connection.execute(select(instance).order_by(instance.c.id)))


def holdings(hub: Hub) -> list:
    with hub.reading() as connection:
        return list(connection.execute(select(held).order_by(held.c.id)))


def kept_blobs(hub: Hub) -> set[str]:
    return {path.name for path in hub.blobs.folder.glob("??/*")}


def half_written(hub: Hub) -> list[Path]:
    return list(hub.blobs.incoming.iterdir())
