"""Take an action's params out of what a person pressed, typed or filled in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from tidegate.core.model import Interaction, Kind
from tidegate.errors import ParamsError

ParamType = Literal["string", "integer", "boolean"]

_value_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_TEXT: Final = re.compile(r"text\[(\d+)\]")
_NAMED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=(.*)", re.DOTALL)
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_TOO_LARGE: Final = 10**18  # every reader of JSON and every store takes what is below
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """What an action takes under one name, and where it is found."""

    name: str
    source: str  # value.NAME | selected | text[N] | state.BLOCK.ACTION
    type: ParamType = "string"
    required: bool = False
    default: str | int | bool | None = None
    enum: tuple[str | int | bool, ...] = ()
    min: int | None = None
    max: int | None = None
    max_length: int = 256
    pattern: str | None = None
    secret: bool = False


def extract(params: Mapping[str, Param], found: Interaction) -> dict[str, Any]:
    """Return the value of every param that was given or has a default.

    Raises:
        ParamsError: A param is missing, unknown, or outside its rules. The text is for
            the person; it names params, and repeats no value.
    """
    given = _Given(params, found)
    values: dict[str, Any] = {}
    for param in params.values():
        raw = given.look(param.source)
        if raw is None or raw == "":
            if param.default is not None:
                values[param.name] = param.default
            elif param.required:
                raise ParamsError(f"`{param.name}` is missing.", field=param.name)
            continue
        values[param.name] = check(param, raw)
    given.refuse_unknown()
    return values


def usage(params: Mapping[str, Param], found: Interaction) -> str:
    """Return how a slash command is written, or an empty text for what is not one."""
    if found.kind is not Kind.COMMAND:
        return ""
    placed = {int(m[1]): p for p in params.values() if (m := _TEXT.fullmatch(p.source))}
    words = [found.trigger, *(_word(placed[index], placed[index].name) for index in sorted(placed))]
    for param in params.values():
        if param.source.startswith("value."):
            name = param.source.removeprefix("value.")
            words.append(_word(param, f"{name}={name.upper()}"))
    return " ".join(words)


def _word(param: Param, text: str) -> str:
    text = text if "=" in text else text.upper()
    return text if param.required and param.default is None else f"[{text}]"


def check(param: Param, raw: object) -> str | int | bool:
    """Return *raw* as the param's type, inside the param's rules.

    Raises:
        ParamsError: It does not fit.
    """
    value = _typed(param, raw)
    if param.enum and value not in param.enum:
        choices = ", ".join(str(choice) for choice in param.enum[:10])
        raise ParamsError(f"`{param.name}` must be one of: {choices}.", field=param.name)
    if isinstance(value, str):
        if len(value) > param.max_length:
            text = f"`{param.name}` is longer than {param.max_length} characters."
            raise ParamsError(text, field=param.name)
        if param.pattern is not None and not re.fullmatch(param.pattern, value):
            raise ParamsError(f"`{param.name}` does not have the expected form.", field=param.name)
    elif not isinstance(value, bool):
        if param.min is not None and value < param.min:
            raise ParamsError(f"`{param.name}` must be at least {param.min}.", field=param.name)
        if param.max is not None and value > param.max:
            raise ParamsError(f"`{param.name}` must be at most {param.max}.", field=param.name)
    return value


def _typed(param: Param, raw: object) -> str | int | bool:
    match param.type:
        case "integer":
            if isinstance(raw, int) and not isinstance(raw, bool) and abs(raw) < _TOO_LARGE:
                return raw
            if isinstance(raw, str) and _INTEGER.fullmatch(raw.strip()):
                return int(raw)
            raise ParamsError(f"`{param.name}` must be a whole number.", field=param.name)
        case "boolean":
            if isinstance(raw, bool):
                return raw
            word = raw.strip().lower() if isinstance(raw, str) else ""
            if word in _TRUE or word in _FALSE:
                return word in _TRUE
            raise ParamsError(f"`{param.name}` must be true or false.", field=param.name)
        case "string":
            if isinstance(raw, str):
                return raw
            if isinstance(raw, int) and not isinstance(raw, bool):
                return str(raw)  # a fraction would not come out as it was written: 1.10 as 1.1
            raise ParamsError(f"`{param.name}` must be text.", field=param.name)


class _Given:
    """What came with an interaction, looked at only as far as the params ask for it."""

    def __init__(self, params: Mapping[str, Param], found: Interaction) -> None:
        self._found = found
        self._sources = {param.source for param in params.values()}
        named = {s.removeprefix("value.") for s in self._sources if s.startswith("value.")}
        self._allowed = named
        self._named: Mapping[str, object] = {}
        self._words: list[str] = []
        self._not_read = False
        if found.kind is Kind.COMMAND:
            self._read_command(bool(named))
        elif named or "selected" not in self._sources:
            self._read_value(found.value, wanted=bool(named))

    def look(self, source: str) -> object:
        """Return what stands at *source*, or None."""
        if source.startswith("value."):
            return self._named.get(source.removeprefix("value."))
        if source == "selected":
            return self._found.selected
        if word := _TEXT.fullmatch(source):
            index = int(word[1])
            return self._words[index] if index < len(self._words) else None
        _, block_id, action_id = source.split(".", 2)
        return _state_value(self._found.state.get(block_id, {}).get(action_id))

    def refuse_unknown(self) -> None:
        """Refuse what no param takes: a typo must not pass in silence."""
        if self._not_read:
            raise ParamsError("What this button carries could not be read.")
        if not self._named.keys() <= self._allowed:
            raise ParamsError("It carries a param that this action does not take.")
        if not self._words:
            return
        taken = {int(m[1]) for m in map(_TEXT.fullmatch, self._sources) if m}
        if any(index not in taken for index in range(len(self._words))):
            raise ParamsError("There are more words than this command takes.")

    def _read_command(self, named: bool) -> None:
        words = self._found.text.split()[:200]
        if not named:
            self._words = words
            return
        pairs: dict[str, object] = {}
        for word in words:
            if pair := _NAMED.fullmatch(word):
                if pair[1] in pairs:
                    raise ParamsError("A param is given twice.")
                pairs[pair[1]] = pair[2]
            else:
                self._words.append(word)
        self._named = pairs

    def _read_value(self, value: str, *, wanted: bool) -> None:
        if not value:
            return
        try:
            self._named = _value_decoder.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self._not_read = wanted  # a value that is no object may mean something to others


def _state_value(element: object) -> object:
    """Return what an input element holds; its shape depends on its type.

    Source: https://docs.slack.dev/reference/block-kit/block-elements/
    """
    if not isinstance(element, Mapping):
        return None
    option = element.get("selected_option")
    if isinstance(option, Mapping):
        return option.get("value")
    options = element.get("selected_options")
    if isinstance(options, list):
        values = [o.get("value") for o in options if isinstance(o, Mapping)]
        return ",".join(value for value in values if isinstance(value, str))
    for key in _STATE_KEYS:
        found = element.get(key)
        if isinstance(found, list):
            return ",".join(value for value in found if isinstance(value, str))
        if found is not None:
            return found
    return None


_STATE_KEYS: Final = (
    "value",
    "selected_user",
    "selected_conversation",
    "selected_channel",
    "selected_date",
    "selected_time",
    "selected_date_time",
    "selected_users",
    "selected_conversations",
    "selected_channels",
)
