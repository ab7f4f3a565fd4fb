"""What is written down of a share while it is made: enough to go on from after a crash."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Stage(StrEnum):
    """How far a file of a share has come."""

    BEGUN = "begun"  # Slack has named it; its bytes may be on their way
    SENT = "sent"  # Slack has all its bytes, checked; nobody sees it
    ASKED = "asked"  # Slack is being asked to show it
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStep:
    """What is written down of one file while it is being shared."""

    key: str
    stage: Stage
    file_id: str | None = None
    version_id: str | None = None
    etag: str = ""
    size: int = 0
    code: str = ""  # of what it failed by


def moved(step: FileStep, stage: Stage) -> FileStep:
    """Return what is written down of a file that has come so far."""
    return replace(step, stage=stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostStep:
    """What is written down of one message: when its post was begun, and how it ended."""

    begun_at: float
    ts: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """How far a share has come: enough to go on from after a crash."""

    files: tuple[FileStep, ...] = ()
    posts: tuple[PostStep, ...] = ()


def may_be_shown(steps: Steps | None) -> bool:
    """Tell whether Slack was asked to show something, and may have."""
    if steps is None:
        return False
    asked = any(step.stage is Stage.ASKED for step in steps.files)
    return asked or any(post.ts is None for post in steps.posts)
