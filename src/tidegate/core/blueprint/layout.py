"""YAML with comments, as a person would write it: short things on one line, the rest below it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

MAX_LINE: Final = 96

Path = tuple[str, ...]
Comments = Mapping[Path, str]

#: What means itself without quotes, to this project's reader of YAML and to every other.
_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def write(document: Mapping[str, Any], comments: Comments) -> str:
    """Return JSON values as YAML, with a comment above each key path that has one."""
    return "\n".join(_block(document, (), comments)) + "\n"


def comment(text: str) -> str:
    """Return lines of a comment."""
    return "\n".join(f"# {line}" if line else "#" for line in text.split("\n"))


def _block(value: Mapping[str, Any], path: Path, comments: Comments) -> Iterator[str]:
    indent = "  " * len(path)
    for key, inner in value.items():
        where = (*path, key)
        for line in comments.get(where, "").split("\n") if where in comments else ():
            yield f"{indent}# {line}"
        head = f"{indent}{_scalar(key)}:"
        short = f"{head} {_flow(inner)}"
        commented = any(other[: len(where)] == where != other for other in comments)
        if isinstance(inner, Mapping) and inner and (commented or len(short) > MAX_LINE):
            yield head
            yield from _block(inner, where, comments)
        else:
            yield short


def _flow(value: Any) -> str:
    match value:
        case Mapping():
            inner = ", ".join(f"{_scalar(key)}: {_flow(each)}" for key, each in value.items())
            return f"{{{inner}}}"
        case list() | tuple():
            return f"[{', '.join(_flow(each) for each in value)}]"
        case str():
            return _scalar(value)
        case _:
            return json.dumps(value)


def _scalar(text: str) -> str:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    if plain:
        return text
    # YAML takes what is printed as it is, and everything else by its number.
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)
