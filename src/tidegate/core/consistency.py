"""What one part of a configuration says about another, where each part alone may be right.

Works on plain values with presets filled in, and is total: what has the wrong shape is passed
over, because the models say so already. So every problem of a file is found at once, whatever
else is wrong with it.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from pydantic import ValidationError

from tidegate.core import arrival_rule
from tidegate.core import params as given
from tidegate.core.document import Complaint, Path, shown
from tidegate.core.fields import source_of
from tidegate.core.pathway_consistency import pathway_check
from tidegate.core.presets import PRESETS, shares
from tidegate.core.settings import Param
from tidegate.core.sigv4 import MAX_PRESIGNED_SECONDS
from tidegate.errors import ParamsError

MAX_NAMES: Final = 200  # names looked through for a suggestion
KINDS: Final = ("action_id", "command", "shortcut", "view")

#: What a body or a path may name besides `{params.NAME}`.
TEMPLATE_FIELDS: Final = (
    "actor.user_id",
    "actor.user_name",
    "actor.team_id",
    "channel_id",
    "run_id",
    "action",
    "action_id",
)
_WHOLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
#: What looks like something to be replaced.
PART: Final = re.compile(r"\{((?:params|actor)\.[A-Za-z0-9_.-]*|channel_id|run_id|action_id)\}")


def cross_check(document: Mapping[str, Any]) -> Iterator[Complaint]:
    """Yield what does not fit together in *document*."""
    pathways = _mapping(document.get("pathways"))
    actions = _mapping(document.get("actions"))
    for name, pathway in pathways.items():
        yield from pathway_check(("pathways", name), _mapping(pathway))
    for name, action in actions.items():
        if isinstance(action, Mapping):
            yield from _action(("actions", name), action, pathways)
    yield from _equal_matches(actions)
    for alias, bucket in _mapping(_mapping(document.get("s3")).get("buckets")).items():
        yield from _scan(("s3", "buckets", alias, "scan"), _mapping(bucket).get("scan"))
        yield from _expiry(("s3", "buckets", alias), _mapping(bucket))
    yield from _events(_mapping(document.get("s3")))


def _expiry(path: Path, bucket: Mapping[str, Any]) -> Iterator[Complaint]:
    seconds = bucket.get("expires_seconds")
    if (
        isinstance(seconds, int)
        and seconds > MAX_PRESIGNED_SECONDS
        and not bucket.get("cloudfront")
    ):
        yield Complaint(
            path=(*path, "expires_seconds"),
            what="a presigned link cannot live longer than 7 days",
            mend=f"write at most {MAX_PRESIGNED_SECONDS}, or add cloudfront: {{…}} for the bucket",
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def suggestion(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return `did you mean X?` for a *word* that is nearly one of *known*; else *otherwise*."""
    others = [name for name in islice(known, MAX_NAMES) if name != word]
    near = difflib.get_close_matches(shown(word), others, n=1)
    return f"did you mean {near[0]}?" if near else otherwise


def _listed(names: Iterable[str], none: str) -> str:
    return ", ".join(shown(name) for name in islice(names, 20)) or none


# --- sharing -------------------------------------------------------------------------------


def _scan(path: Path, scan: Any) -> Iterator[Complaint]:
    if isinstance(scan, Mapping) and ("clamd" in scan) == ("guardduty" in scan):
        yield Complaint(
            path=path,
            what="one scanner is expected",
            mend="write clamd: unix:/PATH or HOST:PORT, or guardduty: true",
        )


def _events(s3: Mapping[str, Any]) -> Iterator[Complaint]:
    events, buckets = _mapping(s3.get("events")), _mapping(s3.get("buckets"))
    path: Path = ("s3", "events")
    yield from _dead_letters((*path, "dead_letter_url"), events)
    names: set[str] = set()
    for index, rule in enumerate(_list(events.get("rules"))):
        where = (*path, "rules", index)
        name = _mapping(rule).get("name")
        if isinstance(name, str) and name in names:
            yield Complaint(
                path=(*where, "name"),
                what=f"there is a rule named '{shown(name)}' already",
                mend="give each rule a name of its own: it is part of what its runs are known by",
            )
        names |= {name} if isinstance(name, str) else set()
        yield from _arrival(where, _mapping(rule), buckets)


