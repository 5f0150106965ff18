"""Read any cart's ECG, measure it, say cautiously what it may mean, draw it true to scale.

The package stands alone: ``python -m ecg FILE`` prints quality, measurements and statements and writes an
SVG; only ``ecg.web`` and ``ecg.jobs``, its doors, know the hub. Nothing here is a diagnosis: every statement
is a machine's and unconfirmed.

>>> import numpy as np
>>> from ecg.recording import Recording
>>> time = np.arange(5000) / 500.0
>>> beat = lambda at, width: np.exp(-0.5 * ((time[:, None] - at) / width) ** 2).sum(axis=1)
>>> r = np.arange(0.6, 9.8, 0.8)
>>> wave = 1000 * beat(r, 0.012) + 120 * beat(r - 0.16, 0.02) + 250 * beat(r + 0.28, 0.045)
>>> recording = Recording("made", ("II",), wave[None, :], rate_hz=500.0, lsb_uv=(1.0,))

A recording holds microvolts, one row per lead. ``analyse`` measures and states:

>>> from ecg.analysis import analyse
>>> found = analyse(recording)
>>> round(found.measurements["heart_rate"].value)
75
>>> [statement.code for statement in found.statements if not statement.critical]
['SR', 'LIMITED']

What cannot be measured is None and says why; what was not assessed is said, too:

>>> found.measurements["qrs_axis"].reason
'limb_leads_missing'
>>> found.statements[-1].zh
'部分内容未评估'

Critical values come from a pack, the national one unless another is named:

>>> from ecg.statements import interpret
>>> any(statement.critical for statement in interpret(recording, found, pack="shanxi"))
False

Files are opened by their content, whatever their name: ``ecg.files.open_recording([SourceFile(name, bytes)])``;
drawings are made by ``ecg.render``: ``svg(compose(recording))``.
"""
