"""The journey of a share that a named caller orders over the API: recorded, carried out, answered.

The order is a run like any other: once it is taken it is carried out, whether or not the caller
waits for it, and the same key is the same run.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate.app.share import Sharing
from tidegate.app.share_run import FindRules, ShareRuns
from tidegate.core import lifecycle, notices, share_body
from tidegate.core.model import (
    Draft,
    Duplicate,
    Joined,
    Kind,
    Limited,
    Recorded,
    Run,
    RunId,
    State,
    run_id,
)
from tidegate.core.routes import SHARES
from tidegate.core.share_body import Caller, ShareBody
from tidegate.core.share_report import report, report_of_run
from tidegate.errors import PayloadError, ShareError
from tidegate.ports import Clock, Journal, Store

RECORD_SECONDS: Final = 5.0
WAIT_SECONDS: Final = 25.0  # below what proxies wait
LOOK_SECONDS: Final = 0.05
MAX_KEY: Final = 255
START_SECONDS: Final = 600.0
DEADLINE_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a caller is answered."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class ShareRequests:
    """Takes orders from named callers."""

    def __init__(
        self,
        *,
        store: Store,
        sharing: Sharing,
        shares: ShareRuns,
        clock: Clock,
        journal: Journal,
        rules: FindRules,
        callers: Iterable[Caller],
    ) -> None:
        self._store = store
        self._sharing = sharing
        self._shares = shares
        self._clock = clock
        self._journal = journal
        self._rules = rules
        self._callers = {caller.name: caller for caller in callers}

    def orders_of(self, name: str) -> str | None:
        """Return as whom a caller's runs are recorded; None for one who may share nothing."""
        caller = self._callers.get(name)
        return caller.action if caller is not None and caller.buckets else None

    async def take(self, name: str, body: bytes, key: str | None) -> Answer:
        """Take an order, wait a while for its end, and return what to answer.

        Args:
            name: The caller's.
            body: As it came, bounded by the listener.
            key: The caller's idempotency key, or None.

        Raises:
            StoreError: It was not taken, or cannot be looked at.
        """
        if key is not None and not (0 < len(key) <= MAX_KEY and key.isprintable()):
            return _refused(400, "bad_request", "Idempotency-Key has 1 to 255 plain characters.")
        try:
            asked = share_body.parse(body)
        except PayloadError as error:
            return _refused(400, "bad_request", f"{error}.")
        caller = self._callers.get(name)
        # Slack is asked for a channel's name only on behalf of those who may share somewhere.
        why = "token" if caller is None else caller.refuses(asked)
        if caller is None or why is not None:
            return self._not_allowed(name, why or "token")
        try:
            channel_id = await self._channel(asked.channel)
        except ShareError as error:
            return _refused(503, error.code, error.notice)
        if (why := caller.refuses(asked, channel_id)) is not None:
            return self._not_allowed(name, why)
        digest = hashlib.sha256(body).hexdigest()
        run = self._run(caller, asked, channel_id, digest, key)
        return await self._record(Draft(run=run, state=State.QUEUED, rate=caller.rate), asked.mode)

    async def _channel(self, name: str) -> str:
        """Return a channel's id; none for what is no channel, which not everyone is to know."""
        try:
            return await self._sharing.channel(name)
        except ShareError as error:
            if error.again:
                raise
            return ""

    async def _record(self, draft: Draft, mode: str) -> Answer:
        result = await self._store.record(draft, within=RECORD_SECONDS)
        match result:
            case Recorded():
                run = draft.run
                self._journal.note("share_ordered", caller=run.user_name, run=run.id, mode=mode)
                return await self._ended(run.id)
            case Duplicate(run_id=known):
                return await self._known(known, draft.run.value_digest)
            case Limited(retry_at=retry_at):
                wait = max(1, round(retry_at - self._clock.now()))
                text = f"This token has shared too often. Try again in {notices.wait(wait)}."
                return _refused(429, "rate_limited", text, {"Retry-After": str(wait)})
            case Joined(run=held):
                return await self._known(held.id, draft.run.value_digest)

    def _not_allowed(self, name: str, why: str) -> Answer:
        self._journal.note("share_refused", level="warning", caller=name, reason=why)
        return _refused(403, f"{why}_not_allowed", f"This token may not use that {why}.")

    async def _known(self, known: RunId | None, digest: str) -> Answer:
        """Answer an order that came before: with what became of that one."""
        run = await self._store.run(known) if known is not None else None
        if run is None:
            return _refused(409, "gone", "What this key was used for is not known any more.")
        if run.value_digest != digest:
            text = "This Idempotency-Key was used for another request. Use a new one."
            return _refused(409, "other_request", text)
        return await self._ended(run.id)

    async def _ended(self, known: RunId) -> Answer:
        until = self._clock.monotonic() + WAIT_SECONDS
        while True:
            run = await self._store.run(known)
            if run is None:
                return _refused(409, "gone", "What this key was used for is not known any more.")
            if lifecycle.is_final(run.state):
                return self._told(run)
            if self._clock.monotonic() >= until:
                headers = {"Location": f"/api/v1/runs/{run.id}"}
                found = {"run": run.id, "state": run.state.value}
                return Answer(status=202, body=found, headers=headers)
            await asyncio.sleep(LOOK_SECONDS)

    def _told(self, run: Run) -> Answer:
        shared = self._shares.taken(run.id)
        if shared is not None:
            return Answer(status=200, body={**report(shared), "run": run.id})
        body = {**report_of_run(run), "run": run.id}
        status = {State.SUCCEEDED: 200, State.UNKNOWN: 502, State.DENIED: 403}.get(run.state, 422)
        return Answer(status=status, body=body)

    def _run(
        self, caller: Caller, asked: ShareBody, channel_id: str, digest: str, key: str | None
    ) -> Run:
        now = self._clock.now()
        new = run_id(now, self._clock.entropy(10))
        named = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest() if key else new
        return Run(
            id=new,
            kind=Kind.API,
            action=caller.action,
            action_id="",
            pathway=SHARES,
            state=State.RECEIVED,
            team_id="",
            user_id=caller.action,
            user_name=caller.name,
            channel_id=channel_id,
            thread_ts=asked.thread,
            value_digest=digest,
            params=share_body.as_params(asked),
            delivery_key=f"{caller.action}:{named}",
            idempotent=True,
            created_at=now,
            updated_at=now,
            start_by=now + START_SECONDS,
            deadline_at=now + DEADLINE_SECONDS,
            next_at=now,
        )


def _refused(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Answer:
    body = {"ok": False, "error": {"code": code, "message": message}}
    return Answer(status=status, body=body, headers=headers or {})
