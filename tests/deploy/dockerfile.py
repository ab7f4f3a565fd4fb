"""A Dockerfile, taken apart as far as the tests need it: no engine is at hand."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction, its words as they stand."""

    instruction: str
    text: str


def stages(path: Path) -> list[list[Step]]:
    """Return the steps of each stage, each beginning with its FROM; first what is before any."""
    found: list[list[Step]] = [[]]
    for step in _steps(path.read_text()):
        if step.instruction == "FROM":
            found.append([])
        found[-1].append(step)
    return found


def variables(steps: list[Step]) -> dict[str, str]:
    """Return what ENV and ARG set, as they stand."""
    return {
        name: value
        for step in steps
        if step.instruction in ("ENV", "ARG")
        for name, _, value in (word.partition("=") for word in shlex.split(step.text))
    }


def copies(steps: list[Step]) -> Iterator[tuple[list[str], str]]:
    """Yield what is copied from the context, and to where."""
    for step in steps:
        words = shlex.split(step.text)
        if step.instruction == "COPY" and not words[0].startswith("--from"):
            yield words[:-1], words[-1]


def _steps(text: str) -> Iterator[Step]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        instruction, _, rest = line.partition(" ")
        yield Step(instruction, rest.strip())
