"""Attributes that stand in functional groups of enhanced multi-frame objects, or plainly in the data set.

Source: PS3.3 C.7.6.16: what holds for one frame stands in its own group, what holds for all in the shared one, never in both.
"""
from pydicom.dataset import Dataset

_GROUPS = "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"


def holder(dataset: Dataset, frame: int, sequence: str) -> Dataset:
    """The item of ``sequence`` that holds for a frame (0 is the first): its own, else the shared one, else the data set."""
    for groups, index in zip(_GROUPS, (frame, 0)):
        items = value(dataset, groups)
        if items and index < len(items):
            found = value(items[index], sequence)
            if found:
                return found[0]
    return dataset


def macro(dataset: Dataset, frame: int, sequence: str, keyword: str):
    """One attribute of that item, None where it is missing or no value."""
    return value(holder(dataset, frame, sequence), keyword)


def value(dataset: Dataset, keyword: str):
    """An attribute, None where it is missing or what stands there cannot be read."""
    try:
        return dataset.get(keyword)
    except (ValueError, TypeError, NotImplementedError):
        return None
