"""Builds the image viewer."""
from pathlib import Path

from npm import npm

VIEWER = Path(__file__).resolve().parents[1] / "reading_ui" / "viewer"

if __name__ == "__main__":
    npm(VIEWER, "ci", "--no-audit", "--no-fund")
    npm(VIEWER, "run", "build")
