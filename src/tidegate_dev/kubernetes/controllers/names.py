"""Names and hashes as the controllers of Kubernetes make them.

No vowels and no digits that look like one, so that no name says something by chance:
https://pkg.go.dev/k8s.io/apimachinery/pkg/util/rand#SafeEncodeString
"""

import json
from random import Random
from typing import Any, Final

_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_FNV_OFFSET: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193
_LONGEST_BASE: Final = 58


def fingerprint(value: Any, collisions: int = 0) -> str:
    """Return the short hash of a JSON value; equal values have equal hashes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    if collisions:
        text += f"#{collisions}"
    digits = str(_fnv32a(text.encode()))
    return "".join(_LETTERS[ord(digit) % len(_LETTERS)] for digit in digits)


def generated(base: str, random: Random) -> str:
    """Return *base*, cut where it is too long, and five letters more."""
    return base[:_LONGEST_BASE] + "".join(random.choice(_LETTERS) for _ in range(5))


def _fnv32a(raw: bytes) -> int:
    value = _FNV_OFFSET
    for byte in raw:
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return value
