"""The text of a configuration file as plain values, with the line of each.

Only what JSON can say is read, so that the file means the same to an editor that holds it to
the JSON Schema: `yes`, `on`, `010` and dates are text. Whatever the text, the outcome is a
`Document`; what is wrong with it is listed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MAX_CHARACTERS: Final = 262_144
MAX_DEPTH: Final = 16
MAX_VALUES: Final = 20_000  # after aliases have been expanded

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a configuration file, and its mend.

    Attributes:
        line: Counted from 1; None for what no line is at fault for.
        key: As people write it: `roles[0].groups`.
    """

    line: int | None
    key: str
    what: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file's content, the line of each part of it, and what could not be read."""

    value: Mapping[str, Any]
    lines: Mapping[Path, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def problem(self, path: Path, what: str, mend: str) -> Problem:
        """Return a problem with its line: the key's, or of what the key is missing from."""
        place = path
        while place and place not in self.lines:
            place = place[:-1]
        return Problem(line=self.lines.get(place), key=key_text(path), what=what, mend=mend)


def shown(text: str, limit: int = 60) -> str:
    """Return *text* fit for one line of a message: cut, without control characters."""
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cut)


def key_text(path: Path) -> str:
    """Return *path* as people write it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{shown(step)}" if text else shown(step)
    return text


def read(text: str) -> Document:
    """Return what *text* says, as far as it can be read."""
    if len(text) > MAX_CHARACTERS:
        return _unread(None, "the file is too large", f"keep it under {MAX_CHARACTERS} characters")
    reading = _Reading()
    try:
        node = yaml.compose(text, Loader=_Loader)
        value = {} if node is None else reading.value_of(node, ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        mend = "look at this line and the one before: indentation, quotes, a : without a space"
        return _unread(mark.line + 1 if mark else None, "this is not YAML", mend)
    except (_TooMuchError, RecursionError):
        return _unread(None, "the file says too much", "nest less, and repeat less by aliases")
    except (ValueError, OverflowError):
        return _unread(None, "an escape sequence is beyond any character", "write it out")
    if not isinstance(value, dict):
        return _unread(1, "keys with values are expected", "begin with namespaces: …")
    return Document(value=value, lines=reading.lines, problems=tuple(reading.problems))


def _unread(line: int | None, what: str, mend: str) -> Document:
    return Document(value={}, problems=(Problem(line=line, key="", what=what, mend=mend),))


class _TooMuchError(Exception):
    """A bound was reached."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with JSON's scalars."""

    # Its own table, so that PyYAML's is left alone.
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_TAG: Final = "tag:yaml.org,2002:"
for _kind, _shape, _first in (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]{0,17})", tuple("-+0123456789")),
    ("float", r"[-+]?[0-9]{1,17}\.[0-9]{0,17}", tuple("-+0123456789")),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(f"^(?:{_shape})\\Z"), _first)


class _Reading:
    """Turns nodes into values, and notes lines and problems on the way."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._count = 0

    def value_of(self, node: yaml.Node, path: Path) -> Any:
        """Return the value of *node*, which stands at *path*."""
        self._count += 1
        if self._count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise _TooMuchError
        self.lines.setdefault(path, _line(node))
        match node:
            case yaml.MappingNode(tag=tag) if tag == f"{_TAG}map":
                return self._mapping(node, path)
            case yaml.SequenceNode(tag=tag) if tag == f"{_TAG}seq":
                return [self.value_of(item, (*path, at)) for at, item in enumerate(node.value)]
            case yaml.ScalarNode():
                return self._scalar(node, path)
            case _:
                self._complain(path, node, "YAML tags (!…) are not read", "write a plain value")
                return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if key_node.tag == f"{_TAG}str" else None
            if not isinstance(key, str) or key == "<<":
                self._complain(path, key_node, "a key must be text", "put the key in quotes")
            elif key in values:
                what = f"this key stands here twice, first on line {self.lines[*path, key]}"
                self._complain((*path, key), key_node, what, "keep one of them")
            else:
                self.lines[*path, key] = _line(key_node)
                values[key] = self.value_of(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> str | int | float | bool | None:
        text = str(node.value)
        try:
            text.encode()  # half a surrogate pair is no text
            return _plain(node.tag.removeprefix(_TAG), text)
        except (ValueError, LookupError):
            self._complain(path, node, "this value cannot be read", "write a plain value")
            return None

    def _complain(self, path: Path, node: yaml.Node, what: str, mend: str) -> None:
        self.problems.append(Problem(line=_line(node), key=key_text(path), what=what, mend=mend))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1 if node.start_mark else 1


def _plain(kind: str, text: str) -> str | int | float | bool | None:
    """Return *text* as what its tag says.

    Raises:
        ValueError: It is not such a number.
        LookupError: It is not such a word, or the tag is none of JSON's.
    """
    match kind:
        case "str":
            return text
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "bool":
            return {"true": True, "false": False}[text.lower()]
        case "null":
            return None
        case _:
            raise LookupError(kind)
