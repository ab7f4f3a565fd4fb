"""The look at a pathway: its settings, its line, and what answers a question without an effect.

What is asked is what became of a run that cannot exist (`GET …/operations/ID`), which no service
acts upon. It is asked once as any request goes out, and once without a signature where there is
a gate that has to turn such a request away.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tidegate.app.doctor.line import LineVisit
from tidegate.app.doctor.walk import Look, Step
from tidegate.core.diagnosis import agent as diagnosis_agent
from tidegate.core.diagnosis import line as diagnosis_line
from tidegate.core.diagnosis import pathway as diagnosis_pathway
from tidegate.core.diagnosis.agent import Statement, Trial
from tidegate.core.diagnosis.finding import Path, Seen
from tidegate.core.diagnosis.pathway import Answer, Way
from tidegate.core.model import RunId
from tidegate.ports import Answered, Clock, NoAnswer, NotSent, Request, Response, Signer, Upstream

ASKING_SECONDS: Final = 15.0
TRYING_SECONDS: Final = 25.0
IDENTITY: Final[Path] = ("identity",)


@dataclass(slots=True, kw_only=True)
class PathwayVisit:
    """A look at one pathway.

    Attributes:
        name: In the configuration.
        upstream: Sends as the worker does.
        unsigned: Sends the same way without a signature; None where there is no gate to test.
        seconds: How long both wait for an answer.
        signer: Signs who asks; None where its key cannot be used.
        base_path: The path of the url.
        stage: The base path is not passed on to the service.
        proof: Looks at credentials or the token; None where there are none.
        audiences: Names that an agent of this configuration may go by.
    """

    name: str
    way: Way
    line: LineVisit
    upstream: Upstream
    unsigned: Upstream | None
    seconds: float
    signer: Signer | None
    clock: Clock
    issuer: str
    audience: str
    base_path: str
    stage: bool
    proof: Step | None
    audiences: Sequence[str] = ()
    _once: asyncio.Lock = field(default_factory=asyncio.Lock)
    _first: Response | None = None
    _ahead_by: float | None = None
    _run: RunId = field(init=False)
    _path: str = field(init=False)
    _agent: bool = field(init=False)

    def __post_init__(self) -> None:
        """Decide what is asked for."""
        # No run has such an id: theirs have neither this beginning nor a dash.
        self._run = RunId(f"doctor-{self.clock.entropy(12).hex()}")
        self._path, self._agent = diagnosis_agent.operations_path(self.way.paths, self._run)

    @property
    def _root(self) -> Path:
        return ("pathways", self.name)

    def steps(self) -> tuple[Step, ...]:
        """Return what to look at."""
        answer = (*self._root, "answer")
        proven = () if self.proof is None else (self.proof,)
        there = (self.line.end, *(step.path for step in proven))
        found = [
            Step(path=(*self._root, "settings"), title="settings", look=self._settings),
            *self.line.steps(),
            *proven,
            self._step("clock", "clock", self._clock, (self.line.end,)),
            self._step("answer", "an answer", self._answer, there),
        ]
        if self.unsigned is not None:
            title = "closed to the unsigned"
            look = partial(self._closed, self.unsigned)
            found.append(self._step("unsigned", title, look, (self.line.end,)))
        if self._agent:
            needs = (answer, IDENTITY)
            title = "the agent believes what is signed"
            found.append(self._step("agent", title, self._believed, needs, TRYING_SECONDS))
        return tuple(found)

    def _step(
        self,
        name: str,
        title: str,
        look: Look,
        needs: tuple[Path, ...],
        seconds: float = ASKING_SECONDS,
    ) -> Step:
        path = (*self._root, name)
        return Step(path=path, title=title, look=look, needs=needs, seconds=seconds)

    # --- looking ---------------------------------------------------------------------------

    async def _settings(self) -> Seen:
        return diagnosis_pathway.settings(self.way)

    async def _clock(self) -> Seen:
        return diagnosis_line.clock(await self._ahead())

    async def _answer(self) -> Seen:
        if not self.way.paths:
            return Seen(untold="no action goes over it, so there is nothing to ask for")
        response = await self._asked()
        if not isinstance(response, Answered):
            return self._unanswered(response)
        answer = _answer(response)
        if self._agent and not answer.fault and diagnosis_agent.speaks(answer):
            return Seen(said=f"the agent's ({answer.status})")
        found = diagnosis_pathway.answered(self.way, answer, agent=self._agent)
        if found is not None:
            return Seen(findings=(found,))
        return Seen(said=f"{answer.status}: it is reached, and nothing more is known of it")

    async def _closed(self, unsigned: Upstream) -> Seen:
        response = await self._send(unsigned, None)
        if not isinstance(response, Answered):
            return self._unanswered(response)
        return diagnosis_pathway.unsigned(self.way, _answer(response))

    async def _believed(self) -> Seen:
        response = await self._asked()
        if self.signer is None or not isinstance(response, Answered):
            return Seen(untold="the key that signs is made at the first start: check again then")
        answer = _answer(response)
        if not diagnosis_agent.speaks(answer):
            return Seen(said="another service than Tidegate's agent answers: nothing to believe")
        if diagnosis_agent.believed(answer):
            wrong = diagnosis_agent.answered(answer)
            said = f"as {self.audience}, by {self.issuer}" if wrong is None else ""
            return Seen(said=said, findings=() if wrong is None else (wrong,))
        taken = await self._taken()
        found = diagnosis_agent.mistaken(self._ours, taken, alone=self.proof is None)
        return Seen(findings=(found,))

    async def _taken(self) -> Statement | None:
        """Return the first other statement that the agent believes."""
        ahead = await self._ahead()
        for each in diagnosis_agent.others(self._ours, ahead=ahead, audiences=self.audiences):
            response = await self._send(self.upstream, each)
            if isinstance(response, Answered) and diagnosis_agent.believed(_answer(response)):
                return each
        return None

    # --- asking ----------------------------------------------------------------------------

    @property
    def _ours(self) -> Statement:
        return Statement(trial=Trial.AS_CONFIGURED, audience=self.audience, issuer=self.issuer)

    async def _asked(self) -> Response:
        """Return what was answered the first time; it is asked once, whoever wants to know."""
        async with self._once:
            if self._first is None:
                self._first = await self._send(self.upstream, self._ours)
                self._ahead_by = diagnosis_line.skew(
                    getattr(self._first, "date", None), now=self.clock.now()
                )
        return self._first

    async def _ahead(self) -> float | None:
        await self._asked()
        return self._ahead_by

    async def _send(self, upstream: Upstream, said: Statement | None) -> Response:
        headers: dict[str, str] = {"Idempotency-Key": self._run, "X-Request-Id": self._run}
        if said is not None and self.signer is not None:
            claims = diagnosis_agent.claims(
                said,
                run=self._run,
                path=self._path if self.stage else f"{self.base_path}{self._path}",
                now=self.clock.now(),
                nonce=self.clock.entropy(16).hex(),
            )
            headers["Tidegate-Identity"] = self.signer.sign(claims)
        return await upstream.send(
            Request(run_id=self._run, method="GET", path=self._path, body=b"", headers=headers)
        )

    def _unanswered(self, response: NotSent | NoAnswer) -> Seen:
        return Seen(findings=(diagnosis_pathway.unanswered(response.reason, seconds=self.seconds),))


def _answer(response: Answered) -> Answer:
    return Answer(status=response.status, fault=response.fault, body=response.body)
