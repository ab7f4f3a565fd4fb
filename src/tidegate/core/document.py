"""The text of a configuration file as plain values, with the place of each.

Total: whatever the text, the outcome is a `Document`; what is wrong with it is listed, never
raised. Only what JSON can say is read (mappings with string keys, lists, strings, whole and
decimal numbers, true/false, null), so that the file means the same to an editor that checks
it against the JSON Schema: `yes`, `on`, `010`, `22:22` and dates are strings.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from tidegate.errors import Problem

MAX_CHARACTERS: Final = 262_144
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 50_000  # after aliases have been expanded
_TOO_DEEP: Final = f"nest values at most {MAX_DEPTH} levels deep, aliases expanded"

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands; both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What is wrong at a key path, and the mend; its place is still to be found."""

    path: Path
    what: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file's content, where each part of it stands, and what could not be read.

    Attributes:
        value: The top mapping; empty when there is none.
        places: Of every key path.
        problems: What is wrong with the text as such.
    """

    value: Mapping[str, Any]
    places: Mapping[Path, Place] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def problem(self, complaint: Complaint) -> Problem:
        """Return *complaint* with the place of its key, or of what it is missing from."""
        place = self._nearest(complaint.path)
        return Problem(
            line=place.line if place else None,
            column=place.column if place else None,
            key=key_text(complaint.path),
            what=complaint.what,
            mend=complaint.mend,
        )

    def _nearest(self, path: Path) -> Place | None:
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path)


def shown(text: str, limit: int = 60) -> str:
    """Return *text* fit for one line of a message: cut, without control characters."""
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cut)


def key_text(path: Path) -> str:
    """Return *path* as people write it: `actions.deploy.allow[0].users`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{shown(step)}" if text else shown(step)
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
        return _unread(_place_of(error, text), *_syntax(error))
    except _TooMuchError as error:
        return _unread(error.place, "the file says too much", str(error))
    except RecursionError:  # PyYAML composes what is nested by recursion
        return _unread(None, "the file says too much", _TOO_DEEP)
    except (ValueError, OverflowError):  # an escape or a directive beyond any number
        return _unread(None, "a number in an escape sequence is too large", "write it out")
    if not isinstance(value, dict):
        return _unread(
            reading.places[()], "a mapping is expected", "begin with keys such as slack: …"
        )
    return Document(value=value, places=reading.places, problems=tuple(reading.problems))


def _unread(place: Place | None, what: str, mend: str) -> Document:
    problem = Problem(
        line=place.line if place else None,
        column=place.column if place else None,
        key="",
        what=what,
        mend=mend,
    )
    return Document(value={}, problems=(problem,))


# --- composing: from text to nodes ---------------------------------------------------------


class _TooMuchError(Exception):
    """A bound was reached; the message is the mend."""

    def __init__(self, mend: str, place: Place) -> None:
        super().__init__(mend)
        self.place = place


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with JSON's scalars."""

    # Its own table, so that PyYAML's is left alone.
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_TAG: Final = "tag:yaml.org,2002:"
for _kind, _shape, _first in (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]{0,17})", tuple("-+0123456789")),
    (
        "float",
        r"[-+]?([0-9]{1,40}\.[0-9]{0,40}|\.[0-9]{1,40})([eE][-+]?[0-9]{1,3})?",
        tuple("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(f"^(?:{_shape})\\Z"), _first)


def _syntax(error: yaml.YAMLError) -> tuple[str, str]:
    """Return what is wrong with the YAML and a mend; nothing of the text itself."""
    if isinstance(error, yaml.reader.ReaderError):
        return "a character that YAML does not allow", "save the file as plain UTF-8 text"
    problem = str(getattr(error, "problem", None) or "it cannot be read")
    # Quoted parts longer than one character are the file's own words, which may be secret.
    problem = re.sub(r"\s?(['\"])(.*?)\1", _own_words, problem)
    return (
        f"this is not YAML: {shown(problem, 120)}",
        "look at this line and the one before: indentation, a missing quote, a : without a space",
    )


def _own_words(quoted: re.Match[str]) -> str:
    return quoted[0] if len(quoted[2]) < 2 or quoted[2].startswith("<") else ""


def _place_of(error: yaml.YAMLError, text: str) -> Place | None:
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: int(error.position)]
        line_start = before.rfind("\n") + 1
        return Place(line=before.count("\n") + 1, column=len(before) - line_start + 1)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        if mark is not None:
            return Place(line=mark.line + 1, column=mark.column + 1)
    return None


def _at(found: yaml.Node) -> Place:
    mark = found.start_mark
    return Place(line=mark.line + 1, column=mark.column + 1) if mark else Place(line=1, column=1)


# --- reading: from nodes to values ---------------------------------------------------------


class _Reading:
    """Turns nodes into values, and notes places and problems on the way."""

    def __init__(self) -> None:
        self.places: dict[Path, Place] = {}
        self.problems: list[Problem] = []
        self._count = 0

    def value_of(self, node: yaml.Node, path: Path) -> Any:
        """Return the value of *node*, which stands at *path*."""
        self._count += 1
        if self._count > MAX_VALUES:
            raise _TooMuchError(f"keep it under {MAX_VALUES} values, aliases expanded", _at(node))
        if len(path) > MAX_DEPTH:  # perhaps by an alias, which may stand inside its own anchor
            raise _TooMuchError(_TOO_DEEP, _at(node))
        if path not in self.places:
            self._note(path, node)
        match node:
            case yaml.MappingNode(tag=tag) if tag == f"{_TAG}map":
                return self._mapping(node, path)
            case yaml.SequenceNode(tag=tag) if tag == f"{_TAG}seq":
                return [
                    self.value_of(item, (*path, index)) for index, item in enumerate(node.value)
                ]
            case yaml.ScalarNode():
                return self._scalar(node, path)
            case _:
                what = "YAML tags (!…) are not read here"
                self._complain(path, node, what, "write a plain value")
                return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if key_node.tag == f"{_TAG}str" else None
            if not isinstance(key, str) or not _is_text(key):
                self._complain(path, key_node, "a key must be text", "put the key in quotes")
            elif key in values:
                first = self.places[*path, key].line
                self._complain(
                    (*path, key),
                    key_node,
                    f"this key stands here twice, first on line {first}",
                    "keep one of them",
                )
            elif key == "<<":
                self._complain(
                    (*path, key), key_node, "merge keys are not read", "write the keys out"
                )
            else:
                self._note((*path, key), key_node)
                values[key] = self.value_of(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> str | int | float | bool | None:
        text = str(node.value)
        if not _is_text(text):
            self._complain(path, node, "this holds half a character", "write the character itself")
            return None
        try:
            return _plain(node.tag.removeprefix(_TAG), text)
        except (ValueError, LookupError, OverflowError):
            self._complain(path, node, "this value cannot be read", "write a plain value")
            return None

    def _note(self, path: Path, node: yaml.Node) -> None:
        self.places[path] = _at(node)

    def _complain(self, path: Path, node: yaml.Node, what: str, mend: str) -> None:
        place = _at(node)
        self.problems.append(
            Problem(
                line=place.line,
                column=place.column,
                key=key_text(path),
                what=what,
                mend=mend,
            )
        )


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
            number = float(text)
            if not math.isfinite(number):
                raise ValueError(kind)
            return number
        case "bool":
            return {"true": True, "false": False}[text.lower()]
        case "null":
            return None
        case _:
            raise LookupError(kind)


def _is_text(text: str) -> bool:
    """Return whether *text* holds no half of a surrogate pair."""
    return not re.search("[\ud800-\udfff]", text)
