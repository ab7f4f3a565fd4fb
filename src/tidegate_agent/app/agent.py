"""All that the agent does, once it is known who asks."""

from tidegate_agent.app import logs, status
from tidegate_agent.app.change import Changes
from tidegate_agent.app.progress import Progress
from tidegate_agent.app.records import Records
from tidegate_agent.app.upkeep import Upkeep
from tidegate_agent.app.world import World
from tidegate_agent.core import request
from tidegate_agent.core.answer import Answer
from tidegate_agent.core.identity import Keys, Statement
from tidegate_agent.core.request import Logs, Status
from tidegate_agent.core.rules import Rules
from tidegate_agent.errors import MissingError
from tidegate_agent.ports import Clock, Journal, Kubernetes


class Agent:
    """Deals with requests, and looks after its records.

    Every method may raise `RefusedError`, `UnavailableError` and `KubernetesError`, which
    `answer.of_error` puts into words. Where one does, nothing was done.

    Args:
        kubernetes: The API server.
        clock: Time and chance.
        journal: The log.
        rules: What it holds to.
        keys: Whose statements are believed. An operation that was left undone is gone on with if
            one of them signed what its record keeps; without keys, only if it is asked for again.
    """

    def __init__(
        self,
        *,
        kubernetes: Kubernetes,
        clock: Clock,
        journal: Journal,
        rules: Rules,
        keys: Keys | None = None,
    ) -> None:
        self._world = World(
            kubernetes=kubernetes,
            records=Records(kubernetes, rules.home),
            clock=clock,
            journal=journal,
            rules=rules,
            keys=keys,
            holder=clock.entropy(8).hex(),
        )
        self._changes = Changes(self._world)
        self._progress = Progress(self._world, self._changes)
        self._upkeep = Upkeep(self._world, self._changes)

    async def ask(self, verb: str, body: bytes, who: Statement) -> Answer:
        """Return what `POST /api/v1/<verb>` is answered.

        Args:
            verb: One of `request.PARAMS`.
            body: As it came, and as the statement was verified over.
            who: Who asks, and in which run.
        """
        if verb not in request.PARAMS:
            raise MissingError("There is nothing here.")
        asked = self._world.order(verb, body, who)
        match asked:
            case Status():
                return await status.tell(self._world, asked, who)
            case Logs():
                return await logs.tell(self._world, asked, who)
            case _:
                return await self._changes.take(asked, who, body)

    async def follow(self, key: str, who: Statement) -> Answer:
        """Return how far the operation of a key is."""
        return await self._progress.follow(key, who)

    async def cancel(self, key: str, who: Statement) -> Answer:
        """Return the operation of a key, no longer followed."""
        return await self._progress.cancel(key, who)

    async def recover(self) -> int:
        """Return how many operations were gone on with that an agent had left undone.

        To be called at start, and again once `Rules.lease_seconds` have passed.
        """
        return await self._upkeep.recover()

    async def prune(self) -> int:
        """Return how many old records were removed; to be called every hour or so."""
        return await self._upkeep.prune()
