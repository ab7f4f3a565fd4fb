"""What a look at a live set-up finds, as a tree: what is well, what is wrong, why, and the mend.

A finding has a code, which programs may rely on; its words are for people. Each part of a set-up
keeps its own table of words (`diagnosis_*`), so that a code says the same wherever it comes from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tidegate.core.text import cut, harmless

MAX_TEXT: Final = 400  # characters of one sentence
MAX_VALUE: Final = 160  # of what came from outside and stands in one
FORMAT_VERSION: Final = 1

#: Where something stands in the tree, such as `("pathways", "cluster", "tls")`.
Path = tuple[str, ...]


class State(StrEnum):
    """How one part of a set-up is."""

    OK = "ok"
    WARNING = "warning"  # it works, and should not stay so
    WRONG = "wrong"
    UNTOLD = "untold"  # it cannot be told from here, which is nobody's fault
    SKIPPED = "skipped"  # not tried: what it needs is not there


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        code: Its name, such as `tls.expired`; what a code means does not change.
        what: What is wrong.
        why: How that comes about, or what comes of it.
        mend: What to do.
        grave: Something does not work, or is open that should be closed.
    """

    code: str
    what: str
    why: str
    mend: str
    grave: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is said of a code; `{name}` is replaced by what was seen."""

    what: str
    why: str
    mend: str
    grave: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one probe saw.

    Attributes:
        said: In a few words what is there, such as an address.
        findings: What is wrong with it.
        untold: Why it cannot be told; empty if it can.
    """

    said: str = ""
    findings: tuple[Finding, ...] = ()
    untold: str = ""

    @property
    def state(self) -> State:
        """How it is, the worst counting."""
        if any(each.grave for each in self.findings):
            return State.WRONG
        if self.findings:
            return State.WARNING
        return State.UNTOLD if self.untold else State.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One part of a set-up after it was looked at.

    Attributes:
        path: Where it stands in the tree.
        title: What is looked at, for people.
        state: How it is.
        said: What was seen, or why it was not tried or cannot be told.
        findings: What is wrong with it.
        milliseconds: How long the look took.
    """

    path: Path
    title: str
    state: State
    said: str = ""
    findings: tuple[Finding, ...] = ()
    milliseconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All that was looked at, in the order of the tree.

    Attributes:
        checks: Each part once.
        seconds: How long all of it took.
    """

    checks: tuple[Check, ...]
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; warnings do not count."""
        return all(check.state is not State.WRONG for check in self.checks)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of the tree."""
        return tuple(finding for check in self.checks for finding in check.findings)

    def count(self, state: State) -> int:
        """Return how many parts are in a state."""
        return sum(check.state is state for check in self.checks)


def finding(words: Mapping[str, Words], code: str, /, **seen: object) -> Finding:
    """Return the finding of a code.

    Args:
        words: The table that the code stands in.
        code: Its name.
        seen: What stands in its words; foreign text is cut, and made fit for a terminal.
    """
    said = words[code]
    values = {name: shown(value) for name, value in seen.items()}

    def filled(text: str) -> str:
        return cut(text.format_map(values), MAX_TEXT)

    return Finding(
        code=code,
        what=filled(said.what),
        why=filled(said.why),
        mend=filled(said.mend),
        grave=said.grave,
    )


def shown(value: object) -> str:
    """Return what was seen as it may stand in a sentence: one short line."""
    return cut(" ".join(harmless(value).split()), MAX_VALUE)


def listed(values: Iterable[object], *, most: int = 8) -> str:
    """Return values as a list in a sentence, no more of them than a person reads."""
    every = [shown(value) for value in values]
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def duration(seconds: float) -> str:
    """Return how long that is, for people: `42 s`, `7 min`, `5 h`, `3 days`."""
    whole = abs(seconds)
    for name, unit, least in (("days", 86_400, 2), ("h", 3600, 2), ("min", 60, 2)):
        if whole >= unit * least:
            return f"{whole / unit:.0f} {name}"
    return f"{whole:.0f} s"


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as plain values; `FORMAT_VERSION` names their form."""
    return {
        "version": FORMAT_VERSION,
        "ok": diagnosis.ok,
        "seconds": round(diagnosis.seconds, 3),
        "counts": {state.value: diagnosis.count(state) for state in State},
        "checks": [_plain(check) for check in diagnosis.checks],
    }


def _plain(check: Check) -> dict[str, Any]:
    return {
        "path": list(check.path),
        "title": check.title,
        "state": check.state.value,
        "said": check.said,
        "milliseconds": check.milliseconds,
        "findings": [
            {
                "code": each.code,
                "grave": each.grave,
                "what": each.what,
                "why": each.why,
                "mend": each.mend,
            }
            for each in check.findings
        ],
    }


def as_lines(diagnosis: Diagnosis) -> list[str]:
    """Return a diagnosis as a tree for people, and what it comes to."""
    lines: list[str] = []
    above: Sequence[str] = ()
    for check in diagnosis.checks:
        folders = check.path[:-1]
        shared = _shared(above, folders)
        lines += [f"{'  ' * depth}{folders[depth]}" for depth in range(shared, len(folders))]
        lines += _told(check, "  " * len(folders))
        above = folders
    return [*lines, "", _summary(diagnosis)]


_MARKS: Final = {
    State.OK: "✓",
    State.WARNING: "!",
    State.WRONG: "✗",
    State.UNTOLD: "?",
    State.SKIPPED: "-",
}


def _told(check: Check, indent: str) -> list[str]:
    said = f": {check.said}" if check.said else ""
    lines = [f"{indent}{_MARKS[check.state]} {check.title}{said}"]
    for each in check.findings:
        lines += [
            f"{indent}    {each.code}: {each.what}",
            f"{indent}    why:  {each.why}",
            f"{indent}    mend: {each.mend}",
        ]
    return lines


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many steps two paths begin with together."""
    for depth, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return depth
    return min(len(one), len(other))


def _summary(diagnosis: Diagnosis) -> str:
    wrong, warnings = diagnosis.count(State.WRONG), diagnosis.count(State.WARNING)
    parts = [f"{len(diagnosis.checks)} looked at in {diagnosis.seconds:.1f} s"]
    if wrong:
        parts.append(f"{wrong} wrong")
    if warnings:
        parts.append(f"{warnings} to be mended in time")
    if not wrong and not warnings:
        parts.append("nothing is wrong")
    for state, words in ((State.SKIPPED, "not tried"), (State.UNTOLD, "could not be told")):
        if count := diagnosis.count(state):
            parts.append(f"{count} {words}")
    return ", ".join(parts) + "."
