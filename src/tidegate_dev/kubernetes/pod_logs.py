"""What a container of a pod wrote, from where and as far as somebody wants it.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tidegate_dev.kubernetes.ages import parsed
from tidegate_dev.kubernetes.calls import Call
from tidegate_dev.kubernetes.errors import NotFoundError, StatusError, bad_request
from tidegate_dev.kubernetes.logs import LogLine, Logs
from tidegate_dev.kubernetes.requests import is_true
from tidegate_dev.kubernetes.resources import PODS
from tidegate_dev.kubernetes.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """What of the lines is wanted."""

    since: float
    tail: int | None
    limit_bytes: int | None
    is_stamped: bool

    def first(self, lines: list[LogLine]) -> list[LogLine]:
        """Return those of the lines that were there at the start which are wanted."""
        recent = [line for line in lines if line.at >= self.since]
        return recent if self.tail is None else recent[max(0, len(recent) - self.tail) :]

    def written(self, lines: Iterable[LogLine]) -> Iterator[bytes]:
        for line in lines:
            yield (line.stamped() if self.is_stamped else line.text).encode() + b"\n"


class LogReader:
    """Answers the subresource `log`.

    Args:
        now: Seconds since the Unix epoch.
    """

    def __init__(self, store: Store, logs: Logs, now: Callable[[], float]) -> None:
        self._store = store
        self._logs = logs
        self._now = now

    def open(self, call: Call) -> AsyncIterator[bytes]:
        """Return the lines; with `follow`, those to come as well, until the pod is gone.

        Raises:
            StatusError: There is no such pod or container, it has not started, or a parameter
                cannot be understood.
        """
        pod = self._store.get(PODS, call.namespace, call.wanted.name)
        if pod is None:
            raise NotFoundError(PODS, call.wanted.name)
        container = _container(pod, call.params.get("container", ""))
        previous = is_true(call.params.get("previous"))
        extent = self._extent(call)
        key = (call.namespace, call.wanted.name, container)
        lines = self._logs.read(*key, previous=previous)
        if not lines:
            _check_started(pod, container, previous=previous)
        count = self._logs.count(*key)
        follows = is_true(call.params.get("follow")) and not previous
        chunks = extent.written(extent.first(lines))
        return _limited(self._chunks(chunks, key, extent, count, follows), extent.limit_bytes)

    async def _chunks(
        self,
        chunks: Iterator[bytes],
        key: tuple[str, str, str],
        extent: _Extent,
        count: int,
        follows: bool,
    ) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        while follows and self._is_running(key):
            for chunk in extent.written(self._logs.since(*key, count)):
                yield chunk
            count = self._logs.count(*key)
            await self._logs.changed()

    def _is_running(self, key: tuple[str, str, str]) -> bool:
        return not self._logs.is_closed and self._store.get(PODS, *key[:2]) is not None

    def _extent(self, call: Call) -> _Extent:
        seconds, moment = call.number("sinceSeconds"), call.params.get("sinceTime", "")
        since = 0.0 if seconds is None else self._now() - seconds
        if moment:
            at = parsed(moment)
            if at is None:
                raise bad_request(f'parsing time "{moment[:40]}": it is not as RFC 3339 has it')
            since = at
        return _Extent(
            since=since,
            tail=call.number("tailLines"),
            limit_bytes=call.number("limitBytes"),
            is_stamped=is_true(call.params.get("timestamps")),
        )


async def _limited(chunks: AsyncIterator[bytes], limit: int | None) -> AsyncIterator[bytes]:
    left = limit
    async for chunk in chunks:
        if left is None:
            yield chunk
            continue
        yield chunk[:left]
        left -= len(chunk)
        if left <= 0:
            return


def _container(pod: dict[str, Any], asked: str) -> str:
    spec = pod["spec"]
    names = [str(each["name"]) for each in spec.get("containers") or []]
    everything = [*(str(each["name"]) for each in spec.get("initContainers") or []), *names]
    name = pod["metadata"]["name"]
    if not asked and len(names) == 1:
        return names[0]
    if not asked:
        listed = " ".join(names)
        raise bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{listed}]"
        )
    if asked not in everything:
        raise bad_request(f"container {asked} is not valid for pod {name}")
    return asked


def _check_started(pod: dict[str, Any], container: str, *, previous: bool) -> None:
    """The container has or had something to write to.

    Raises:
        StatusError: It waits, or was never started before.
    """
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    statuses = status.get("containerStatuses") or []
    state: dict[str, Any] = next((each for each in statuses if each["name"] == container), {})
    if previous and "terminated" not in (state.get("lastState") or {}):
        message = f'previous terminated container "{container}" in pod "{name}" not found'
        raise StatusError(400, "BadRequest", message)
    waiting = (state.get("state") or {}).get("waiting")
    if not previous and waiting is not None:
        reason = waiting.get("reason", "ContainerCreating")
        wording = "trying and failing to pull image" if _cannot_pull(reason) else reason
        raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {wording}')


def _cannot_pull(reason: str) -> bool:
    return reason in ("ErrImagePull", "ImagePullBackOff")
