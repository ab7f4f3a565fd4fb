"""Values at a path of an object, as what they have to be, or as nothing.

Objects come from an API server and are well-formed on the whole; what is missing or of another
type reads as empty, so that no object, however odd, can raise.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
_DIGITS: Final = re.compile(r"[0-9]{1,18}")


def at(obj: object, *path: str) -> object:
    """Return what is at *path*, or None."""
    found = obj
    for step in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found


def mapping(obj: object, *path: str) -> Mapping[str, Any]:
    """Return the object at *path*, or an empty one."""
    found = at(obj, *path)
    return found if isinstance(found, Mapping) else EMPTY


def mappings(obj: object, *path: str) -> tuple[Mapping[str, Any], ...]:
    """Return the objects in the list at *path*; none if there is no list."""
    found = at(obj, *path)
    if not isinstance(found, Sequence) or isinstance(found, str | bytes):
        return ()
    return tuple(each for each in found if isinstance(each, Mapping))


def text(obj: object, *path: str) -> str:
    """Return the string at *path*, or an empty one."""
    found = at(obj, *path)
    return found if isinstance(found, str) else ""


def texts(obj: object, *path: str) -> Mapping[str, str]:
    """Return what is at *path* as labels or annotations are: strings by name."""
    return {name: value for name, value in mapping(obj, *path).items() if isinstance(value, str)}


def number(obj: object, *path: str, default: int = 0) -> int:
    """Return the whole number at *path*, or *default*."""
    found = at(obj, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def digits(said: str) -> int | None:
    """Return the whole number that a text of 1 to 18 ASCII digits is, or None.

    Whoever may annotate an object decides on the text: it can be as long as they like.
    """
    return int(said) if _DIGITS.fullmatch(said) else None


def flag(obj: object, *path: str) -> bool:
    """Return whether `true` is at *path*."""
    return at(obj, *path) is True