def _dead_letters(path: Path, events: Mapping[str, Any]) -> Iterator[Complaint]:
    queue, dead = events.get("queue_url"), events.get("dead_letter_url")
    if not isinstance(queue, str) or not isinstance(dead, str):
        return
    if queue == dead:
        yield Complaint(
            path=path,
            what="this is the queue itself: what cannot be followed would come again for ever",
            mend="name another queue, or leave it out",
        )
    elif queue.split("/")[:3] != dead.split("/")[:3]:
        yield Complaint(
            path=path,
            what="this queue is on another host than queue_url",
            mend="name a queue of the same region",
        )


def _arrival(
    path: Path, rule: Mapping[str, Any], buckets: Mapping[str, Any]
) -> Iterator[Complaint]:
    alias = rule.get("bucket")
    if isinstance(alias, str) and alias not in buckets:
        known = _listed(buckets, "none yet")
        yield Complaint(
            path=(*path, "bucket"),
            what=f"there is no bucket with the alias '{shown(alias)}'",
            mend=suggestion(alias, buckets, f"write one of s3.buckets: {known}"),
        )
    elif isinstance(alias, str):
        yield from _within(path, rule, _mapping(buckets[alias]), alias)
    title = rule.get("title")
    for field in arrival_rule.unknown_fields(title) if isinstance(title, str) else ():
        fields = ", ".join(f"{{{name}}}" for name in arrival_rule.FIELDS)
        yield Complaint(
            path=(*path, "title"),
            what=f"there is no {{{shown(field)}}}",
            mend=suggestion(field, arrival_rule.FIELDS, f"write one of {fields}"),
        )


def _within(
    path: Path, rule: Mapping[str, Any], bucket: Mapping[str, Any], alias: str
) -> Iterator[Complaint]:
    """Yield where a rule asks for what its bucket does not allow."""
    for key, allowed in (("channel", "channels"), ("mode", "modes")):
        value = rule.get(key)
        if isinstance(value, str) and value not in _list(bucket.get(allowed)):
            yield Complaint(
                path=(*path, key),
                what=f"the bucket does not allow this: it is not in its {allowed}",
                mend=f"add it to s3.buckets.{shown(alias)}.{allowed}, or write one of those",
            )
    prefix, whole = rule.get("prefix"), bucket.get("prefix")
    if (
        isinstance(prefix, str)
        and isinstance(whole, str)
        and prefix
        and not prefix.startswith(whole)
    ):
        yield Complaint(
            path=(*path, "prefix"),
            what="this lies outside the bucket's own prefix, so nothing would ever fit",
            mend=f"begin it with {shown(whole)}, or leave it out",
        )


# --- actions -------------------------------------------------------------------------------


def _action(
    path: Path, action: Mapping[str, Any], pathways: Mapping[str, Any]
) -> Iterator[Complaint]:
    yield from _match(path, action)
    yield from _target(path, action, pathways)
    params = _mapping(action.get("params"))
    rules = {name: _salvaged(name, rule) for name, rule in params.items()}
    for name, rule in params.items():
        if isinstance(rule, Mapping):
            yield from _param((*path, "params", name), name, rule)
            yield from _source((*path, "params", name), rule, action)
    yield from _allow(path, action.get("allow"), rules)
    yield from _body((*path, "body"), action.get("body"), params)
    request_path = _mapping(action.get("request")).get("path")
    if isinstance(request_path, str):
        yield from _request_path((*path, "request", "path"), request_path, params)


def _misnamed(action: Mapping[str, Any]) -> bool:
    """Whether a preset is named that there is not: what it would have filled in is not missing."""
    return action.get("use") is not None and not _is_preset(action["use"])


def _is_preset(use: Any) -> bool:
    return isinstance(use, str) and use in PRESETS


