"""What every test may ask for: the shared real recordings, where they are."""
import os
from pathlib import Path

import pytest

REAL_DATA = Path(os.environ.get("HUB_TEST_DATA", Path(__file__).resolve().parents[1] / ".." / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT and ECG data; skips with a reason where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"real data not found at {REAL_DATA} (set HUB_TEST_DATA)")
    return REAL_DATA
