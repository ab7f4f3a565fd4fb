"""Render runs as Block Kit: a message is a view over its runs.

Everything that others wrote (a service's words, a person's params) is escaped and cut, so
that it can neither mention a channel nor pass for one of our own sentences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.core import keys, notices
from tidegate.core.lifecycle import is_final
from tidegate.core.model import Run, State, View
from tidegate.core.routes import SHARES
from tidegate.core.text import cut, escape

Block = Mapping[str, Any]

MAX_BLOCKS: Final = 50
MAX_SECTION: Final = 3000
MAX_TEXT: Final = 3900  # chat.update refuses more than 4,000
MAX_LINES: Final = 8  # runs told below one block

CHECK: Final = f"{keys.OWN_PREFIX}check"
CONFIRM: Final = f"{keys.OWN_PREFIX}confirm"
CANCEL: Final = f"{keys.OWN_PREFIX}cancel"

#: What names a share in a line; its title and the like are seen where it is shown.
_OF_SHARES: Final = frozenset({"bucket", "key"})

# Slack puts these into blocks that it sends, and does not take them back.
_IMAGE_EXTRAS: Final = frozenset(
    {"fallback", "image_width", "image_height", "image_bytes", "is_animated", "rotation"}
)

_ICONS: Final = {
    State.SUCCEEDED: "✅",
    State.FAILED: "❌",
    State.UNKNOWN: "❓",
    State.DENIED: "⛔",
    State.EXPIRED: "⌛",
    State.CANCELLED: "🚫",
    State.AWAITING_APPROVAL: "✋",
    State.AWAITING_CONFIRMATION: "✋",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What a message says now."""

    text: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """What rendering needs besides the runs.

    Attributes:
        secret: Seals our own buttons.
        hidden: For each action the params that are never shown.
        questions: For each action that asks before it acts, what it asks.
        now: Seconds since the Unix epoch.
    """

    secret: bytes
    hidden: Mapping[str, frozenset[str]]
    questions: Mapping[str, str]
    now: float


def render(view: View, ink: Ink) -> Rendering:
    """Return what a leased view's message says about its runs now."""
    return _own(view, ink) if view.own else _posted(view, ink)


def simple(view: View, rendering: Rendering) -> tuple[Block, ...]:
    """Return what a message says in the simplest blocks: for when Slack refused better ones.

    A message of our own keeps its buttons, pressed ones too: pressing them again is known.
    """
    text = {"type": "plain_text", "text": cut(rendering.text, MAX_SECTION), "emoji": True}
    section: Block = {"type": "section", "text": text}
    return (*map(_accepted, view.blocks[: MAX_BLOCKS - 1]), section) if view.own else (section,)


def is_news(run: Run) -> bool:
    """Tell whether a channel is told of the run: not of who may not, or was not quick enough."""
    return run.state is not State.DENIED and run.reason != "joined"


def line(run: Run, ink: Ink) -> str:
    """Return one run in one line of mrkdwn: what, who, how it is, how long it took."""
    parts = [f"{_ICONS.get(run.state, '⏳')} *{_title(run)}*{_target(run, ink)}"]
    parts.append(f"<@{escape(run.user_id)}>")
    parts.append(_state(run))
    if is_final(run.state) and run.started_at is not None and run.finished_at is not None:
        parts.append(_elapsed(run.finished_at - run.created_at))
    elif run.state in (State.SENDING, State.RUNNING) and ink.now - run.created_at >= 2:
        parts.append(_elapsed(ink.now - run.created_at))
    return " · ".join(parts)


def details(run: Run) -> str:
    """Return what there is to say beyond the line: the service's words, our reason."""
    said = []
    words = notices.denied_reason(run.reason) if run.state is State.DENIED else ""
    words = words or notices.reason(run.reason)
    if words and (run.state is not State.SUCCEEDED):
        said.append(words)
    if run.message:
        # Quoted line by line, so that a service cannot write what looks like our own line.
        said += [f"> {line}" for line in escape(run.message).split("\n")]
    return cut("\n".join(said), MAX_SECTION)