def _match(path: Path, action: Mapping[str, Any]) -> Iterator[Complaint]:
    match = action.get("match")
    if match is None and _misnamed(action):
        return
    if match is None:
        yield Complaint(
            path=path if "match" not in action else (*path, "match"),
            what="nothing starts this action: match is missing",
            mend="add match: {action_id: [ID]}, or command, shortcut or view",
        )
    elif isinstance(match, Mapping):
        kinds = [kind for kind in KINDS if kind in match]
        if len(kinds) > 1:
            yield Complaint(
                path=(*path, "match"),
                what=f"more than one kind of match: {', '.join(kinds)}",
                mend="keep one kind; make a second action for the other",
            )
        elif not kinds or match[kinds[0]] is None:
            yield Complaint(
                path=(*path, "match"),
                what="nothing to match",
                mend="write one of action_id, command, shortcut or view with a list",
            )


def _target(
    path: Path, action: Mapping[str, Any], pathways: Mapping[str, Any]
) -> Iterator[Complaint]:
    pathway = action.get("pathway")
    known = _listed(pathways, "none yet")
    if isinstance(pathway, str) and pathway not in pathways:
        yield Complaint(
            path=(*path, "pathway"),
            what=f"there is no pathway named '{shown(pathway)}'",
            mend=suggestion(pathway, pathways, f"write one of pathways: {known}"),
        )
    if action.get("request") is not None:
        # A preset is inactive until the action names a pathway.
        if pathway is None and not _is_preset(action.get("use")):
            yield Complaint(
                path=(*path, "pathway"),
                what="the request has no pathway to go over",
                mend=f"add pathway: NAME, one of pathways: {known}",
            )
    elif not shares(action) and not _misnamed(action):
        yield Complaint(
            path=(*path, "request"),
            what="the action sends nothing: request is missing",
            mend="add request: {method: POST, path: /…}, or use: PRESET",
        )


def _equal_matches(actions: Mapping[str, Any]) -> Iterator[Complaint]:
    first: dict[tuple[str, str], str] = {}
    for name, action in actions.items():
        match = _mapping(_mapping(action).get("match"))
        for kind in KINDS:
            for index, text in enumerate(_list(match.get(kind))):
                if not isinstance(text, str):
                    continue
                if (kind, text) in first:
                    yield Complaint(
                        path=("actions", name, "match", kind, index),
                        what=f"'{shown(text)}' is matched already by action "
                        f"'{shown(first[kind, text])}'",
                        mend="let one action match it; give the other its own match",
                    )
                else:
                    first[kind, text] = name


# --- params --------------------------------------------------------------------------------


def _salvaged(name: str, rule: Any) -> given.Param | None:
    """Return the param as far as its keys are right; None when nothing can be told of it."""
    if not isinstance(rule, Mapping):
        return None
    keys = {key: value for key, value in rule.items() if key not in {"default", "from"}}
    try:
        param = Param.model_validate(keys)
    except ValidationError as error:
        wrong = {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]}
        if "type" in wrong:
            return None
        param = Param.model_validate({k: v for k, v in keys.items() if k not in wrong})
    return given.Param(
        name=name,
        source="",
        type=param.type,
        enum=param.enum or (),
        min=param.min,
        max=param.max,
        max_length=param.max_length,
        pattern=param.pattern,
    )


_TYPES: Final[Mapping[str, type]] = {"string": str, "integer": int, "boolean": bool}
_NOUNS: Final[Mapping[str, str]] = {
    "string": "text (in quotes)",
    "integer": "a whole number",
    "boolean": "true or false",
}


def _misfit(param: given.Param, value: Any) -> str | None:
    """Return why *value* could never be the param's, or None."""
    if not isinstance(value, str | int | bool):
        return None  # the models say so
    if type(value) is not _TYPES[param.type]:
        return f"is not {_NOUNS[param.type]}, as type: {param.type} says"
    try:
        given.check(param, value)
    except ParamsError as error:
        return f"does not keep the param's own rules: {error.notice}"
    return None


def _param(path: Path, name: str, rule: Mapping[str, Any]) -> Iterator[Complaint]:
    param = _salvaged(name, rule)
    if param is None:
        return
    bare = given.Param(name=name, source="", type=param.type)
    for index, value in enumerate(_list(rule.get("enum"))):
        reason = _misfit(bare, value)
        if reason:
            yield Complaint(
                path=(*path, "enum", index),
                what=f"this value {reason}",
                mend=f"write {_NOUNS[param.type]}, or change type",
            )
    reason = None if rule.get("default") is None else _misfit(param, rule["default"])
    if reason:
        yield Complaint(
            path=(*path, "default"), what=f"the default {reason}", mend="change one of the two"
        )
    yield from _bounds(path, param, rule)


