"""The API server over HTTP: the port `Kubernetes`, and nothing that it does not need.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from typing_extensions import override

from tidegate_agent.adapters.kubernetes.addresses import (
    ACCESS_REVIEWS,
    PAGE_SIZE,
    TOKEN_REVIEWS,
    address,
    write_query,
)
from tidegate_agent.adapters.kubernetes.credentials import Credentials
from tidegate_agent.adapters.kubernetes.exchange import (
    Ask,
    Exchange,
    NoCredentialsError,
    TooLongError,
)
from tidegate_agent.adapters.kubernetes.impersonation import headers_of
from tidegate_agent.adapters.kubernetes.reviews import access_review, reviewed, token_review
from tidegate_agent.adapters.kubernetes.watch import Watch
from tidegate_agent.core.access import Impersonation, Review, TokenReviewed
from tidegate_agent.core.kinds import POD, Kind
from tidegate_agent.errors import (
    AmbiguousError,
    BusyError,
    ExpiredError,
    ForbiddenError,
    KubernetesError,
    NotFoundError,
    UnavailableError,
    UnreachableError,
)
from tidegate_agent.ports import Kubernetes, Listed, Object, PatchType, Watched

READ_TRIES: Final = 3
MAX_WAIT_SECONDS: Final = 3.0  # a read that is asked to wait longer is the caller's to repeat
MAX_OBJECTS: Final = 20_000
MAX_PAGES: Final = 1_000
MAX_LIST_BYTES: Final = 268_435_456
_SHRINK: Final = 5  # by so much a page is smaller than one that was too long
_EXPIRED_SECONDS: Final = 1.0
_TOO_LONG: Final = "The cluster's API answers this with more than the agent reads."
_TOO_LONG_SECONDS: Final = 60.0  # somebody has to tidy up before it can be read
_FIRST_WAIT_SECONDS: Final = 0.1
_JSON: Final = ("Content-Type", "application/json")

Observe = Callable[[str, str, int, float], None]
"""Called after each request with its method, the kind's plural, the status and the seconds."""


