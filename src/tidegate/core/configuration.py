"""From the text of a configuration file to `Settings`, or to all that is wrong with it."""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tidegate.core import document
from tidegate.core.consistency import cross_check, suggestion
from tidegate.core.document import Complaint, Document, Path
from tidegate.core.fields import REFERENCE_MEND
from tidegate.core.presets import expand_all
from tidegate.core.schema import description, known_keys, types_at
from tidegate.core.settings import Settings
from tidegate.errors import ConfigError


def parse(text: str, *, source: str) -> Settings:
    """Return what *text* says.

    Args:
        text: The content of a configuration file.
        source: What the file is called in the error's message.

    Raises:
        ConfigError: With every problem of the file, in the order of its lines.
    """
    return parse_document(document.read(text), source=source)


def parse_document(read: Document, *, source: str) -> Settings:
    """Return what a file that was *read* says; like `parse`.

    Raises:
        ConfigError: With every problem of the file, in the order of its lines.
    """
    whole = expand_all(read.value)
    settings: Settings | None = None
    complaints: list[Complaint] = []
    try:
        settings = Settings.model_validate(whole)
    except ValidationError as error:
        details = error.errors(include_url=False)
        complaints = [complaint(one, whole) for one in details if not _follows(one)]
    complaints += cross_check(whole)
    if read.problems and not read.value:
        complaints = []  # nothing could be read, so nothing of it is missing
    problems = [*read.problems, *map(read.problem, dict.fromkeys(complaints))]
    if problems or settings is None:
        problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
        refusal = ConfigError(tuple(problems))
        refusal.add_note(f"in {source}")
        raise refusal
    return settings


# --- from the models' errors to complaints -------------------------------------------------

_SECRETS: Final = frozenset({"bot_token", "app_token", "signing_secrets", "signing_key", "secret"})
_HINTS: Final[Mapping[str, str]] = {
    "slack": "add slack: {bot_token: {env: SLACK_BOT_TOKEN}, "
    "signing_secrets: [{env: SLACK_SIGNING_SECRET}]}",
    "bot_token": "add bot_token: {env: SLACK_BOT_TOKEN}",
    "signing_secrets": "add signing_secrets: [{env: SLACK_SIGNING_SECRET}]",
    "store": 'add store: {url: "sqlite:///tidegate.db"}',
    "auth": "add auth: {type: token_file, path: PATH}, or auth: {type: none} "
    "if the service needs no proof",
    "region": "add region: eu-west-1, or where the API is",
}
_NAME_MEND: Final = (
    "use letters, digits, _ and - (and . but for params), at most 64, "
    "the first a letter, a digit or _"
)
_KEYS: Final = ("keys with values are expected", "write {KEY: VALUE}, or indent them below")
_EXPECTED: Final[Mapping[str, tuple[str, str]]] = {
    "model_type": _KEYS,
    "model_attributes_type": _KEYS,
    "dict_type": _KEYS,
    "mapping_type": _KEYS,
    "tuple_type": ("a list is expected", "write [A, B], or one value a line after a dash"),
    "list_type": ("a list is expected", "write [A, B], or one value a line after a dash"),
    "string_type": ("text is expected", "put the value in quotes"),
    "int_type": ("a whole number is expected", "write digits without quotes"),
    "int_from_float": ("a whole number is expected", "write digits without a point"),
    "float_type": ("a number is expected", "write digits without quotes"),
    "bool_type": ("true or false is expected", "write true or false, without quotes"),
}


def _follows(detail: ErrorDetails) -> bool:
    """Return whether an error only follows from others: a list of wrong items is not empty."""
    given = detail["input"]
    return (
        detail["type"] == "too_short"
        and isinstance(given, list)
        and len(given) >= detail.get("ctx", {}).get("min_length", 0)
    )


