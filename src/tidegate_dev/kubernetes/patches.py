"""Changes to an object, written as JSON Patch (RFC 6902) or JSON Merge Patch (RFC 7386)."""

from typing import Any, Final

from tidegate_dev.kubernetes.watches import copied

_NOWHERE: Final = object()


class PatchError(Exception):
    """The patch does not fit the object; the message says where."""


def merge_patched(target: Any, patch: Any) -> Any:
    """Return *target* as the merge patch makes it."""
    if not isinstance(patch, dict):
        return copied(patch)
    result = copied(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patched(result.get(key), value)
    return result


def json_patched(target: Any, operations: Any) -> Any:
    """Return *target* as all the operations make it, one after another.

    Raises:
        PatchError: One of them cannot be done, or a `test` says no.
    """
    if not isinstance(operations, list):
        raise PatchError("a JSON patch is a list of operations")
    result = copied(target)
    for operation in operations:
        if not isinstance(operation, dict):
            raise PatchError("an operation is an object")
        result = _operated(result, operation)
    return result


def _operated(document: Any, operation: dict[str, Any]) -> Any:
    path = _pointer(operation, "path")
    match operation.get("op"):
        case "add":
            return _added(document, path, copied(_value(operation)))
        case "remove":
            return _removed(document, path)
        case "replace":
            _read(document, path)
            return _replaced(document, path, copied(_value(operation)))
        case "move":
            source = _pointer(operation, "from")
            moved = _read(document, source)
            return _added(_removed(document, source), path, moved)
        case "copy":
            return _added(document, path, copied(_read(document, _pointer(operation, "from"))))
        case "test":
            if not _equal(_read(document, path), _value(operation)):
                raise PatchError(f"testing value {operation['path']} failed")
            return document
        case unknown:
            raise PatchError(f"Unexpected kind: {unknown}")


def _pointer(operation: dict[str, Any], field: str) -> list[str]:
    text = operation.get(field)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"`{field}` is not a JSON pointer")
    parts = text.split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise PatchError("the operation has no `value`")
    return operation["value"]


def _read(document: Any, path: list[str]) -> Any:
    for part in path:
        document = _child(document, part)
    return document


def _child(holder: Any, part: str) -> Any:
    if isinstance(holder, dict):
        found = holder.get(part, _NOWHERE)
    elif isinstance(holder, list):
        found = holder[_index(part, len(holder) - 1)]
    else:
        found = _NOWHERE
    if found is _NOWHERE:
        raise PatchError(f"missing value at {part!r}")
    return found


def _index(part: str, highest: int) -> int:
    if not (part == "0" or (part.isascii() and part.isdigit() and part[0] != "0")):
        raise PatchError(f"{part!r} is not an index")
    if int(part) > highest:
        raise PatchError(f"index {part} is out of bounds")
    return int(part)


def _added(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    holder, last = _read(document, path[:-1]), path[-1]
    if isinstance(holder, dict):
        holder[last] = value
    elif isinstance(holder, list):
        place = len(holder) if last == "-" else _index(last, len(holder))
        holder.insert(place, value)
    else:
        raise PatchError(f"{last!r} cannot be added to a plain value")
    return document


def _removed(document: Any, path: list[str]) -> Any:
    if not path:
        raise PatchError("the whole document cannot be removed")
    _read(document, path)
    holder, last = _read(document, path[:-1]), path[-1]
    del holder[last if isinstance(holder, dict) else int(last)]
    return document


def _replaced(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    holder, last = _read(document, path[:-1]), path[-1]
    holder[last if isinstance(holder, dict) else int(last)] = value
    return document


def _equal(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same; True is not 1 in JSON."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
