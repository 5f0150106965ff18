"""What a worker or the command line pays before the first ECG: little time, and no library that it does not use."""
import json
import subprocess
import sys

HEAVY = ("pandas", "matplotlib", "scipy.signal")
LONGEST_CPU_S = 0.5
MEASURE = """
import json, resource, sys
spent = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
before = spent()
import {modules}
print(json.dumps([spent() - before, sorted(sys.modules)]))
"""


def imported(modules: str) -> tuple[float, list[str]]:
    """CPU seconds and the modules there afterwards, in a fresh interpreter."""
    told = subprocess.run([sys.executable, "-c", MEASURE.format(modules=modules)], capture_output=True, text=True, check=True)
    return tuple(json.loads(told.stdout))


def test_the_analysis_path_imports_no_pandas_matplotlib_or_scipy_signal():
    _, modules = imported("ecg.analysis, ecg.files, ecg.render, ecg.jobs, ecg.web")
    assert "numpy" in modules and not set(HEAVY) & set(modules)


def test_analysing_does_not_bring_them_in_later():
    code = ("import sys; from tests.ecg.built_signals import built; from ecg.analysis import analyse; analyse(built()); "
            f"sys.exit(', '.join(set({HEAVY!r}) & set(sys.modules)) or 0)")
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


def test_the_analysis_path_is_imported_in_half_a_second():
    """CPU time, the best of three: wall time would measure the neighbours."""
    assert min(imported("ecg.analysis")[0] for _ in range(3)) < LONGEST_CPU_S
