"""Damage to a good file, the same on every run: what any reader must survive."""
import random

from ecg.errors import UnreadableRecording
from ecg.recording import Recording, SourceFile


def mutations(content: bytes, flips: int = 40, reach: int | None = None):
    """The content cut at every tenth, empty, and with bytes changed (``reach``: within the first bytes)."""
    yield b""
    yield content[:1]
    for tenth in range(1, 10):
        yield content[:len(content) * tenth // 10]
    dice = random.Random(20)
    for _ in range(flips):
        damaged = bytearray(content)
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(min(reach or len(damaged), len(damaged)))
            damaged[at] = dice.choice([0x00, 0xFF, 0x80, 0x7F, damaged[at] ^ (1 << dice.randrange(8))])
        yield bytes(damaged)


def outcome(reader, content: bytes, name: str = "", declared=None):
    """The recording, or the refusal; any other exception goes through and fails the test."""
    try:
        recording = reader.read([SourceFile(name, content)], declared)
    except UnreadableRecording as refusal:
        assert refusal.code and refusal.zh and refusal.en
        return refusal
    assert isinstance(recording, Recording)
    return recording


def survives(reader, content: bytes, name: str = "", flips: int = 40, reach: int | None = None) -> int:
    """Reads every mutation; returns how many were refused."""
    refused = 0
    for damaged in mutations(content, flips, reach):
        assert isinstance(reader.sniff(damaged[:4096], name), bool)
        refused += isinstance(outcome(reader, damaged, name), UnreadableRecording)
    return refused
