"""Fetches the OHIF viewer (MIT licence), as its makers publish it, into build/ohif: a peer for the tests, no part of the hub."""
import hashlib
import sys
import tarfile
from pathlib import Path

from npm import npm

VERSION = "3.13.2"
SHA256 = "b189d3963bfc58e9394a9db8c7be75d07beb029ec211dbb126d47b62969dd3f1"
PLACE = Path(__file__).resolve().parents[1] / "build" / "ohif"

if __name__ == "__main__":
    PLACE.mkdir(parents=True, exist_ok=True)
    npm(PLACE, "pack", "--silent", f"@ohif/app@{VERSION}")
    packed = PLACE / f"ohif-app-{VERSION}.tgz"
    if hashlib.sha256(packed.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{packed} is not the file that was looked at; nothing was unpacked.")
    with tarfile.open(packed) as archive:
        archive.extractall(PLACE, filter="data")
    packed.unlink()
