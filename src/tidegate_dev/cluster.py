"""A small cluster that carries out what it is told: deploy, scale, restart, roll back, tell.

State lives in memory. Work takes its time as a rollout does, pod by pod, and is computed from the
clock whenever somebody looks, so that nothing runs in the background. Every request has to say
who asked, and one run has one effect however often it is sent.
"""

import asyncio
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tidegate_dev.identity_check import IdentityCheck, IdentityError, Statement
from tidegate_dev.rollout import Operation, Revision, Workload, iso, roll_out, scale, settle, tag

FAULTS: Final = frozenset({"slow", "down", "fail_rollout"})
NAMESPACES: Final = ("staging", "production")
MAX_REPLICAS: Final = 20
MAX_LOG_LINES: Final = 30
MAX_BODY_BYTES: Final = 256 * 1024
MAX_ANSWERS: Final = 20_000
MAX_OPERATIONS: Final = 2_000
MAX_EFFECTS: Final = 100_000

_REGISTRY: Final = "registry.example.com"
_AT_FIRST: Final = {"web": ("2.4.0", 3), "api": ("1.18.2", 3), "worker": ("1.18.2", 2)}
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_WORST_FIRST: Final = ("degraded", "updating", "healthy", "scaled to zero")
_LOG_LINES: Final = (
    "INFO GET /healthz 200 1 ms",
    "INFO GET /orders?page=2 200 14 ms",
    "INFO POST /orders 201 38 ms",
    "WARN cache miss for tariff table, loading",
    "INFO GET /orders/8812 200 9 ms",
)


class RefusedError(Exception):
    """The cluster does not do it, and has done nothing; the message says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request was answered, kept under its key."""

    status: int
    content: Mapping[str, Any]
    location: str | None = None