def _title(run: Run) -> str:
    return cut(_plain(run.label or run.action), 100)


def _plain(text: str) -> str:
    """Foreign text for our own line: it neither ends nor begins a line, bold or code."""
    return escape(text).replace("\n", " ").replace("*", "∗").replace("`", "'")


def _target(run: Run, ink: Ink) -> str:
    hidden = ink.hidden.get(run.action)
    if hidden is None:
        return ""  # not configured any more, so nobody can say what of it was secret
    shown = [
        cut(escape(str(value)).replace("\n", " "), 80).replace("`", "'")
        for name, value in run.params.items()
        if name not in hidden and value != "" and (run.pathway != SHARES or name in _OF_SHARES)
    ]
    return f" `{cut(' '.join(shown), 160)}`" if shown else ""


def _state(run: Run) -> str:
    words = notices.STATE_WORDS[run.state]
    if run.state is State.RUNNING and run.progress is not None:
        done, total = run.progress.done, run.progress.total
        if done is not None and total:
            return f"{words}, {done} of {total}"
    if run.state is State.QUEUED and run.attempts:
        words = "trying again"
    if is_final(run.state) and run.status_text:
        return f"{words}, {cut(_plain(run.status_text), 110)}"
    return words


def _elapsed(seconds: float) -> str:
    if seconds < 10:
        return f"{max(0.1, seconds):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"


def _posted(view: View, ink: Ink) -> Rendering:
    blocks: list[Block] = []
    for run in view.runs[-MAX_LINES:]:
        blocks += _run_blocks(run, ink)
    return Rendering(text=_fallback("", view.runs, ink), blocks=tuple(blocks[:MAX_BLOCKS]))


def _own(view: View, ink: Ink) -> Rendering:
    latest = _latest(view.runs)
    told: set[str] = set()
    blocks: list[Block] = []
    original = view.blocks or _as_block(view.text)
    for position, block in enumerate(original):
        here = [run for run in latest if _stands_in(run, block)]
        here = [run for run in here if run.id not in told]
        kept = _without_pressed(_accepted(block), here)
        if kept is not None:
            blocks.append(kept)
        left = len(original) - position - 1
        for run in here[-MAX_LINES:]:
            told.add(run.id)
            blocks += _fitting(_run_blocks(run, ink), MAX_BLOCKS - len(blocks) - left)
    shown = {block.get("block_id") for block in blocks}
    for run in [run for run in latest if _block_id(run) not in shown][-MAX_LINES:]:
        _make_room(blocks)
        blocks += _fitting(_run_blocks(run, ink), MAX_BLOCKS - len(blocks))
    return Rendering(text=_fallback(view.text, latest, ink), blocks=tuple(blocks[:MAX_BLOCKS]))


def _as_block(text: str) -> tuple[Block, ...]:
    """A message that has no blocks as one that has; its text is mrkdwn already."""
    if not text:
        return ()
    return ({"type": "section", "text": {"type": "mrkdwn", "text": cut(text, MAX_SECTION)}},)


def _stands_in(run: Run, block: Block) -> bool:
    """Whether the run's element is part of the block: by its id, or where it has none by itself."""
    block_id = block.get("block_id")
    if block_id or run.block_id:
        return run.block_id == block_id
    elements = block.get("elements", ()) if block.get("type") == "actions" else ()
    accessory = block.get("accessory")
    return any(_pressed(e, (run,)) for e in (*elements, *((accessory,) if accessory else ())))


def _make_room(blocks: list[Block]) -> None:
    """Drop a block of a full message: how a run went is told, buttons are the last to go."""
    if len(blocks) < MAX_BLOCKS:
        return
    foreign = [i for i, block in enumerate(blocks) if not _is_ours(block)]
    idle = [i for i in foreign if blocks[i].get("type") not in ("actions", "input")]
    plain = [i for i in idle if "accessory" not in blocks[i]]
    del blocks[(plain or idle or foreign or [0])[-1]]


