"""Every benchmark can at least be started: what it imports from the hub and from its neighbours is there."""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOOK = """
import runpy, sys, traceback
for script in sys.argv[1:]:
    try:
        runpy.run_path(script, run_name="looked_at")
    except Exception:
        print(script, traceback.format_exc())
"""


def test_every_benchmark_finds_what_it_imports():
    scripts = [str(path) for path in sorted((ROOT / "benchmarks").glob("*.py"))]
    done = subprocess.run([sys.executable, "-c", LOOK, *scripts], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout == "", done.stdout + done.stderr[-2000:]
