"""An agent that listens on loopback, and a gateway that calls it."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from tests.agent.app.stage import DEPLOYER, Notes, Stage
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
    notes: Notes
    metrics: Metrics
    headers: dict[str, str] = field(default_factory=dict)

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

    async def follow(self, place: str, run: str, method: str = "GET") -> Told:
        """Return what is answered at the location of an operation."""
        token = self.signer.sign(claims(method, place, b"", run))
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

    async def ended(self, place: str, run: str) -> Told:
        """Return the operation once it has ended."""
        for _ in range(400):
            told = await self.follow(place, run)
            if told.content.get("phase") not in ("pending", "running"):
                return told
            await asyncio.sleep(0.05)
        raise AssertionError("it does not end")


@asynccontextmanager
async def door(
    stage: Stage, *, callers: Callers | None = None, agent: Any = None, keys: Keys | None = None
) -> AsyncIterator[Door]:
    """The stage's agent, or another, behind its listener."""
    signer, metrics = Signer(), Metrics()
    admission = Admission(
        rules=stage.rules, keys=keys or Keys(signer.jwks()), callers=callers, clock=stage.clock
    )
    app = AgentApp(
        agent or stage.agent, admission, clock=stage.clock, journal=stage.notes, metrics=metrics
    )
    async with listening(app.app) as url, aiohttp.ClientSession() as session:
        yield Door(url=url, session=session, signer=signer, notes=stage.notes, metrics=metrics)


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
