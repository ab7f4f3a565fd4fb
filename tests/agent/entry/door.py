"""An agent that listens on loopback, and a gateway that calls it."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from tests.agent.app.stage import DEPLOYER, Agents, Notes
from tests.agent.entry.signer import Signer, claims
from tidegate_agent.core.identity import Keys
from tidegate_agent.entry.admission import Admission, Callers
from tidegate_agent.entry.http import AgentApp
from tidegate_agent.entry.listener import Listener
from tidegate_agent.entry.metrics import Metrics
from tidegate_agent.entry.settings import Listen


@dataclass(frozen=True, slots=True)
class Told:
    """What a request was answered."""

    status: int
    headers: Mapping[str, str]
    content: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Door:
    """What a test has at hand."""

    url: str
    session: aiohttp.ClientSession
    signer: Signer
    notes: Notes = field(default_factory=Notes)
    metrics: Metrics = field(default_factory=Metrics)
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 20.0  # that an operation may take

    async def ask(
        self,
        verb: str,
        params: Any = None,
        *,
        run: str | None = None,
        who: str = DEPLOYER,
        **claimed: Any,
    ) -> Told:
        """Return what a request for a verb is answered; *claimed* bends its statement."""
        run = run or uuid.uuid4().hex
        body = json.dumps({"run_id": run, "action": "a", "params": params or {}}).encode()
        path = f"/api/v1/{verb}"
        statement = claims("POST", path, body, run, who=who) | claimed
        headers = {"Content-Type": "application/json", "Idempotency-Key": run}
        return await self.send("POST", path, body, self.signer.sign(statement), headers)

    async def follow(
        self, place: str, run: str, method: str = "GET", *, who: str = DEPLOYER
    ) -> Told:
        """Return what is answered at the location of an operation."""
        token = self.signer.sign(claims(method, place, b"", run, who=who))
        return await self.send(method, place, b"", token, {"Idempotency-Key": run})

    async def send(
        self, method: str, path: str, body: bytes, token: str | None, headers: Mapping[str, str]
    ) -> Told:
        """Send exactly this."""
        identity = {} if token is None else {"Tidegate-Identity": token}
        async with self.session.request(
            method,
            URL(f"{self.url}{path}", encoded=True),
            data=body or None,
            headers={**identity, **self.headers, **headers},
        ) as response:
            return Told(response.status, response.headers, await response.json())

    async def ended(
        self, place: str, run: str, *, until: Callable[[dict[str, Any]], bool] | None = None
    ) -> Told:
        """Return the operation once it has ended, or *until* holds of it."""
        late = time.monotonic() + self.seconds
        while True:
            told = await self.follow(place, run)
            is_over = told.content.get("phase") not in ("pending", "running")
            if is_over or (until is not None and until(told.content)):
                return told
            assert time.monotonic() < late, f"it does not end: {told.content}"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def door(
    agents: Agents,
    *,
    callers: Callers | None = None,
    agent: Any = None,
    keys: Keys | None = None,
    signer: Signer | None = None,
) -> AsyncIterator[Door]:
    """One of the agents, or another, behind its listener."""
    signer, metrics = signer or Signer(), Metrics()
    admission = Admission(
        rules=agents.rules, keys=keys or Keys(signer.jwks()), callers=callers, clock=agents.clock
    )
    app = AgentApp(
        agent or agents.agent, admission, clock=agents.clock, journal=agents.notes, metrics=metrics
    )
    async with listening(app.app) as url, aiohttp.ClientSession() as session:
        yield Door(url=url, session=session, signer=signer, notes=agents.notes, metrics=metrics)


@asynccontextmanager
async def listening(app: Any, **options: Any) -> AsyncIterator[str]:
    """*app* is served on loopback."""
    listener = Listener(app, Listen(host="127.0.0.1", port=0, drain_seconds=1), **options)
    serving = asyncio.create_task(listener.listen())
    await listener.until_listening()
    try:
        yield f"http://127.0.0.1:{listener.port}"
    finally:
        listener.should_exit = True
        await serving