def _bounds(path: Path, param: given.Param, rule: Mapping[str, Any]) -> Iterator[Complaint]:
    if param.min is not None and param.max is not None and param.min > param.max:
        yield Complaint(
            path=(*path, "min"),
            what=f"min is {param.min}, but max is {param.max}: no value fits",
            mend="exchange or change them",
        )
    belongs = {"min": "integer", "max": "integer", "pattern": "string", "max_length": "string"}
    for key, kind in belongs.items():
        if rule.get(key) is not None and param.type != kind:
            yield Complaint(
                path=(*path, key),
                what=f"{key} means nothing for type: {param.type}",
                mend=f"leave it out, or write type: {kind}",
            )


def _source(path: Path, rule: Mapping[str, Any], action: Mapping[str, Any]) -> Iterator[Complaint]:
    origin = rule.get("from")
    source = source_of(origin) if isinstance(origin, str) else None
    if (
        source is not None
        and source.kind == "text"
        and "command" not in _mapping(action.get("match"))
    ):
        yield Complaint(
            path=(*path, "from"),
            what="only a slash command has a text",
            mend="write value.NAME, selected or state.BLOCK.ACTION, or match a command",
        )


# --- allow ---------------------------------------------------------------------------------


def _allow(path: Path, allow: Any, params: Mapping[str, given.Param | None]) -> Iterator[Complaint]:
    rules: list[tuple[Path, Any]] = [((*path, "allow"), allow)]
    if isinstance(allow, list):
        rules = [((*path, "allow", index), rule) for index, rule in enumerate(allow)]
    for where, rule in rules:
        for name, values in _mapping(_mapping(rule).get("params")).items():
            if name not in params:
                known = _listed(params, "none")
                yield Complaint(
                    path=(*where, "params", name),
                    what=f"the action has no param '{shown(name)}'",
                    mend=suggestion(name, params, f"its params are: {known}"),
                )
                continue
            param = params[name]
            for index, value in enumerate(_list(values)):
                reason = _misfit(param, value) if param else None
                if reason:
                    yield Complaint(
                        path=(*where, "params", name, index),
                        what=f"this value {reason}",
                        mend="change the value or the param",
                    )


# --- templates -----------------------------------------------------------------------------


def _unknown(name: str, params: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what is wrong with `{name}` in a template and the mend, or None."""
    param = name.removeprefix("params.")
    if name in TEMPLATE_FIELDS or (param != name and param in params):
        return None
    what = f"there is no {{{shown(name)}}}"
    if param != name:
        return what, suggestion(
            param, params, f"the action's params are: {_listed(params, 'none')}"
        )
    fields = ", ".join(f"{{{field}}}" for field in TEMPLATE_FIELDS)
    return what, suggestion(name, TEMPLATE_FIELDS, f"write {{params.NAME}} or one of {fields}")


def _body(path: Path, value: Any, params: Mapping[str, Any]) -> Iterator[Complaint]:
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from _body((*path, key), inner, params)
        case list():
            for index, inner in enumerate(value):
                yield from _body((*path, index), inner, params)
        case str():
            # What is no template at all is sent as it stands.
            template = PART.fullmatch(value)
            wrong = _unknown(template[1], params) if template else None
            if wrong:
                yield Complaint(path=path, what=wrong[0], mend=wrong[1])
        case _:
            return


def _request_path(path: Path, value: str, params: Mapping[str, Any]) -> Iterator[Complaint]:
    for segment in value.split("/"):
        whole = _WHOLE.fullmatch(segment)
        if whole:
            if wrong := _unknown(whole[1], params):
                yield Complaint(path=path, what=wrong[0], mend=wrong[1])
        elif "{" in segment or "}" in segment:
            yield Complaint(
                path=path,
                what="{…} may only be a whole segment, between two slashes",
                mend="write it as /{params.NAME}/",
            )
