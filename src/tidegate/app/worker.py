"""The second pass: lease a run, authorise again, call the service, record what came of it.

A worker may die between any two steps: each is written down before and after, leases run
out, and whoever takes the run over reads from the record what may be done. The call to the
service never waits for Slack to be told; telling is `tidegate.app.tell`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from tidegate.app import attempt
from tidegate.app.attempt import Moment
from tidegate.app.directory import AT_HAND_SECONDS, Directory, FactsUnavailableError
from tidegate.app.errand import Errands
from tidegate.app.intake import speaks_for
from tidegate.app.share_run import AT_ONCE, ShareRuns
from tidegate.core import notices, outcome, policy, request
from tidegate.core.model import (
    UNATTENDED,
    Actor,
    AuditEntry,
    Change,
    Leased,
    Run,
    RunId,
    State,
)
from tidegate.core.policy import Reason
from tidegate.core.remedy import remedy
from tidegate.core.routes import SHARES, Route, Router
from tidegate.core.steps import may_be_shown
from tidegate.errors import (
    EffectTakenError,
    LeaseLostError,
    NoSuchRunError,
    NotAllowedNowError,
    StoreError,
)
from tidegate.ports import (
    Answered,
    Clock,
    Journal,
    Request,
    Response,
    Signer,
    Slack,
    Store,
    Upstream,
)

POLL_SLOTS: Final = 32
IDLE_SECONDS: Final = 0.5  # another process may have queued something
SWEEP_SECONDS: Final = 1.0
NOTICE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pathway:
    """A pathway as the worker uses it."""

    name: str
    upstream: Upstream
    audience: str
    base_path: str
    stage: bool  # the base path is not passed on to the service
    concurrency: int
    auth: str  # for the log: none, token_file, web_identity, sigv4


def _joins(entry: AuditEntry) -> bool:
    return entry.event == "joined"


class Worker:
    """Carries runs out."""

    def __init__(
        self,
        *,
        store: Store,
        slack: Slack,
        errands: Errands,
        directory: Directory,
        router: Router,
        pathways: Mapping[str, Pathway],
        shares: ShareRuns | None,
        signer: Signer,
        clock: Clock,
        journal: Journal,
        issuer: str,
        concurrency: int,
        lease_seconds: float,
    ) -> None:
        self._store = store
        self._slack = slack
        self._errands = errands
        self._directory = directory
        self._router = router
        self._pathways = pathways
        self._shares = shares
        self._signer = signer
        self._clock = clock
        self._journal = journal
        self._issuer = issuer
        self._concurrency = concurrency
        self._lease_seconds = lease_seconds
        self._tasks: dict[asyncio.Task[None], Leased] = {}
        self._wake = asyncio.Event()
        self._beat = 0.0

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def alive(self) -> bool:
        """Tell whether the loop has turned of late."""
        return self._clock.monotonic() - self._beat < max(5.0, 10 * IDLE_SECONDS)

    async def work(self, stop: asyncio.Event, *, drain_seconds: float) -> None:
        """Carry out runs until *stop*; then finish or hand back what is in flight."""
        self._beat = self._clock.monotonic()
        upkeep = [
            asyncio.ensure_future(self._every(self._lease_seconds / 3, self._renew)),
            asyncio.ensure_future(self._every(SWEEP_SECONDS, self._sweep)),
        ]
        stopping = asyncio.ensure_future(stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        try:
            while not stop.is_set():
                await self._turn()
            await self._drain(drain_seconds)
        finally:
            for task in (*upkeep, stopping):
                task.cancel()
            await asyncio.gather(*upkeep, stopping, return_exceptions=True)

    async def _turn(self) -> None:
        self._beat = self._clock.monotonic()
        self._wake.clear()
        leased = 0
        try:
            leased = await self._take_up()
            pause = 0.0 if leased else await self._pause()
        except StoreError as error:
            self._journal.note("store_failed", level="error", reason=type(error).__name__)
            pause = IDLE_SECONDS
        if pause > 0:
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except TimeoutError:
                return

    async def _pause(self) -> float:
        due = await self._store.next_due()
        if due is None:
            return IDLE_SECONDS
        # What is due and could not be leased waits for a slot: a wake-up tells of one.
        left = due - self._clock.now()
        return min(IDLE_SECONDS, left) if left > 0 else IDLE_SECONDS

    async def _take_up(self) -> int:
        busy: Counter[str] = Counter()
        polls = 0
        for held in self._tasks.values():
            if held.run.state in (State.RUNNING, State.UNKNOWN):
                polls += 1
            else:
                busy[held.run.pathway] += 1
        room = self._concurrency - busy.total()
        slots = {
            name: max(0, min(room, pathway.concurrency - busy[name]))
            for name, pathway in self._pathways.items()
        }
        slots[SHARES] = max(0, min(room, AT_ONCE - busy[SHARES])) if self._shares else 0
        found = await self._store.lease(
            slots=slots, polls=POLL_SLOTS - polls, seconds=self._lease_seconds, most=room
        )
        for leased in found:
            task = asyncio.ensure_future(self._carry(leased))
            self._tasks[task] = leased
            task.add_done_callback(self._done)
        return len(found)

    def _done(self, task: asyncio.Task[None]) -> None:
        leased = self._tasks.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # The lease runs out, and the run is taken up again from its record.
            kind = type(error).__name__
            self._journal.note("worker_failed", level="error", run=leased.run.id, reason=kind)
        self._wake.set()

    # --- one run ---------------------------------------------------------------------------

    async def _carry(self, leased: Leased) -> None:
        try:
            match leased.run.state:
                case State.QUEUED:
                    await self._start(leased)
                case State.SENDING:
                    await self._resume(leased)
                case State.RUNNING | State.UNKNOWN:
                    await self._poll(leased)
                case _:
                    await self._write(leased, Change())
        except LeaseLostError:
            self._journal.note("lease_lost", level="warning", run=leased.run.id)

    async def _start(self, leased: Leased) -> None:
        run = leased.run
        route = self._router.routes.get(run.action)
        if route is None or self._way(run, route) is None:
            await self._deny(leased, "unrouted", notices.reason("unrouted"))
            return
        if self._clock.now() >= run.start_by:
            # Why it could not be started says more than that it was not.
            why = (run.reason if run.attempts else "") or "not_started"
            await self._finish(leased, Change(state=State.EXPIRED, reason=why))
            return
        if run.kind in UNATTENDED:
            await self._start_unattended(leased, route)
            return
        try:
            decision = await self._authorise(run, route)
        except asyncio.CancelledError:
            await self._write(leased, Change(next_at=self._clock.now()))  # handed back
            raise
        match decision:
            case policy.Allowed(rule=rule):
                self._journal.note("authorised", run=run.id, action=run.action, rule=rule)
                try:
                    await self._act(leased, route)
                except EffectTakenError as error:
                    await self._join(leased, error.holder)
            case policy.Denied(reason=reason):
                await self._deny(leased, reason.value, notices.denied(decision))
            case policy.Undecided():
                wait = outcome.backoff(1, jitter=self._clock.jitter(), first=1.0)
                due = min(self._clock.now() + wait, run.start_by)
                await self._finish(leased, Change(next_at=due, reason="unverified"))

    async def _start_unattended(self, leased: Leased, route: Route) -> None:
        """Start a run of a named caller of the API or of an event: of no person in Slack."""
        if self._shares is None or not self._shares.permits(leased.run):
            reason = Reason.NOT_LISTED.value
            await self._finish(leased, Change(state=State.DENIED, reason=reason))
            return
        await self._act(leased, route)

    async def _deny(self, leased: Leased, reason: str, notice: str) -> None:
        """End a run before its effect, and tell the person, and nobody else.

        Told first, then written: a worker that dies in between leaves a notice that is told
        again, not one that is lost. If Slack takes its time, the telling goes on alone.
        """
        self._journal.note("denied", run=leased.run.id, action=leased.run.action, reason=reason)
        await self._tell_alone(leased.run, notice)
        await self._finish(leased, Change(state=State.DENIED, reason=reason))
        await self._tell_who_joined(leased.run)

    async def _tell_who_joined(self, run: Run) -> None:
        """Others who pressed in the meantime were told that it is under way: it is not."""
        joined = {entry.actor for entry in await self._store.audit(run_id=run.id) if _joins(entry)}
        for user_id in joined - {run.user_id}:
            other = structs.replace(run, user_id=user_id, response_url=None)
            await self._tell_alone(other, notices.NOT_UNDER_WAY)

    async def _join(self, leased: Leased, holder: str) -> None:
        """End a run whose intent another one carries out, which was not certain at its click."""
        other = await self._store.run(RunId(holder))
        notice = notices.joined(other) if other is not None else notices.reason("joined")
        await self._tell_alone(leased.run, notice)
        await self._finish(leased, Change(state=State.CANCELLED, reason="joined"))

    async def _tell_alone(self, run: Run, notice: str) -> None:
        if run.kind in UNATTENDED:
            return  # nobody in Slack asked for it
        telling = self._errands.start(
            self._errands.notice(
                self._slack,
                text=notice,
                user_id=run.user_id,
                channel_id=run.channel_id,
                response_url=run.response_url,
            )
        )
        if telling is not None:
            await asyncio.wait({telling}, timeout=NOTICE_SECONDS)

    async def _resume(self, leased: Leased) -> None:
        """Go on with a run whose earlier attempt may have been carried out."""
        run = leased.run
        route = self._router.routes.get(run.action)
        late = self._clock.now() >= run.deadline_at
        if route is None or self._way(run, route) is None or late or not run.idempotent:
            reason = run.reason or "interrupted"
            lost = Change(state=State.UNKNOWN, reason=reason)
            if run.pathway == SHARES and not may_be_shown(run.steps):
                lost = Change(state=State.FAILED, reason=reason, release_effect=True)
            await self._finish(leased, lost)
            return
        await self._act(leased, route)

    def _way(self, run: Run, route: Route) -> Pathway | ShareRuns | None:
        """Return by what a run is carried out; None: it is not configured any more.

        Nor is it where its action leads elsewhere by now: the service there knows nothing of an
        earlier attempt, and would do it a second time.
        """
        if route.pathway != run.pathway:
            return None
        return self._shares if route.share else self._pathways.get(route.pathway)

    async def _act(self, leased: Leased, route: Route) -> None:
        match self._way(leased.run, route):
            case Pathway() as pathway:
                await self._send(leased, route, pathway)
            case ShareRuns() as shares:
                await self._share(leased, route, shares)
            case None:
                raise AssertionError("looked up before")

    async def _share(self, leased: Leased, route: Route, shares: ShareRuns) -> None:
        before = leased.run
        now = self._clock.now()
        change = Change(
            state=State.SENDING if before.state is State.QUEUED else None,
            next_at=now,
            reason="" if before.state is State.QUEUED else None,
            started_at=before.started_at or now,
            attempt=True,
            keep_lease=True,
        )
        run = await self._write(leased, change)
        self._journal.note("sharing", run=run.id, attempt=run.attempts, mode=route.share)

        async def write(step: Change) -> Run:
            return await self._write(leased, step)

        try:
            change = await shares.carry(run, route, write, jitter=self._clock.jitter())
        except asyncio.CancelledError:
            # What is written down of it is enough for whoever goes on.
            await self._finish(leased, Change(next_at=self._clock.now()))
            raise
        await self._finish(leased, change)

    async def _authorise(self, run: Run, route: Route) -> policy.Decision:
        """Decide again, on facts fetched after the click; undecided: Slack does not answer."""
        actor = Actor(
            user_id=run.user_id,
            user_name=run.user_name,
            team_id=run.user_team_id,
            enterprise_id=run.enterprise_id,
        )
        try:
            workspace = await self._directory.known_workspace()
            if not speaks_for(workspace, run.team_id, run.enterprise_id):
                return policy.Denied(reason=Reason.EXTERNAL)
            return await self._directory.decide(
                actor,
                run.channel_id,
                rules=route.rules,
                params=run.params,
                # A run that was confirmed or tried again late is not judged by what was true
                # long ago.
                moment=max(run.created_at, self._clock.now() - AT_HAND_SECONDS),
            )
        except FactsUnavailableError:
            self._journal.note("facts_unavailable", level="warning", run=run.id)
            return policy.Undecided()

    async def _send(self, leased: Leased, route: Route, pathway: Pathway) -> None:
        before = leased.run
        bare = route.method in ("GET", "HEAD")  # a body there is refused by many
        body = b"" if bare else request.body(route, before)
        path = request.path(route, before)
        now = self._clock.now()
        change = Change(
            state=State.SENDING if before.state is State.QUEUED else None,
            next_at=now,
            # Why an earlier try did nothing is no reason for what comes of this one.
            reason="" if before.state is State.QUEUED else None,
            started_at=before.started_at or now,
            attempt=True,
            keep_lease=True,
        )
        run = await self._write(leased, change)
        # Committed: from here on it may have happened.
        try:
            response = await self._call(pathway, run, route.method, path, body)
        except asyncio.CancelledError:
            change = attempt.interrupted(run, now=self._clock.now())
            await self._finish(leased, change)
            raise
        change = attempt.after_send(
            before, response, base_path=pathway.base_path, at=self._moment()
        )
        await self._finish(leased, change)

    async def _poll(self, leased: Leased) -> None:
        run = leased.run
        route = self._router.routes.get(run.action)
        if route is not None and route.share and self._shares is not None:
            await self._finish(leased, await self._shares.look(run, route))
            return
        pathway = self._pathways.get(run.pathway)
        if pathway is None or (run.location is None and route is None):
            lost = State.UNKNOWN if run.state is State.RUNNING else None
            await self._finish(leased, Change(state=lost, reason="lost_track"))
            return
        path = run.location or (request.check_path(route, run) if route else "")
        try:
            response = await self._call(pathway, run, "GET", path, b"")
        except asyncio.CancelledError:
            await self._finish(leased, Change(next_at=self._clock.now()))
            raise
        await self._finish(leased, attempt.after_poll(run, response, at=self._moment()))

    async def _call(
        self, pathway: Pathway, run: Run, method: str, path: str, body: bytes
    ) -> Response:
        now = self._clock.now()
        claims = request.claims(
            run,
            issuer=self._issuer,
            audience=pathway.audience,
            groups=self._directory.groups_of(run.user_id),
            method=method,
            path=path if pathway.stage else pathway.base_path + path,
            body=body,
            now=now,
            nonce=self._clock.entropy(16).hex(),
        )
        trace, span = self._clock.entropy(16).hex(), self._clock.entropy(8).hex()
        headers = {
            "Idempotency-Key": run.id,
            "X-Request-Id": f"{run.id}-{run.attempts}",
            "traceparent": f"00-{trace}-{span}-01",
            "Tidegate-Identity": self._signer.sign(claims),
        }
        if method != "GET":
            headers["Content-Type"] = "application/json"
            self._journal.note(
                "sending",
                run=run.id,
                attempt=run.attempts,
                pathway=pathway.name,
                method=method,
                auth=pathway.auth,
            )
        response = await pathway.upstream.send(
            Request(
                run_id=run.id,
                method=method,
                path=path,
                body=body,
                headers=headers,
                fresh=not run.idempotent and method != "GET",
            )
        )
        self._note_fault(pathway, run, response)
        return response

    def _note_fault(self, pathway: Pathway, run: Run, response: Response) -> None:
        """Tell the operator what keeps requests from the service, and the next step."""
        answered = response if isinstance(response, Answered) else None
        reason = response.fault if isinstance(response, Answered) else response.reason
        if reason:
            self._journal.note(
                "pathway_fault",
                level="warning",
                run=run.id,
                pathway=pathway.name,
                reason=reason,
                status=answered.status if answered else None,
                request_id=answered.request_id if answered else None,
                mend=remedy(reason),
            )

    def _moment(self) -> Moment:
        return Moment(now=self._clock.now(), jitter=self._clock.jitter())

    # --- writing ---------------------------------------------------------------------------

    async def _finish(self, leased: Leased, change: Change) -> None:
        """Write what became of a step; a late but certain answer settles an unknown run."""
        try:
            run = await self._write(leased, change)
        except LeaseLostError:
            await self._settle_late(leased.run.id, change)
            raise
        if change.state is not None or change.reason:
            self._journal.note(
                "outcome",
                run=run.id,
                action=run.action,
                pathway=run.pathway,
                state=run.state.value,
                status=change.http_status,
                reason=run.reason,
                ms=round((self._clock.now() - run.created_at) * 1000, 1),
            )
        elif change.poll and run.progress is not None:
            self._journal.note(
                "progress",
                run=run.id,
                phase=run.progress.phase,
                done=run.progress.done,
                total=run.progress.total,
            )

    async def _write(self, leased: Leased, change: Change) -> Run:
        """Write under the lease, again and again while the store cannot.

        An outcome is not dropped because the disk was full for a moment.
        """
        tries = 0
        while True:
            try:
                return await self._store.advance(leased, change)
            except (EffectTakenError, LeaseLostError, NotAllowedNowError):
                raise
            except StoreError as error:
                tries += 1
                kind = type(error).__name__
                self._journal.note("store_failed", level="error", run=leased.run.id, reason=kind)
                await asyncio.sleep(outcome.backoff(tries, jitter=self._clock.jitter(), most=2.0))

    async def _settle_late(self, run_id: RunId, change: Change) -> None:
        if change.state not in (State.SUCCEEDED, State.FAILED):
            return
        try:
            await self._store.settle(run_id, change)
            self._journal.note("settled_late", run=run_id, state=change.state.value)
        except (NotAllowedNowError, NoSuchRunError):
            return

    # --- upkeep ----------------------------------------------------------------------------

    async def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await job()
            except StoreError as error:
                self._journal.note("store_failed", level="error", reason=type(error).__name__)

    async def _renew(self) -> None:
        held = [(leased.run.id, leased.token) for leased in self._tasks.values()]
        if held:
            lost = await self._store.renew(held, seconds=self._lease_seconds)
            for run_id in lost:
                self._journal.note("lease_lost", level="warning", run=run_id)

    async def _sweep(self) -> None:
        swept = await self._store.sweep()
        if swept.expired or swept.adopted:
            self._journal.note("swept", expired=swept.expired, adopted=swept.adopted)
            self._wake.set()

    async def _drain(self, seconds: float) -> None:
        """Finish what is in flight; what is left after *seconds* is handed back."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            self._journal.note("handed_back", level="warning", runs=len(late))
            await asyncio.wait(late, timeout=5.0)
