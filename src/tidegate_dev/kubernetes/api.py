"""The API server: who asks, may they, what is it, and what became of it.

https://kubernetes.io/docs/concepts/security/controlling-access/
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tidegate_dev.kubernetes import discovery, openapi
from tidegate_dev.kubernetes.admissions import Admissions
from tidegate_dev.kubernetes.audit import Audit, AuditEntry
from tidegate_dev.kubernetes.bindings import Binder
from tidegate_dev.kubernetes.calls import Call
from tidegate_dev.kubernetes.errors import ConflictError, StatusError
from tidegate_dev.kubernetes.faults import ApiFaults
from tidegate_dev.kubernetes.impersonation import acting_user
from tidegate_dev.kubernetes.logs import Logs
from tidegate_dev.kubernetes.media import DISCOVERY_TYPE, form_of
from tidegate_dev.kubernetes.pod_logs import LogReader
from tidegate_dev.kubernetes.rbac import Authorizer
from tidegate_dev.kubernetes.reading import Reader
from tidegate_dev.kubernetes.requests import Attributes, attributes_of
from tidegate_dev.kubernetes.resources import RESOURCES, Resource
from tidegate_dev.kubernetes.reviews import REVIEWS, Reviewer
from tidegate_dev.kubernetes.scaling import Scaler
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.token_requests import TokenIssuer
from tidegate_dev.kubernetes.users import ANONYMOUS, API_AUDIENCE, Tokens, User
from tidegate_dev.kubernetes.watching import BOOKMARK_SECONDS, Watcher
from tidegate_dev.kubernetes.writing import Writer

MAX_BODY_BYTES: Final = 3 * 1024 * 1024
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_OF_COLLECTIONS: Final = frozenset({"list", "watch", "deletecollection"})
_CHANGES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_BY_PATH: Final[Mapping[tuple[str, str, str], Resource]] = {
    (each.group, each.version, each.plural): each for each in (*RESOURCES, *REVIEWS)
}


@dataclass(slots=True)
class _Known:
    """What was found out about a request so far, for the audit."""

    wanted: Attributes
    user: User | None = None
    acting_as: User | None = None


class Api:
    """Serves one store.

    Args:
        now: Seconds since the Unix epoch.
        allow_anonymous: Whether who brings no token is somebody, if a nobody, or is refused.

    Attributes:
        admissions: What has a say before an object is made or changed.
        app: The ASGI application.
    """

    def __init__(
        self,
        store: Store,
        logs: Logs,
        tokens: Tokens,
        *,
        audit: Audit,
        faults: ApiFaults,
        now: Callable[[], float],
        allow_anonymous: bool = True,
        bookmark_seconds: float = BOOKMARK_SECONDS,
    ) -> None:
        self._tokens = tokens
        self._audit = audit
        self._faults = faults
        self._now = now
        self._allow_anonymous = allow_anonymous
        self._authorizer = Authorizer(store)
        self.admissions = Admissions()
        self._reader = Reader(store, now)
        self._writer = Writer(store, self.admissions)
        self._scaler = Scaler(store, self.admissions)
        self._watcher = Watcher(store, self._reader, bookmark_seconds=bookmark_seconds)
        self._log_reader = LogReader(store, logs, now)
        self._issuer = TokenIssuer(store, tokens)
        self._binder = Binder(store, now)
        self._reviewer = Reviewer(self._authorizer, tokens)
        self.app: ASGIApp = Starlette(
            routes=[Route("/{path:path}", self._serve, methods=list(_METHODS))]
        )

    async def _serve(self, request: Request) -> Response:
        known = _Known(attributes_of(request.method, request.scope["path"], request.query_params))
        try:
            response = await self._answer(request, known)
        except StatusError as error:
            response = JSONResponse(error.to_dict(), error.code)
        except ClientDisconnect:
            response = Response(status_code=499)
        self._audit.add(
            AuditEntry(
                at=self._now(),
                user=known.user,
                acting_as=known.acting_as,
                wanted=known.wanted,
                code=response.status_code,
                dry_run="dryRun" in request.query_params,
                user_agent=request.headers.get("user-agent", "")[:200],
            )
        )
        return response

    async def _answer(self, request: Request, known: _Known) -> Response:
        if self._faults.slow_seconds:
            await asyncio.sleep(self._faults.slow_seconds)
        if self._faults.down:
            message = "the server is currently unable to handle the request"
            raise StatusError(503, "ServiceUnavailable", message)
        known.user = self._authenticated(request)
        known.acting_as = acting_user(self._authorizer, known.user, request.headers, known.wanted)
        user = known.acting_as or known.user
        self._authorizer.require(user, known.wanted)
        if not known.wanted.resource:
            return _document(request)
        call = await self._call(request, known.wanted, user)
        self._check_fault(call)
        return self._resource(call)

    def _authenticated(self, request: Request) -> User:
        header = request.headers.get("authorization", "")
        if not header and self._allow_anonymous:
            return ANONYMOUS
        found = self._tokens.review(_token(header), (API_AUDIENCE,))
        if found is None:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        return found[0]

    async def _call(self, request: Request, wanted: Attributes, user: User) -> Call:
        resource = _BY_PATH.get((wanted.group, wanted.version, wanted.resource))
        if resource is None or not _is_place(resource, wanted):
            raise _no_such_place()
        if not _is_possible(wanted):
            raise _no_such_method()
        return Call(
            user=user,
            wanted=wanted,
            resource=resource,
            params=request.query_params,
            headers=request.headers,
            body=await _body(request),
        )

    def _check_fault(self, call: Call) -> None:
        if self._faults.conflicts > 0 and call.wanted.verb in _CHANGES:
            self._faults.conflicts -= 1
            raise ConflictError(call.resource, call.wanted.name)

    def _resource(self, call: Call) -> Response:
        if call.resource in REVIEWS:
            return self._review(call)
        match call.wanted.subresource:
            case "":
                return self._object(call)
            case "status":
                return self._status(call)
            case "scale":
                return self._scale(call)
            case "token" | "binding" as made:
                if call.wanted.verb != "create":
                    raise _no_such_method()
                create = self._issuer.create if made == "token" else self._binder.create
                return JSONResponse(create(call), 201)
            case "log":
                if call.wanted.verb != "get":
                    raise _no_such_method()
                lines = self._log_reader.open(call)
                return _streamed(lines, "text/plain; charset=utf-8")
            case _:
                raise _no_such_place()

    def _object(self, call: Call) -> Response:
        present = self._reader.presenter(call)
        match call.wanted.verb:
            case "get":
                return JSONResponse(self._reader.get(call))
            case "list":
                return JSONResponse(self._reader.list(call))
            case "watch":
                return _streamed(self._watcher.open(call), "application/json")
            case "create":
                return JSONResponse(present.one(self._writer.create(call)), 201)
            case "update":
                return JSONResponse(present.one(self._writer.update(call)))
            case "patch":
                return JSONResponse(present.one(self._writer.patch(call)))
            case "delete":
                return JSONResponse(_deletion(call, self._writer.delete(call)))
            case "deletecollection":
                return JSONResponse(present.many(self._writer.delete_all(call), {}))
            case _:
                raise _no_such_method()

    def _status(self, call: Call) -> Response:
        match call.wanted.verb:
            case "get":
                return JSONResponse(self._reader.get(call))
            case "update":
                return JSONResponse(self._writer.update(call))
            case "patch":
                return JSONResponse(self._writer.patch(call))
            case _:
                raise _no_such_method()

    def _scale(self, call: Call) -> Response:
        match call.wanted.verb:
            case "get":
                return JSONResponse(self._scaler.get(call))
            case "update":
                return JSONResponse(self._scaler.update(call))
            case "patch":
                return JSONResponse(self._scaler.patch(call))
            case _:
                raise _no_such_method()

    def _review(self, call: Call) -> Response:
        if call.wanted.verb != "create" or call.wanted.name:
            raise _no_such_method()
        answer = self._reviewer.answer(call.resource, call.object(), call.user, call.namespace)
        return JSONResponse(answer, 201)


async def _body(request: Request) -> bytes:
    """Return what was sent; all of it is read, or the client would not see the answer.

    Raises:
        StatusError: It is too much.
    """
    body, length = bytearray(), 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= MAX_BODY_BYTES:
            body += chunk
    if length > MAX_BODY_BYTES:
        message = f"Request entity too large: limit is {MAX_BODY_BYTES}"
        raise StatusError(413, "RequestEntityTooLarge", message)
    return bytes(body)


def _token(header: str) -> str:
    """Return the token that an Authorization header brings; as a password, too (`kubeconfig`)."""
    scheme, _, rest = header.partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            try:
                return base64.b64decode(rest, validate=True).decode().partition(":")[2]
            except ValueError:
                return ""
        case _:
            return ""


def _is_place(resource: Resource, wanted: Attributes) -> bool:
    """Return whether there is something of the kind at such an address."""
    subresource = wanted.subresource
    if subresource and subresource not in resource.subresources:
        return False
    if not resource.namespaced:
        return not wanted.namespace or wanted.resource == "namespaces"
    needs_namespace = wanted.verb == "create" or (bool(wanted.name) and _is_named(wanted))
    return bool(wanted.namespace) or not needs_namespace


def _is_possible(wanted: Attributes) -> bool:
    """Return whether the verb goes with an object, or with a collection."""
    if wanted.subresource:
        return True
    return bool(wanted.name) is (wanted.verb != "create") or wanted.verb in _OF_COLLECTIONS


def _is_named(wanted: Attributes) -> bool:
    """Return whether the name is in the address, and not in a field selector."""
    return wanted.path.rstrip("/").split("/")[-1] != wanted.resource


def _document(request: Request) -> Response:
    """Return what is at a path that is no resource's."""
    path = request.scope["path"].rstrip("/") or "/"
    if request.method not in ("GET", "HEAD"):
        raise _no_such_method()
    if path in ("/healthz", "/livez", "/readyz") or path.startswith(("/livez/", "/readyz/")):
        return PlainTextResponse("ok")
    if path in ("/api", "/apis") and form_of(request.headers.get("accept", "")) == "discovery":
        content = discovery.aggregated(core=path == "/api")
        return Response(json.dumps(content), media_type=DISCOVERY_TYPE)
    found = _plain_document(path, request.url.netloc)
    if found is None:
        raise _no_such_place()
    return JSONResponse(found)


