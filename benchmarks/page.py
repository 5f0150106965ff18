"""Puts a benchmark's table under its heading in a Markdown page, with the day and the machine it came from."""
from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

HEAD = "# Benchmarks\n\nEvery table is written by its command; figures that were missed stand as they are.\n"


def put(page: Path, heading: str, lines: list[str]) -> None:
    """Replaces the section ``heading`` of ``page``, or adds it."""
    text = page.read_text("utf-8") if page.exists() else HEAD
    when = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors, Python {platform.python_version()}"
    section = f"## {heading}\n\n{when}\n\n" + "\n".join(lines).strip() + "\n"
    pattern = re.compile(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    text = pattern.sub(lambda _: section + "\n", text) if pattern.search(text) else text.rstrip() + "\n\n" + section
    page.parent.mkdir(exist_ok=True)
    page.write_text(text.rstrip() + "\n", "utf-8")
