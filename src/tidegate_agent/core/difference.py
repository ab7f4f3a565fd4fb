"""What differs between two states of an object, as people are told before they decide."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate_agent.core import fields, redaction
from tidegate_agent.core.workload import AT, BY, CHANGE_CAUSE, RESTARTED_AT, RUN

MAX_DIFFERENCES: Final = 50
MAX_SHOWN: Final = 200  # characters of a value in a difference
#: Below which members values may be secrets: told to differ, and not shown.
_SECRET: Final = frozenset({"env", "httpHeaders", "args", "command"})
#: Members of their items that hold none: what a variable is called, and where it is from.
_PLAIN: Final = frozenset({"name", "valueFrom"})
#: Annotations that the agent or a controller writes, and nobody keeps secrets in.
_OURS: Final = frozenset(
    {RUN, BY, AT, CHANGE_CAUSE, RESTARTED_AT, "deployment.kubernetes.io/revision"}
)

_Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that a change alters; None is absent."""

    path: str
    before: str | None
    after: str | None

    @property
    def line(self) -> str:
        """Return it as people are told."""
        return f"{self.path}: {self.before or '(none)'} → {self.after or '(none)'}"


def of(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return what differs between two states of an object, in what people decide: not in status.

    Values of environment variables, headers, annotations, arguments and commands are told to
    differ, and not shown.
    """
    found: list[Difference] = []
    for part in ("metadata.labels", "metadata.annotations", "spec"):
        steps = part.split(".")
        for each in _differ(tuple(steps), fields.at(before, *steps), fields.at(after, *steps)):
            if len(found) == MAX_DIFFERENCES:
                return tuple(found)
            found.append(each)
    return tuple(found)


def _differ(path: _Steps, one: object, other: object) -> Iterator[Difference]:
    if one == other:
        return
    left, right = _members(one), _members(other)
    if any(
        members is None and value is not None for members, value in ((left, one), (right, other))
    ):
        yield _difference(path, one, other)
        return
    for name in sorted({*(left or {}), *(right or {})}):
        yield from _differ((*path, name), (left or {}).get(name), (right or {}).get(name))


def _members(value: object) -> Mapping[str, Any] | None:
    """Return an object's members, or a list's by name where its items have one."""
    if isinstance(value, Mapping):
        return {str(name): each for name, each in value.items()}
    if isinstance(value, list):
        named = all(isinstance(each, Mapping) and "name" in each for each in value)
        return {f"[{each['name'] if named else place}]": each for place, each in enumerate(value)}
    return None


def _difference(steps: _Steps, one: object, other: object) -> Difference:
    path = "".join(step if step.startswith("[") else f".{step}" for step in steps)[1:]
    if _hidden(steps):
        return Difference(
            path=path,
            before=None if one is None else "(hidden)",
            after=None if other is None else "(hidden, another)",
        )
    return Difference(path=path, before=_shown(one), after=_shown(other))


def _hidden(steps: _Steps) -> bool:
    """Return whether what is there may be secret, by where it is and by no name that is chosen."""
    if "annotations" in steps:
        return steps[-1] not in _OURS
    for place, step in enumerate(steps):
        if step in _SECRET:
            return _PLAIN.isdisjoint(steps[place + 2 : place + 3])
    return False


def _shown(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, Mapping | list):
        return "(several)"
    text = redaction.line(value) if isinstance(value, str) else str(value).lower()
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