def _plain_document(path: str, address: str) -> dict[str, Any] | None:
    match path.split("/")[1:]:
        case ["version"]:
            return discovery.VERSION
        case ["api"]:
            return discovery.api_versions(address)
        case ["apis"]:
            return discovery.group_list()
        case ["apis", name]:
            return discovery.group(name)
        case ["api", version]:
            return discovery.resource_list("", version)
        case ["apis", name, version]:
            return discovery.resource_list(name, version)
        case ["openapi", "v3"]:
            return openapi.index()
        case ["openapi", "v3", *place]:
            return openapi.document("/".join(place))
        case _:
            return None


def _deletion(call: Call, obj: dict[str, Any]) -> dict[str, Any]:
    """Return the object while it waits; of what is gone, that it is."""
    if "deletionTimestamp" in obj["metadata"]:
        return obj
    details = {
        "name": call.wanted.name,
        **({"group": call.resource.group} if call.resource.group else {}),
        "kind": call.resource.plural,
        "uid": obj["metadata"]["uid"],
    }
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def _streamed(lines: AsyncIterator[bytes], media_type: str) -> Response:
    return StreamingResponse(lines, media_type=media_type)


def _no_such_place() -> StatusError:
    message = "the server could not find the requested resource"
    return StatusError(404, "NotFound", message, {})


def _no_such_method() -> StatusError:
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})
