"""Changes told as they happen, one line of JSON each.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tidegate_dev.kubernetes.calls import Call
from tidegate_dev.kubernetes.errors import GoneError, bad_request
from tidegate_dev.kubernetes.media import Presenter
from tidegate_dev.kubernetes.reading import Reader
from tidegate_dev.kubernetes.requests import is_true
from tidegate_dev.kubernetes.selectors import Test
from tidegate_dev.kubernetes.store import Store, Watch, WatchEvent

BOOKMARK_SECONDS: Final = 60.0
_DEFAULT_TIMEOUT_SECONDS: Final = 1_800
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


@dataclass(slots=True)
class _Told:
    """Writes events in the form that was asked for; only the first table has its columns."""

    presenter: Presenter
    has_columns: bool = False

    def line(self, kind: str, obj: dict[str, Any]) -> bytes:
        if kind not in ("BOOKMARK", "ERROR"):
            obj = self.presenter.one(obj, with_columns=not self.has_columns)
            self.has_columns = True
        return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"


class Watcher:
    """Answers watch.

    Args:
        bookmark_seconds: How often a quiet watch that wants them is sent a bookmark.
    """

    def __init__(
        self, store: Store, reader: Reader, *, bookmark_seconds: float = BOOKMARK_SECONDS
    ) -> None:
        self._store = store
        self._reader = reader
        self._bookmark_seconds = bookmark_seconds

    def open(self, call: Call) -> AsyncIterator[bytes]:
        """Return the lines, which end with the time that the call gives.

        A version too long ago is told in the stream, as an event of type ERROR.

        Raises:
            StatusError: A parameter cannot be understood.
        """
        told, selects = _Told(self._reader.presenter(call)), call.selection()
        timeout = call.number("timeoutSeconds") or _DEFAULT_TIMEOUT_SECONDS
        since = _since(call)
        wants_start = is_true(call.params.get("sendInitialEvents"))
        if call.params.get("sendInitialEvents") is None:
            wants_start = since in (None, "0")
        try:
            watch = self._store.watch((call.resource,), since=None if wants_start else since)
        except GoneError as error:
            return _only(told.line("ERROR", error.to_dict()))
        start = self._start(call, told, selects) if wants_start else []
        return self._lines(call, watch, told, selects, start, timeout)

    def _start(self, call: Call, told: _Told, selects: Test) -> list[bytes]:
        """Return what there is already, as if it came to be just now."""
        objects, version = self._store.list(call.resource, call.namespace)
        lines = [told.line("ADDED", obj) for obj in objects if selects(obj)]
        if is_true(call.params.get("sendInitialEvents")) and _wants_bookmarks(call):
            end = {_INITIAL_EVENTS_END: "true"}
            lines.append(told.line("BOOKMARK", _bookmark(call, version, annotations=end)))
        return lines

    async def _lines(
        self,
        call: Call,
        watch: Watch,
        told: _Told,
        selects: Test,
        start: list[bytes],
        timeout: float,  # noqa: ASYNC109 - how long the client wants to be told
    ) -> AsyncIterator[bytes]:
        for line in start:
            yield line
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            try:
                event = await asyncio.wait_for(anext(watch), min(left, self._bookmark_seconds))
            except TimeoutError:
                if _wants_bookmarks(call):
                    yield told.line("BOOKMARK", _bookmark(call, str(watch.version)))
                continue
            except StopAsyncIteration:
                return
            except GoneError as error:
                yield told.line("ERROR", error.to_dict())
                return
            for kind, obj in _seen(event, call.namespace, selects):
                yield told.line(kind, obj)


def _since(call: Call) -> str | None:
    since = call.params.get("resourceVersion", "")
    if since and not (since.isascii() and since.isdigit()):
        raise bad_request(f'Invalid value: "{since[:40]}": strconv.ParseUint: invalid syntax')
    return since or None


def _seen(event: WatchEvent, namespace: str, selects: Test) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the event is to somebody who sees only what they selected."""
    if namespace and event.object["metadata"].get("namespace") != namespace:
        return
    is_seen = event.type != "DELETED" and selects(event.object)
    was_seen = event.previous is not None and selects(event.previous)
    if is_seen:
        yield ("MODIFIED" if was_seen else "ADDED"), event.object
    elif was_seen:
        yield "DELETED", event.object


def _wants_bookmarks(call: Call) -> bool:
    return is_true(call.params.get("allowWatchBookmarks"))


def _bookmark(
    call: Call, version: str, *, annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": version, "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    resource = call.resource
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}


async def _only(line: bytes) -> AsyncIterator[bytes]:
    yield line
