"""The codec is ready in a fresh process whose first frames come on two threads at once."""
import subprocess
import sys

FRESH_PROCESSES = 80
SCRIPT = f"""
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import numpy as np

frame = np.random.default_rng(0).integers(-1000, 1000, (32, 64)).astype(np.int16)

def first_frames_agree():
    from dicom_gateway.prepare import htj2k
    together = Barrier(2)
    def once(_):
        together.wait()
        return np.array_equal(htj2k.decode(htj2k.encode(frame, reversible=True)), frame)
    with ThreadPoolExecutor(2) as pool:
        return all(pool.map(once, range(2)))

import imagecodecs
imagecodecs.htj2k_encode        # the library is loaded, its tables are not filled
failed = 0
for _ in range({FRESH_PROCESSES}):
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if first_frames_agree() else 1)
        except BaseException:
            os._exit(2)
    failed += os.waitpid(child, 0)[1] != 0
print(failed)
"""


def test_two_threads_that_are_the_first_to_use_the_codec_get_equal_pixels():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0"
