"""Whether an object goes out as it came or as it was corrected, and how it reads then.

The promise: where a correction stands and corrected values were asked for, the original never goes out in their
stead; an object that cannot be given corrected is refused by name.
"""
from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from dicom_gateway.corrected import Change
from hub.context import Hub
from hub.errors import Invalid
from hub.flow import repairs
from hub.flow.repairs import Overlays
from hub.model.access import SERVED

CORRECTED, ORIGINAL = SERVED


def overlays_for(hub: Hub, study_ids: Iterable[int], served: str) -> Overlays:
    """The corrections to be laid over these studies; none for whoever is served originals."""
    return repairs.overlays(hub, list(dict.fromkeys(study_ids))) if served == CORRECTED else Overlays()


def change_of(hub: Hub, overlays: Overlays, study_id: int, series_id: int, instance_id: int, calling: str) -> Change | None:
    """What one instance is to say; None where it says what it said when it came."""
    corrections = overlays.of(study_id, series_id, instance_id)
    if not corrections:
        return None
    return Change(corrections, calling, hub.settings.dicom_ae_title, max(one.at for one in corrections).astimezone(UTC), overlays.naming(study_id))


def served_values(given: str) -> str:
    """The query parameter ``values`` of WADO-RS: corrected where it is not given. Invalid for any other word."""
    if given not in ("", *SERVED):
        raise Invalid("bad_values", "参数 values 只能是 corrected（更正后）或 original（原始）。", "the parameter values is corrected or original.")
    return given or CORRECTED
