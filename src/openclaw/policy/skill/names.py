"""Names that are made to be taken for another skill's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from openclaw.policy.skill.text import folded

_KNOWN_TEXT: Final = """
    1password apple-notes apple-reminders bear-notes blogwatcher blucli bluebubbles camsnap canvas clawdhub
    clawhub coding-agent discord eightctl food-order gemini gifgrep github gog goplaces healthcheck himalaya imsg
    local-places mcporter model-usage nano-banana-pro nano-pdf notion obsidian openai-image-gen openai-whisper
    openai-whisper-api openclaw openhue oracle ordercli peekaboo polymarket sag session-logs sherpa-onnx-tts
    skill-creator slack songsee sonoscli spotify-player summarize telegram things-mac tmux trello video-frames
    voice-call wacli weather whatsapp youtube
"""
KNOWN: Final = frozenset(_KNOWN_TEXT.split())
"""Skills that many know."""
_AFFIX: Final = re.compile(
    r"^(?:openclaw|clawdbot|clawhub|official|original|verified|real|genuine)[-_]"
    r"|[-_](?:openclaw|official|original|verified|genuine)$"
)
"""What says that a skill is the one that everybody knows."""
SHORT: Final = 3
RESERVED: Final = frozenset(
    ("openclaw", "clawdbot", "moltbot", "system", "assistant", "operator", "admin", "skills", "policy")
)
_TURNED: Final = str.maketrans("0135", "oles")


def imitates(name: str, installed: Iterable[str] = ()) -> str:
    """Return the known or installed skill that a name could be taken for, or ""."""
    others = sorted(KNOWN.union(installed) - {name})
    if name in KNOWN:
        return ""
    look = _skeleton(name)
    bare = _AFFIX.sub("", name)
    if bare != name and bare in others:
        return bare
    for other in others:
        theirs = _skeleton(other)
        if look == theirs or (
            len(theirs) >= 5 and not _are_kin(name, other) and near(look, theirs, 1 if len(theirs) < 10 else 2)
        ):
            return other
    return ""


def _are_kin(name: str, other: str) -> bool:
    """Say whether only a short part between dashes differs, whole: `csv-tools` and `tsv-tools` are two names."""
    ours, theirs = re.split("[-_.]", name), re.split("[-_.]", other)
    if len(ours) != len(theirs):
        return False
    differing = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
    return len(differing) == 1 and max(map(len, differing[0])) <= SHORT < len(name)


def _skeleton(name: str) -> str:
    return folded(name).casefold().translate(_TURNED).replace("-", "").replace("_", "").replace(".", "")[:64]


def near(one: str, other: str, most: int) -> bool:
    """Say whether at most so many letters are added, missing, changed or swapped with their neighbour."""
    if abs(len(one) - len(other)) > most:
        return False
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        row = [i]
        for j, their in enumerate(other, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (char != their))
            if i > 1 and j > 1 and char == other[j - 2] and one[i - 2] == their:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1] <= most
