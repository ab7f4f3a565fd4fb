"""A mistake, and how it is planted in a copy of a template."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.deploy.cloudformation.templates import Json, Template, named

Change = Callable[[Json], None]


@dataclass(frozen=True, slots=True)
class Defect:
    """A mistake.

    Attributes:
        what: What somebody did, in words.
        template: In which template.
        rule: The rule that catches it, by name.
        changes: How it is planted.
    """

    what: str
    template: str
    rule: str
    changes: tuple[Change, ...]

    def planted(self) -> Template:
        """Return a copy of the template with the mistake in it."""
        data = copy.deepcopy(named(self.template).data)
        for change in self.changes:
            change(data)
        return Template(self.template, data)


def _walk(data: Json, path: str) -> tuple[Any, str | int]:
    at: Any = data
    *steps, last = path.split("/")
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at[step]
    return at, int(last) if isinstance(at, list) else last


def put(path: str, value: Any) -> Change:
    """Return a change that writes a value, at a path with slashes."""

    def change(data: Json) -> None:
        at, last = _walk(data, path)
        at[last] = copy.deepcopy(value)

    return change


def gone(path: str) -> Change:
    """Return a change that takes something away; it has to be there."""

    def change(data: Json) -> None:
        at, last = _walk(data, path)
        del at[last]

    return change


def of(name: str, *rest: str) -> str:
    """Return the path of a resource's property."""
    return "/".join(("Resources", name, "Properties", *rest))


def reason_gone(name: str, reason: str) -> Change:
    """Return a change that takes the reason from beside a resource."""
    return gone(f"Resources/{name}/Metadata/Reasons/{reason}")


def rewritten(path: str, **changes: Any) -> Change:
    """Return a change that rewrites parts of a mapping."""

    def change(data: Json) -> None:
        at, last = _walk(data, path)
        at[last] = {**at[last], **changes}

    return change


def defect(what: str, template: str, rule: str, *changes: Change) -> Defect:
    """Return a mistake."""
    return Defect(what, template, rule, changes)