class KubernetesClient(Kubernetes):
    """Speaks to one API server.

    Reads are tried a few times, as long as the server is unreachable or asks to wait; what
    changes something is sent once. A dry run changes nothing, but is sent once all the same.

    Args:
        credentials: Where the server is, and what is shown there.
        sleep: Waits so many seconds.
        timeout_seconds: For one request and its whole answer.
        observe: Told of each request.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        sleep: Callable[[float], Awaitable[None]],
        timeout_seconds: float = 15.0,
        user_agent: str = "tidegate-agent",
        observe: Observe | None = None,
    ) -> None:
        self._exchange = Exchange(credentials, user_agent=user_agent)
        self._sleep = sleep
        self._seconds = timeout_seconds
        self._observe = observe

    @override
    async def get(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        subresource: str | None = None,
        as_: Impersonation | None = None,
    ) -> Object:
        return _object(await self._read(kind, address(kind, namespace, name, subresource), as_))

    @override
    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        as_: Impersonation | None = None,
    ) -> Listed:
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(PAGE_SIZE)}
        try:
            return await self._pages(kind, namespace, query, as_)
        except ExpiredError:
            pass
        # The pages were read too slowly: what is left of them is of no one moment any more.
        try:
            return await self._pages(kind, namespace, {**query, "limit": ""}, as_)
        except ExpiredError as error:
            raise _later(error) from error

    async def _pages(
        self,
        kind: Kind,
        namespace: str | None,
        query: Mapping[str, str],
        as_: Impersonation | None,
    ) -> Listed:
        """Return a list of all pages.

        https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
        """
        items: list[Object] = []
        size, token = 0, ""
        for _ in range(MAX_PAGES):
            place = {**query, "continue": token}
            content, query = await self._page(kind, namespace, place, as_)
            page, size = _object(content), size + len(content)
            found, metadata = page.get("items"), page.get("metadata")
            if not isinstance(found, list | None) or not isinstance(metadata, dict):
                raise UnreachableError("the API server's answer is no list")
            items += found or []
            if len(items) > MAX_OBJECTS:
                raise KubernetesError(f"there are more than {MAX_OBJECTS} {kind.plural}")
            if size > MAX_LIST_BYTES:
                break
            token = str(metadata.get("continue") or "")
            if not token:
                version = str(metadata.get("resourceVersion") or "")
                return Listed(items=items, resource_version=version)
        raise UnavailableError(_TOO_LONG, retry_after=_TOO_LONG_SECONDS)

    async def _page(
        self,
        kind: Kind,
        namespace: str | None,
        query: Mapping[str, str],
        as_: Impersonation | None,
    ) -> tuple[bytes, Mapping[str, str]]:
        """Return a page, and the query that it was had by: with a lower limit, if it had to be.

        Objects may hold a megabyte each, so that a page of usual length may be too long.
        """
        while True:
            try:
                return await self._tried(kind, address(kind, namespace, query=query), as_), query
            except TooLongError as error:
                limit = int(query["limit"] or 1)
                if limit == 1:
                    raise UnavailableError(_TOO_LONG, retry_after=_TOO_LONG_SECONDS) from error
                query = {**query, "limit": str(max(1, limit // _SHRINK))}

    @override
    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        type: PatchType,
        dry_run: bool = False,
        subresource: str | None = None,
        as_: Impersonation | None = None,
    ) -> Object:
        query = write_query(dry_run=dry_run)
        path = address(kind, namespace, name, subresource, query)
        content_type = ("Content-Type", type.value)
        return await self._write("PATCH", kind, path, patch, content_type, as_, dry_run=dry_run)

    @override
    async def create(
        self,
        kind: Kind,
        namespace: str | None,
        obj: Object,
        *,
        dry_run: bool = False,
        as_: Impersonation | None = None,
    ) -> Object:
        path = address(kind, namespace, query=write_query(dry_run=dry_run))
        return await self._write("POST", kind, path, obj, _JSON, as_, dry_run=dry_run)

    @override
    async def update(
        self,
        kind: Kind,
        namespace: str | None,
        obj: Object,
        *,
        dry_run: bool = False,
        as_: Impersonation | None = None,
    ) -> Object:
        name = str(obj["metadata"]["name"])
        path = address(kind, namespace, name, query=write_query(dry_run=dry_run))
        return await self._write("PUT", kind, path, obj, _JSON, as_, dry_run=dry_run)

    @override
    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        resource_version: str | None = None,
        as_: Impersonation | None = None,
    ) -> None:
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        options["propagationPolicy"] = "Background"
        if resource_version is not None:
            options["preconditions"] = {"resourceVersion": resource_version}
        path = address(kind, namespace, name)
        await self._write("DELETE", kind, path, options, _JSON, as_, dry_run=False)

    @override
    async def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str,
        tail: int,
        since_seconds: int | None = None,
        previous: bool = False,
        limit_bytes: int,
        as_: Impersonation | None = None,
    ) -> bytes:
        query = {
            "container": container,
            "tailLines": str(tail),
            "sinceSeconds": "" if since_seconds is None else str(since_seconds),
            "previous": "true" if previous else "",
            "limitBytes": str(limit_bytes),
            "timestamps": "true",
        }
        path = address(POD, namespace, pod, "log", query)
        return await self._read(POD, path, as_, limit=limit_bytes, cut=True)

    @override
    def watch(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        fields: str = "",
        labels: str = "",
        resource_version: str,
        as_: Impersonation | None = None,
    ) -> AsyncIterator[Watched]:
        watch = Watch(
            exchange=self._exchange,
            sleep=self._sleep,
            kind=kind,
            namespace=namespace,
            fields=fields,
            labels=labels,
            version=resource_version,
            headers=_headers(as_),
        )
        return watch.events()

    @override
    async def allowed(self, review: Review) -> bool:
        answer = await self._ask_for(ACCESS_REVIEWS, access_review(review))
        status = answer.get("status")
        return isinstance(status, dict) and status.get("allowed") is True

    @override
    async def token_review(self, token: str, audiences: Sequence[str]) -> TokenReviewed:
        return reviewed(await self._ask_for(TOKEN_REVIEWS, token_review(token, audiences)))

    async def ready(self) -> None:
        """The API server answers, and knows who we are.

        Raises:
            KubernetesError: It does not.
        """
        ask = Ask(method="GET", path="/version", seconds=min(self._seconds, 3.0))
        with contextlib.suppress(ForbiddenError, NotFoundError):  # an answer all the same
            await self._exchange.answer(ask, limit=65_536)

    @override
    async def close(self) -> None:
        await self._exchange.close()

    async def _ask_for(self, kind: Kind, body: Object) -> Object:
        """Return a review. It is created, but nothing is kept of it: as good as a read."""
        return _object(await self._read(kind, address(kind, None), None, body=body))

    async def _read(
        self,
        kind: Kind,
        path: str,
        as_: Impersonation | None,
        *,
        body: Object | None = None,
        limit: int | None = None,
        cut: bool = False,
    ) -> bytes:
        try:
            return await self._tried(kind, path, as_, body=body, limit=limit, cut=cut)
        except ExpiredError as error:
            raise _later(error) from error
        except TooLongError as error:
            raise UnavailableError(_TOO_LONG, retry_after=_TOO_LONG_SECONDS) from error

    async def _tried(
        self,
        kind: Kind,
        path: str,
        as_: Impersonation | None,
        *,
        body: Object | None = None,
        limit: int | None = None,
        cut: bool = False,
    ) -> bytes:
        ask = Ask(
            method="GET" if body is None else "POST",
            path=path,
            headers=_headers(as_, *([] if body is None else [_JSON])),
            body=b"" if body is None else _encoded(body),
            seconds=self._seconds,
        )
        for again in range(READ_TRIES):
            try:
                return await self._answer(kind, ask, limit, cut=cut)
            except NoCredentialsError:
                raise
            except UnreachableError:
                wait = _FIRST_WAIT_SECONDS * 4**again
                if again == READ_TRIES - 1:
                    raise
            except BusyError as error:
                wait = error.retry_after
                if again == READ_TRIES - 1 or wait > MAX_WAIT_SECONDS:
                    raise
            await self._sleep(wait)
        raise AssertionError("the last try returns or raises")

    async def _write(
        self,
        method: str,
        kind: Kind,
        path: str,
        body: Any,
        content_type: tuple[str, str],
        as_: Impersonation | None,
        *,
        dry_run: bool,
    ) -> Object:
        ask = Ask(
            method=method,
            path=path,
            headers=_headers(as_, content_type),
            body=_encoded(body),
            changes=not dry_run,
            seconds=self._seconds,
        )
        try:
            content = await self._answer(kind, ask, None, cut=False)
        except ExpiredError as error:
            raise _later(error) from error
        except TooLongError as error:  # of a dry run
            raise UnavailableError(_TOO_LONG, retry_after=_TOO_LONG_SECONDS) from error
        try:
            return _object(content)
        except UnreachableError as error:
            if dry_run:
                raise
            raise AmbiguousError(error.message) from error

    async def _answer(self, kind: Kind, ask: Ask, limit: int | None, *, cut: bool) -> bytes:
        begun, code = time.monotonic(), 200
        try:
            if limit is None:
                return await self._exchange.answer(ask)
            return await self._exchange.answer(ask, limit=limit, cut=cut)
        except KubernetesError as error:
            code = error.code
            raise
        finally:
            if self._observe is not None:
                self._observe(ask.method, kind.plural, code, time.monotonic() - begun)


def _later(error: ExpiredError) -> BusyError:
    """Return what it means where nothing goes on from a version: the server is not itself."""
    return BusyError(error.message, retry_after=_EXPIRED_SECONDS, code=error.code)


def _headers(as_: Impersonation | None, *more: tuple[str, str]) -> Sequence[tuple[str, str]]:
    return [*more, *([] if as_ is None else headers_of(as_))]


def _encoded(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def _object(content: bytes) -> Object:
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreachableError("the API server's answer cannot be understood") from error
    if not isinstance(found, dict):
        raise UnreachableError("the API server's answer is no object")
    return found