def _is_ours(block: Block) -> bool:
    return str(block.get("block_id") or "").startswith("tg-")


def _block_id(run: Run) -> str:
    return f"tg-{run.id}"


def _fitting(blocks: Sequence[Block], room: int) -> Sequence[Block]:
    return blocks[: max(0, room)]


def _latest(runs: Sequence[Run]) -> list[Run]:
    """Of several runs by the same element with the same value, the newest.

    Who was not allowed, or not quick enough, is told so alone: it is nobody else's news.
    """
    news = filter(is_news, runs)
    newest = {(run.block_id, run.action_id, run.value_digest): run for run in news}
    return sorted(newest.values(), key=lambda run: run.id)


def _run_blocks(run: Run, ink: Ink) -> list[Block]:
    said = details(run)
    if run.state is State.AWAITING_CONFIRMATION:
        said = escape(ink.questions.get(run.action, ""))
    text = f"{line(run, ink)}\n{said}" if said else line(run, ink)
    blocks: list[Block] = [
        {
            "type": "section",
            "block_id": _block_id(run),
            "text": {"type": "mrkdwn", "text": cut(text, MAX_SECTION), "verbatim": True},
        }
    ]
    if buttons := _own_buttons(run, ink):
        blocks.append({"type": "actions", "block_id": f"{_block_id(run)}-b", "elements": buttons})
    return blocks


def _own_buttons(run: Run, ink: Ink) -> list[Block]:
    value = keys.sealed_value(
        ink.secret, team_id=run.team_id, channel_id=run.channel_id, run_id=run.id
    )
    if run.state is State.UNKNOWN:
        return [_button(CHECK, "Check status", value)]
    if run.state is State.AWAITING_CONFIRMATION:
        return [_button(CONFIRM, "Go on", value, "primary"), _button(CANCEL, "Call it off", value)]
    return []


def _button(action_id: str, text: str, value: str, style: str | None = None) -> Block:
    button: dict[str, Any] = {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": text, "emoji": True},
        "value": value,
    }
    return button | {"style": style} if style else button


def _accepted(block: Block) -> Block:
    """A block as Slack sent it, without what Slack does not take back."""
    if block.get("type") == "image":
        return {key: value for key, value in block.items() if key not in _IMAGE_EXTRAS}
    if block.get("type") == "context":
        return {**block, "elements": [_accepted(e) for e in block.get("elements", ())]}
    accessory = block.get("accessory")
    return {**block, "accessory": _accepted(accessory)} if accessory else block


def _without_pressed(block: Block, runs: Sequence[Run]) -> Block | None:
    """The block without the buttons whose runs still hold their effect; None: nothing is left."""
    # While it is not known whether who pressed may, the button stays for who does.
    held = [run for run in runs if run.effect_key is not None and run.sure]
    if not held:
        return block
    if block.get("type") == "actions":
        elements = [e for e in block.get("elements", ()) if not _pressed(e, held)]
        return {**block, "elements": elements} if elements else None
    accessory = block.get("accessory")
    if isinstance(accessory, Mapping) and _pressed(accessory, held):
        return {key: value for key, value in block.items() if key != "accessory"}
    return block


def _pressed(element: Mapping[str, Any], runs: Sequence[Run]) -> bool:
    if element.get("type") != "button":
        return False  # a select can still be used with another choice
    digest = keys.value_digest(str(element.get("value") or ""))
    return any(
        run.action_id == element.get("action_id") and run.value_digest == digest for run in runs
    )


def _fallback(original: str, runs: Sequence[Run], ink: Ink) -> str:
    """The text for notifications and screen readers, which show no blocks."""
    lines = [original] if original else []
    for run in runs[-MAX_LINES:]:
        said = details(run)
        lines.append(f"{line(run, ink)}\n{said}" if said else line(run, ink))
    return cut("\n".join(lines), MAX_TEXT)
