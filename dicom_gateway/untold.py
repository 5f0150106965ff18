"""The worker's door to what older studies say of their referring physician and Study ID."""
from __future__ import annotations

import logging

from dicom_gateway.dataset import read_header
from dicom_gateway.facts import facts_of
from dicom_gateway.web import metadata
from dicom_gateway.web.attributes import GROUPS
from hub.context import Hub
from hub.errors import HubError
from hub.flow import identity, studies, untold

log = logging.getLogger("hub.worker")


def tell_older(hub: Hub, study_ids: list[int]) -> None:
    """Reads the first object of each study and enters what it says; nothing where there is none that can be read."""
    for study_id in study_ids:
        untold.tell(hub, study_id, *_said(hub, study_id))


def _said(hub: Hub, study_id: int) -> tuple[str, bool, str]:
    """Physician, whether that was guessed, and Study ID: from the file as it came, else from the prepared metadata; a packed file
    is not unpacked for it."""
    original = identity.original_of(hub, study_id)
    if original is None:
        return "", False, ""
    try:
        file = hub.blobs.original(original.sha256)
        if file is None:
            return _prepared(hub, study_id)
        facts = facts_of(read_header(file))
        return facts.referring_physician, facts.referring_unsure, facts.study_number
    except (HubError, OSError) as error:
        log.warning("what study %s says of its referring physician cannot be read: %s", study_id, error)
        return "", False, ""


def _prepared(hub: Hub, study_id: int) -> tuple[str, bool, str]:
    made = studies.artifact_of(hub, study_id, metadata.KIND)
    lines = metadata.unpacked(hub.blobs.read(made.sha256), made.about) if made is not None else {}
    if not lines:
        return "", False, ""
    told = metadata.told(next(iter(lines.values())), "")
    name, number = [(told.get(tag, {}).get("Value") or [None])[0] for tag in ("00080090", "00200010")]
    groups = name if isinstance(name, dict) else {}
    return "=".join(groups.get(group, "") for group in GROUPS).rstrip("="), False, str(number or "")
