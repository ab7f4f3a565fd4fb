"""What is written down of a share while it is made, and what its process knows beside."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tidegate.core.share import Object
from tidegate.core.steps import FileStep, PostStep, Stage, Steps, moved
from tidegate.ports import Ledger


async def forget(_: Steps) -> None:
    """Note nothing: for a share that ends with its process."""


@dataclass(slots=True)
class ShareRecord:
    """How far a share has come; every change is written down before it goes on.

    Attributes:
        ledger: Where it is written down.
        steps: What is.
        admitted_at: When the channel was last looked at; in the loop's time.
        known: Objects that were found, and when they were last known to be the latest.
    """

    ledger: Ledger
    steps: Steps
    admitted_at: float
    known: dict[str, tuple[Object, float]] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def of(self, key: str) -> FileStep | None:
        """Return what is written down of a file."""
        return next((step for step in self.steps.files if step.key == key), None)

    @property
    def asked(self) -> bool:
        """Whether Slack was asked to show any of its files."""
        return any(step.stage in (Stage.ASKED, Stage.DONE) for step in self.steps.files)

    async def file(self, step: FileStep) -> None:
        """Write down how far a file has come."""
        async with self.lock:
            others = tuple(each for each in self.steps.files if each.key != step.key)
            self.steps = replace(self.steps, files=(*others, step))
            await self.ledger(self.steps)

    async def files(self, keys: Sequence[str], stage: Stage) -> None:
        """Write down that files have come so far."""
        async with self.lock:
            files = tuple(
                moved(step, stage) if step.key in keys else step for step in self.steps.files
            )
            self.steps = replace(self.steps, files=files)
            await self.ledger(self.steps)

    async def post(self, number: int, step: PostStep) -> None:
        """Write down how far a message has come."""
        async with self.lock:
            posts = (*self.steps.posts[:number], step)
            self.steps = replace(self.steps, posts=posts)
            await self.ledger(self.steps)

    async def not_posted(self, number: int) -> None:
        """Take back that a message was begun, and all after it."""
        async with self.lock:
            self.steps = replace(self.steps, posts=self.steps.posts[:number])
            await self.ledger(self.steps)
