"""What a value of the configuration may look like: one description, read by parser and schema.

A `Shape` takes a plain value and returns what is meant, or says what is wrong with it and goes
on, so that all problems are found at once. The same shape says itself as JSON Schema: what the
schema refuses, the parser refuses, and the other way round but for what the schema has no words
for (files that do not exist, keys that depend on each other).

https://json-schema.org/draft/2020-12/json-schema-validation
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from typing_extensions import override

from tidegate_agent.entry.document import Path, shown

Complain = Callable[[Path, str, str], None]
"""Called with the place, what is wrong, and the mend."""


class Shape(Protocol):
    """One kind of value."""

    def take(self, value: Any, path: Path, complain: Complain) -> Any:
        """Return what *value* means; after a complaint, anything."""
        ...

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Shape):
    """Text that matches a pattern as a whole.

    Attributes:
        meant: What is expected, in words: `a namespace's name`.
    """

    pattern: str
    meant: str
    max_length: int = 253

    @override
    def take(self, value: Any, path: Path, complain: Complain) -> Any:
        if not isinstance(value, str):
            complain(path, f"{self.meant} is expected", "write text; put a number in quotes")
        elif len(value) > self.max_length or not re.fullmatch(self.pattern, value):
            complain(path, f"this is not {self.meant}", f"write {self.meant}")
        return value

    @override
    def schema(self) -> dict[str, Any]:
        pattern = f"^(?:{self.pattern})$"
        return {"type": "string", "pattern": pattern, "maxLength": self.max_length}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Shape):
    """A whole number between two bounds, both included."""

    least: int
    most: int

    @override
    def take(self, value: Any, path: Path, complain: Complain) -> Any:
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON knows one kind of number: 3.0 is 3
        if isinstance(value, bool) or not isinstance(value, int):
            complain(path, "a whole number is expected", "write digits, without quotes or a point")
        elif not self.least <= value <= self.most:
            bounds = f"from {self.least} to {self.most}"
            complain(path, f"this must be {bounds}", f"write a number {bounds}")
        return value

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Flag(Shape):
    """Yes or no."""

    @override
    def take(self, value: Any, path: Path, complain: Complain) -> Any:
        if not isinstance(value, bool):
            complain(path, "true or false is expected", "write true or false, without quotes")
        return value

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice(Shape):
    """One of several words or numbers."""

    words: Sequence[str | int]

    @override
    def take(self, value: Any, path: Path, complain: Complain) -> Any:
        if isinstance(value, bool) or value not in self.words:
            words = [str(word) for word in self.words]
            complain(path, f"this must be {_either(words)}", _near(value, words))
        return value

    @override
    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Many(Shape):
    """A list of values, none of them twice; taken as a tuple."""

    of: Shape
    least: int = 0
    most: int = 1000

    @override
    def take(self, value: Any, path: Path, complain: Complain) -> Any:
        if not isinstance(value, list):
            complain(path, "a list is expected", "write [A, B], or one value a line after a dash")
            return ()
        if not self.least <= len(value) <= self.most:
            bounds = f"{self.least} to {self.most} of them"
            complain(path, f"this takes {bounds}", f"list {bounds}")
        for index, item in enumerate(value):
            if _first(value, item) < index:
                complain((*path, index), "this stands in the list twice", "keep one of them")
        taken = [self.of.take(item, (*path, index), complain) for index, item in enumerate(value)]
        return tuple(taken)

    @override
    def schema(self) -> dict[str, Any]:
        return {
            "type": "array",
            "items": self.of.schema(),
            "minItems": self.least,
            "maxItems": self.most,
            "uniqueItems": True,
        }


class Required:
    """Stands for a default where there is none."""


REQUIRED: Final = Required()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What may stand at one key.

    Attributes:
        says: What it is for, as the documentation of the key.
        default: What it is when it is not there, as the file would say it; `REQUIRED` for none.
        environment: The variable that is asked where the file says nothing; text, lists by comma.
    """

    shape: Shape
    says: str
    default: Any = REQUIRED
    environment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys(Shape):
    """A mapping with known keys; taken as a dict with all of them.

    Attributes:
        optional: Whether nothing at all may stand here (`null`), which is taken as None.
    """

    keys: Mapping[str, Key]
    optional: bool = field(default=False)

    @override
    def take(self, value: Any, path: Path, complain: Complain) -> Any:
        if value is None and self.optional:
            return None
        if not isinstance(value, dict):
            complain(path, "keys with values are expected", "write them indented below, KEY: VALUE")
            return {}
        for name in value:
            if name not in self.keys:
                complain((*path, name), "there is no such key", _near(name, list(self.keys)))
        return {name: self._at(name, value, path, complain) for name in self.keys}

    def _at(self, name: str, value: Mapping[str, Any], path: Path, complain: Complain) -> Any:
        key = self.keys[name]
        if name not in value and isinstance(key.default, Required):
            also = f", or set {key.environment}" if key.environment else ""
            complain((*path, name), f"{name} is missing", f"add {name}, {key.says}{also}")
            return None
        if name not in value and key.default is None:
            return None
        return key.shape.take(value.get(name, key.default), (*path, name), complain)

    @override
    def schema(self) -> dict[str, Any]:
        properties = {name: _described(key) for name, key in self.keys.items()}
        required = [
            name
            for name, key in self.keys.items()
            # What the environment may say cannot be missed by an editor.
            if isinstance(key.default, Required) and key.environment is None
        ]
        return {
            "type": ["object", "null"] if self.optional else "object",
            "properties": properties,
            "additionalProperties": False,
            **({"required": required} if required else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Named(Shape):
    """A mapping with names that the file gives; taken as a dict, in the file's order."""

    name: Text
    of: Shape
    most: int = 1000

    @override
    def take(self, value: Any, path: Path, complain: Complain) -> Any:
        if not isinstance(value, dict):
            complain(path, "keys with values are expected", "write them indented below, NAME: …")
            return {}
        if len(value) > self.most:
            complain(path, f"this takes at most {self.most} of them", "leave some out")
        for name in value:
            self.name.take(name, (*path, name), complain)
        return {name: self.of.take(each, (*path, name), complain) for name, each in value.items()}

    @override
    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": self.name.schema(),
            "additionalProperties": self.of.schema(),
            "maxProperties": self.most,
        }


def _described(key: Key) -> dict[str, Any]:
    has_default = not isinstance(key.default, Required) and key.default is not None
    return {
        "description": f"{key.says[0].upper()}{key.says[1:]}.",
        **key.shape.schema(),
        **({"default": key.default} if has_default else {}),
    }


def _first(values: Sequence[Any], wanted: Any) -> int:
    """Return where *wanted* first stands; JSON's 1, 1.0 and true are three things here."""
    kinds = ((type(each), each) for each in values)
    return next(index for index, each in enumerate(kinds) if each == (type(wanted), wanted))


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _near(given: Any, words: Sequence[str]) -> str:
    close = difflib.get_close_matches(given, words, n=1) if isinstance(given, str) else []
    return f"did you mean {shown(close[0])}?" if close else f"write {_either(words)}"