def complaint(detail: ErrorDetails, whole: Mapping[str, Any]) -> Complaint:
    """Return an error of the models in our words; no value of the file is repeated but names."""
    path = _path(detail["loc"], whole)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "secret_reference":
        return Complaint(path=path, what=detail["msg"], mend=REFERENCE_MEND)
    if _in_secret(path):
        return Complaint(
            path=path[: _in_secret(path)],
            what="this is not a reference to a secret",
            mend=f"{REFERENCE_MEND}; NAME is the name of a variable, not the secret",
        )
    if kind == "union_tag_invalid":
        path = (*path, "type")
    if detail["loc"][-1:] == ("[key]",):
        return Complaint(path=path, what="this name cannot be used", mend=_NAME_MEND)
    what, mend = _words(kind, context, detail, path)
    return Complaint(path=path, what=what, mend=mend)


def _words(
    kind: str, context: Mapping[str, Any], detail: ErrorDetails, path: Path
) -> tuple[str, str]:
    """Return what is wrong and the mend for one kind of error."""
    last = str(path[-1]) if path else ""
    match kind:
        case "rejected":
            return str(context["what"]), str(context["mend"])
        case "missing":
            return f"{last} is missing", _HINTS.get(last, f"add {last}: …")
        case "extra_forbidden":
            return _unknown_key(path)
        case "literal_error":
            return _choice(detail["input"], str(context["expected"]))
        case "union_tag_invalid":
            return _choice(context["tag"], str(context["expected_tags"]))
        case "union_tag_not_found":
            return "type is missing", f"add type: one of {', '.join(types_at(path))}"
        case "string_pattern_mismatch":
            meant = description(path) or "see its documentation"
            return "this does not have the expected form", f"{last}: {meant}"
        case _ if kind in _EXPECTED:
            what, mend = _EXPECTED[kind]
            return (f"nothing stands here; {what}" if detail["input"] is None else what), mend
        case _:
            return _limits(context)


def _unknown_key(path: Path) -> tuple[str, str]:
    known, last = known_keys(path[:-1]), str(path[-1])
    if last in known:
        return f"{last} does not belong to this type", "leave it out"
    return "there is no such key", suggestion(last, known, f"the keys here are: {', '.join(known)}")


def _choice(given: object, choices: str) -> tuple[str, str]:
    names = re.findall(r"'([^']+)'", choices)
    near = suggestion(given, names, f"write {choices}") if isinstance(given, str) else ""
    return f"this must be {choices}", near or f"write {choices}"


def _limits(context: Mapping[str, Any]) -> tuple[str, str]:
    bounds = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    for key, words in bounds.items():
        if key in context:
            limit = f"{words} {context[key]:.10g}"
            return f"this must be {limit}", f"write a number that is {limit}"
    if "min_length" in context:
        return "this is too short or empty", f"write at least {context['min_length']} of it"
    if "max_length" in context:
        return "this is too long", f"write at most {context['max_length']} of it"
    return "this is not what belongs here", "compare it with the documentation of this key"


def _path(location: tuple[int | str, ...], whole: Any) -> Path:
    """Return the keys of *location* as they stand in the file.

    The models add the name of a variant where several are possible, and an index where one
    rule stands for a list of one.
    """
    path: list[int | str] = []
    here = whole
    for position, step in enumerate(location):
        inner = _step(here, step)
        if inner is not _NOWHERE:
            path.append(step)
            here = inner
        elif isinstance(here, Mapping) and position == len(location) - 1 and step != "[key]":
            path.append(step)
    return tuple(path)


_NOWHERE: Final = object()


def _step(here: Any, step: int | str) -> Any:
    if isinstance(here, Mapping) and isinstance(step, str):
        return here.get(step, _NOWHERE)
    if isinstance(here, list) and isinstance(step, int) and step < len(here):
        return here[step]
    return _NOWHERE


def _in_secret(path: Path) -> int:
    """Return how much of *path* names the place of a secret; 0 when it names none."""
    for position, step in enumerate(path):
        if step in _SECRETS and path[0] in {"slack", "identity", "api"}:
            listed = len(path) > position + 1 and isinstance(path[position + 1], int)
            end = position + 1 + listed
            return end if len(path) > end else 0
    return 0