class Cluster:
    """The cluster's state, its switches, and what it does when told.

    Args:
        jwks: The key set of `Tidegate-Identity`, or the file that holds it.
        audience: The name that statements must be addressed to.
        issuer: Who must have made them.
        require_identity: Whether a request without a statement that holds is refused.
        rollout_seconds: How long a rollout takes.
        slow_seconds: How long each request takes while the fault `slow` is on.
        now: Seconds since the Unix epoch.
        on_change: Called after each change of state.

    Attributes:
        faults: Named faults that are on; any of `FAULTS`.
        effects: How many times each idempotency key had an effect.
    """

    def __init__(
        self,
        *,
        jwks: Path | Mapping[str, Any] | None = None,
        audience: str = "cluster",
        issuer: str = "tidegate",
        require_identity: bool = True,
        rollout_seconds: float = 3.0,
        slow_seconds: float = 5.0,
        now: Callable[[], float] = time.time,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.faults: set[str] = set()
        self.effects: dict[str, int] = {}
        self.on_change = on_change
        self.slow_seconds = slow_seconds
        self._check = IdentityCheck(jwks or {"keys": []}, audience=audience, issuer=issuer, now=now)
        self._require_identity = require_identity
        self._rollout_seconds = rollout_seconds
        self._now = now
        self._answers: dict[str, tuple[bytes, Answer]] = {}
        self._operations: dict[str, Operation] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._workloads = {
            (namespace, name): self._at_first(namespace, name, tag, replicas)
            for namespace in NAMESPACES
            for name, (tag, replicas) in _AT_FIRST.items()
        }

    def _at_first(self, namespace: str, name: str, tag: str, replicas: int) -> Workload:
        past = self._now() - 86_400
        image = f"{_REGISTRY}/{name}:{tag}"
        first = Revision(number=1, image=image, at=past, cause="installed")
        workload = Workload(name=name, namespace=namespace, replicas=replicas, revisions=[first])
        for _ in range(replicas):
            workload.create_pod(past).phase = "Running"
        return workload

    # --- switches and views ---------------------------------------------------

    def set_fault(self, name: str, on: bool) -> None:
        """Switch a fault.

        Raises:
            ValueError: There is no such fault.
        """
        if name not in FAULTS:
            raise ValueError(
                f"no fault is called {name[:40]!r}; there are {', '.join(sorted(FAULTS))}"
            )
        (self.faults.add if on else self.faults.discard)(name)
        self._changed()

    def state(self) -> dict[str, Any]:
        """Return everything there is to see, as JSON has it."""
        self.advance()
        return {
            "namespaces": [
                {
                    "name": namespace,
                    "workloads": [
                        self._view(workload)
                        for (place, _), workload in self._workloads.items()
                        if place == namespace
                    ],
                }
                for namespace in NAMESPACES
            ],
            "operations": [
                {"path": operation.path, "verb": operation.verb, **operation.to_dict()}
                for operation in list(self._operations.values())[-20:]
            ],
            "faults": sorted(self.faults),
            "effects": {"distinct": len(self.effects), "performed": sum(self.effects.values())},
        }

    def _view(self, workload: Workload) -> dict[str, Any]:
        now = self._now()
        return {
            "name": workload.name,
            "image": workload.revision.image,
            "tag": tag(workload.revision.image),
            "replicas": workload.replicas,
            "ready": workload.ready,
            "status": workload.status,
            "revision": workload.revision.number,
            "pods": [
                {
                    "name": pod.name,
                    "phase": pod.phase,
                    "ready": pod.ready,
                    "tag": tag(pod.image),
                    "age_seconds": max(0, round(now - pod.born)),
                }
                for pod in workload.pods
            ],
            "revisions": [
                {
                    "number": revision.number,
                    "tag": tag(revision.image),
                    "at": iso(revision.at),
                    "cause": revision.cause,
                }
                for revision in reversed(workload.revisions)
            ],
            "events": [event.to_dict() for event in reversed(workload.events)],
        }

    def close(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- time ------------------------------------------------------------------

    def advance(self) -> None:
        """Bring everything up to the clock's reading."""
        now = self._now()
        moved = [operation.advance(now) for operation in self._operations.values()]
        if any(moved):
            self._changed()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def _arm(self) -> None:
        """Look again when the next step is due, so that a page sees it without asking."""
        self.close()
        due = [operation.steps[0].at for operation in self._operations.values() if operation.steps]
        if due:
            wait = max(0.02, min(due) - self._now())
            self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _tick(self) -> None:
        self.advance()
        self._arm()

    # --- what can be asked -----------------------------------------------------

    def identify(self, token: str, *, method: str, path: str, body: bytes) -> Statement | None:
        """Return who asked; None when nobody has to say.

        Raises:
            RefusedError: The statement does not hold.
        """
        if not self._require_identity:
            return None
        try:
            return self._check.check(token, method=method, path=path, body=body)
        except IdentityError as error:
            raise RefusedError(401, str(error)) from None

    def answer(self, verb: str, key: str, body: bytes, who: Statement | None) -> Answer:
        """Return what a request is answered; the same key and body get the same answer again.

        Raises:
            RefusedError: The key is missing, another run's, or was used for something else.
        """
        self.advance()
        if who is not None and key != who.run:
            raise RefusedError(401, "Idempotency-Key is not the run that the statement names.")
        if not key and verb in self._EFFECTS:
            raise RefusedError(400, "Idempotency-Key is missing.")
        digest = hashlib.sha256(verb.encode() + b"\0" + body).digest()
        if key in self._answers:
            before, kept = self._answers[key]
            if before != digest:
                raise RefusedError(409, "This Idempotency-Key was used for another request.")
            return kept
        try:
            answer = self._perform(verb, key, body, who)
        except RefusedError as refused:
            answer = Answer(
                status=refused.status, content={"message": str(refused), "status": "refused"}
            )
        if key:
            self._answers[key] = (digest, answer)
            _bound(self._answers, MAX_ANSWERS)
        return answer

    def _perform(self, verb: str, key: str, body: bytes, who: Statement | None) -> Answer:
        params, user = _params(body)
        cause = f"{verb} by {who.subject if who else user or 'somebody'}"
        if verb == "status":
            return self._status(params)
        workload = self._workload(params)
        if verb == "logs":
            return self._logs(workload, params)
        change = self._EFFECTS.get(verb)
        if change is None:
            raise RefusedError(404, f"This cluster does not know how to {verb[:40]}.")
        identifier = key if _PLAIN_ID.fullmatch(key) else secrets.token_hex(8)
        operation = Operation(
            id=identifier, verb=verb, workload=workload, begun=self._now(), total=0
        )
        message = change(self, operation, params, cause)
        self.effects[key] = self.effects.get(key, 0) + 1
        _bound(self.effects, MAX_EFFECTS)
        self._supersede(operation)
        self._operations[operation.id] = operation
        _bound(self._operations, MAX_OPERATIONS)
        self.advance()
        self._changed()
        self._arm()
        return Answer(
            status=202,
            content={"message": message, "status": "accepted"},
            location=operation.path,
        )

    def operation(self, verb: str, identifier: str) -> Operation:
        """Return the operation as it is now.

        Raises:
            RefusedError: There is none.
        """
        self.advance()
        operation = self._operations.get(identifier)
        if operation is None or operation.verb != verb:
            raise RefusedError(404, "There is no such operation.")
        return operation

    def cancel(self, operation: Operation) -> None:
        """Stop an operation; what it has done so far stays."""
        if operation.phase == "running":
            now = self._now()
            settle(operation.workload)
            operation.tell(now, f"Stopped after {operation.done} of {operation.total}.", "warning")
            operation.end("cancelled", f"Stopped after {operation.done} of {operation.total}.")
            self._changed()
            self._arm()

    def _supersede(self, newer: Operation) -> None:
        for operation in self._operations.values():
            if operation.workload is newer.workload and operation.phase == "running":
                operation.end("cancelled", "A newer change took over.")

    # --- what it tells and what it changes ---------------------------------------

    def _status(self, params: Mapping[str, Any]) -> Answer:
        if params.get("deployment") is not None:
            shown = [self._workload(params)]
        else:
            namespace = _namespace(params)
            shown = [w for (place, _), w in self._workloads.items() if place == namespace]
        lines = [
            f"{w.name} {tag(w.revision.image)} in {w.namespace}: {w.ready} of {w.replicas} ready, "
            f"revision {w.revision.number} ({w.revision.cause})"
            for w in shown
        ]
        status = sorted({w.status for w in shown}, key=_WORST_FIRST.index)[0]
        return Answer(status=200, content={"message": "\n".join(lines), "status": status})

    def _logs(self, workload: Workload, params: Mapping[str, Any]) -> Answer:
        wanted = _integer(params.get("tail"), default=12)
        if wanted is None or wanted < 1:
            raise RefusedError(400, "Say how many lines, from 1 on.")
        now, pods = self._now(), workload.pods or []
        lines = []
        for back in range(min(wanted, MAX_LOG_LINES) if pods else 0, 0, -1):
            pod = pods[back % len(pods)]
            line = _LOG_LINES[back % len(_LOG_LINES)] if pod.ready else "panic: no configuration"
            lines.append(f"{iso(now - back * 2.7)[11:19]} {pod.name} {line}")
        message = "\n".join(lines) or f"{workload.name} in {workload.namespace} has no pods."
        return Answer(status=200, content={"message": message, "status": workload.status})

    def _workload(self, params: Mapping[str, Any]) -> Workload:
        namespace, name = _namespace(params), params.get("deployment")
        if not isinstance(name, str):
            raise RefusedError(400, "Say which deployment.")
        workload = self._workloads.get((namespace, name))
        if workload is None:
            there = ", ".join(_AT_FIRST)
            raise RefusedError(404, f"{namespace} has no such deployment. There are {there}.")
        return workload

    def _deploy(self, operation: Operation, params: Mapping[str, Any], cause: str) -> str:
        workload, image = operation.workload, params.get("image")
        if not isinstance(image, str) or not _IMAGE.fullmatch(image):
            raise RefusedError(400, "Say which image to deploy, such as web:2.4.1.")
        if not set(image) & set(":@/") and image != workload.name:
            image = f"{workload.name}:{image}"  # a version alone
        if "/" not in image:
            image = f"{_REGISTRY}/{image}"
        self._roll_out(operation, image, cause)
        return f"Rolling out {workload.name} {tag(image)} to {workload.namespace}."

    def _restart(self, operation: Operation, _: Mapping[str, Any], cause: str) -> str:
        workload = operation.workload
        self._roll_out(operation, workload.revision.image, cause)
        return f"Restarting {workload.name} in {workload.namespace}, pod by pod."

    def _rollback(self, operation: Operation, params: Mapping[str, Any], cause: str) -> str:
        workload = operation.workload
        wanted = _integer(params.get("revision"), default=0)
        past = [r for r in workload.revisions[:-1] if wanted in (0, r.number)]
        if not past:
            which = f"no revision {wanted}" if wanted else "no earlier revision"
            raise RefusedError(409, f"{workload.name} in {workload.namespace} has {which}.")
        self._roll_out(operation, past[-1].image, cause)
        return (
            f"Rolling {workload.name} in {workload.namespace} back to {tag(past[-1].image)} "
            f"(revision {past[-1].number})."
        )

    def _scale(self, operation: Operation, params: Mapping[str, Any], cause: str) -> str:
        workload, had = operation.workload, operation.workload.replicas
        wanted = _integer(params.get("replicas"))
        if wanted is None or not 0 <= wanted <= MAX_REPLICAS:
            raise RefusedError(400, f"Say how many replicas, from 0 to {MAX_REPLICAS}.")
        scale(operation, wanted, cause=cause, seconds=self._rollout_seconds)
        return f"Scaling {workload.name} in {workload.namespace} from {had} to {wanted}."

    def _roll_out(self, operation: Operation, image: str, cause: str) -> None:
        roll_out(
            operation,
            image,
            cause=cause,
            seconds=self._rollout_seconds,
            failing="fail_rollout" in self.faults,
        )

    _EFFECTS: ClassVar[Mapping[str, Callable[..., str]]] = {
        "deploy": _deploy,
        "scale": _scale,
        "restart": _restart,
        "rollback": _rollback,
    }


def cluster_app(cluster: Cluster) -> ASGIApp:
    """Return the cluster as an ASGI application."""

    async def tell(request: Request) -> Response:
        body, who = await _received(cluster, request)
        key = request.headers.get("idempotency-key", "")[:200]
        answer = cluster.answer(request.path_params["verb"], key, body, who)
        headers = {} if answer.location is None else {"Location": answer.location}
        return JSONResponse(dict(answer.content), answer.status, headers)

    async def follow(request: Request) -> Response:
        await _received(cluster, request)
        return JSONResponse(cluster.operation(**request.path_params).to_dict())

    async def cancel(request: Request) -> Response:
        await _received(cluster, request)
        operation = cluster.operation(**request.path_params)
        cluster.cancel(operation)
        return JSONResponse(operation.to_dict())

    place = "/api/v1/{verb}/operations/{identifier}"
    return Starlette(
        routes=[
            Route("/api/v1/{verb}", tell, methods=["POST"]),
            Route(place, follow, methods=["GET"]),
            Route(f"{place}/cancel", cancel, methods=["POST"]),
        ],
        exception_handlers={RefusedError: _refused, HTTPException: _not_here},
    )


async def _received(cluster: Cluster, request: Request) -> tuple[bytes, Statement | None]:
    """Return the body and who sent it, once the request may be dealt with."""
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > MAX_BODY_BYTES:
            raise RefusedError(413, f"A request may hold {MAX_BODY_BYTES // 1024} KiB.")
    if "slow" in cluster.faults:
        await asyncio.sleep(cluster.slow_seconds)
    if "down" in cluster.faults:
        raise RefusedError(503, "The cluster is down for now.")
    body = bytes(chunks)
    token = request.headers.get("tidegate-identity", "")
    path = request.scope["raw_path"].decode("ascii", "replace")
    return body, cluster.identify(token, method=request.method, path=path, body=body)


async def _refused(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RefusedError) else 500
    return JSONResponse({"message": str(error), "status": "refused"}, status)


async def _not_here(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse({"message": "There is nothing here.", "status": "refused"}, status)


def _params(body: bytes) -> tuple[Mapping[str, Any], str]:
    """Return the params and the name of who asked, from the usual body or one of its own shape."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RefusedError(400, "The body is not a JSON object.")
    params = content.get("params", content)
    if not isinstance(params, dict):
        raise RefusedError(400, "`params` is not a JSON object.")
    return params, str(content.get("user_name") or "")[:80]


def _namespace(params: Mapping[str, Any]) -> str:
    namespace = params.get("namespace")
    if namespace is None:
        return NAMESPACES[0]
    if namespace not in NAMESPACES:
        raise RefusedError(404, f"There is no such namespace. There are {', '.join(NAMESPACES)}.")
    return str(namespace)


def _integer(value: object, default: int | None = None) -> int | None:
    if value is None:
        return default
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _bound(kept: dict[str, Any], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]
