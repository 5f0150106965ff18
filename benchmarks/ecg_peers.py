"""Runs one peer (a QRS detector, or a whole pipeline) over one-lead signals: its own process, because its dependencies are not ours.

    python ecg_peers.py NAME IN.npz OUT.npz

IN holds one array per record (microvolts) named by record and `rate:RECORD`; OUT gets the detections by
record and `cpu_s`, the CPU seconds spent in the detector.
"""
import sys
import time

import numpy as np


def detector(name):
    if name == "sleepecg":
        from sleepecg import detect_heartbeats
        return lambda x, rate: detect_heartbeats(x, rate)
    if name == "neurokit-process":
        import neurokit2

        def process(x, rate):                    # cleaned, beats, waves
            try:
                return neurokit2.ecg_process(x, sampling_rate=int(rate))[1]["ECG_R_Peaks"]
            except (ValueError, IndexError, ZeroDivisionError):
                return []                        # it gives a lead up with an error; the time counts all the same
        return process
    if name == "neurokit-pantompkins":
        import neurokit2
        return lambda x, rate: neurokit2.ecg_peaks(
            neurokit2.ecg_clean(x, sampling_rate=rate, method="pantompkins1985"), sampling_rate=rate,
            method="pantompkins1985")[1]["ECG_R_Peaks"]
    from wfdb import processing
    if name == "wfdb-gqrs":
        return lambda x, rate: processing.gqrs_detect(sig=x / 1000.0, fs=rate)
    if name == "wfdb-xqrs":
        return lambda x, rate: processing.xqrs_detect(sig=x / 1000.0, fs=rate, verbose=False)
    raise SystemExit(f"unknown peer {name}")


def main(name, source, target):
    detect, signals, found = detector(name), np.load(source), {}
    records = [key for key in signals.files if not key.startswith("rate:")]
    detect(signals[records[0]][:5000], float(signals["rate:" + records[0]]))       # compile and load
    start = time.process_time()
    for record in records:
        found[record] = np.asarray(detect(signals[record], float(signals["rate:" + record])), dtype=int)
    np.savez(target, cpu_s=time.process_time() - start, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
