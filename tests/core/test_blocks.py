"""What a message says about its runs.

`python -m tests.core.test_blocks` writes the golden files anew; look at what changed.
"""

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.values import NOW, a_run
from tests.examples import examples
from tidegate.core import blocks, keys
from tidegate.core.blocks import Ink, Rendering
from tidegate.core.model import Posting, Progress, Run, State, View
from tidegate.core.text import cut, escape

GOLDEN = Path(__file__).parent / "golden"
INK = Ink(
    secret=b"button secret",
    hidden={"deploy": frozenset({"password"})},
    questions={"deploy": "Really deploy to *production*?"},
    now=NOW + 30,
)
VALUE = '{"namespace":"staging","deployment":"web"}'
DIGEST = keys.value_digest(VALUE)
RTL = "\u202etxt.exe\u2066\u200f"
HOSTILE = f"<!channel> <https://evil.example|x> & *b* `c`\n✅ *Deploy* {RTL}\x00\x1b[31m"


def button(action_id: str = "k8s_deploy", text: str = "Deploy", value: str = VALUE) -> Any:
    return {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": text},
        "value": value,
    }


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def actions(*elements: Any, block_id: str = "b1") -> dict[str, Any]:
    return {"type": "actions", "block_id": block_id, "elements": list(elements)}


def a_view(*runs: Run, own: bool = True, **changes: Any) -> View:
    fields: dict[str, Any] = {
        "id": 1,
        "team_id": "T0TEAM",
        "channel_id": "C0OPS",
        "ts": "1700000000.000100",
        "thread_ts": None,
        "own": own,
        "text": "Deploy web?" if own else "",
        "blocks": (section("*Deploy web?*"), actions(button(), button("other", "Other", "{}")))
        if own
        else (),
        "version": 1,
        "posting": Posting.NONE,
        "intent_at": None,
        "intent_final": False,
        "lookups": 0,
        "failures": 0,
        "told_at": 0.0,
        "token": "t",
        "runs": runs,
    }
    return View(**(fields | changes))


def pressed(number: int = 1, **changes: Any) -> Run:
    return a_run(number, **({"value_digest": DIGEST} | changes))


def ended(state: State = State.SUCCEEDED, number: int = 1, **changes: Any) -> Run:
    fields = {"state": state, "started_at": NOW + 0.1, "finished_at": NOW + 4.2, "attempts": 1}
    return pressed(number, **(fields | changes))


def full(last: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return (*(section(f"Line {n}") for n in range(49)), last)


SELECT = {
    "type": "static_select",
    "action_id": "k8s_deploy",
    "options": [{"text": {"type": "plain_text", "text": "web"}, "value": VALUE}],
}
IMAGE = {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "A"}
EXTRAS = {"fallback": "2x2px image", "image_width": 2, "image_height": 2, "image_bytes": 9}

VIEWS: Mapping[str, View] = {
    "pressed_button_under_way": a_view(
        pressed(state=State.RUNNING, progress=Progress(phase="running", done=2, total=3))
    ),
    "pressed_button_succeeded": a_view(ended(message="rolled out", status_text="ok")),
    "the_only_button_of_its_row": a_view(ended(), blocks=(actions(button()), section("Below"))),
    "select_stays": a_view(ended(), blocks=(actions(SELECT),)),
    "accessory": a_view(
        ended(), blocks=(section("*web*", block_id="b1", accessory=button()), section("Below"))
    ),
    "several_runs": a_view(
        ended(State.FAILED, 1, reason="forbidden"),
        pressed(2, state=State.QUEUED, action_id="other", value_digest=keys.value_digest("{}")),
        ended(State.SUCCEEDED, 3, block_id="gone", user_id="U0GRACE"),
    ),
    "unknown_with_check_status": a_view(ended(State.UNKNOWN, reason="timeout")),
    "awaiting_confirmation": a_view(pressed(state=State.AWAITING_CONFIRMATION)),
    "failed_and_released_returns_the_button": a_view(
        ended(State.FAILED, effect_key=None, reason="connect", label="Deploy")
    ),
    "pressed_again_after_a_failure": a_view(
        ended(State.FAILED, 1, effect_key=None, reason="connect"),
        pressed(2, state=State.SENDING),
    ),
    "posted_message": a_view(ended(message="3 pods ready", status_text="healthy"), own=False),
    "posted_message_trying_again": a_view(pressed(attempts=2, reason="busy"), own=False),
    "full_message": a_view(ended(), blocks=full(actions(button(), button("other")))),
    "full_message_of_one_button": a_view(ended(), blocks=full(actions(button()))),
    "images_as_slack_takes_them_back": a_view(
        ended(),
        blocks=(
            {**IMAGE, **EXTRAS, "is_animated": False, "rotation": 0},
            {"type": "context", "elements": [{**IMAGE, **EXTRAS}, {"type": "mrkdwn", "text": "x"}]},
            section("s", accessory={**IMAGE, **EXTRAS}),
        ),
    ),
    "hidden_params": a_view(
        ended(params={"namespace": "staging", "password": "hunter2", "note": ""}), own=False
    ),
    "hostile": a_view(
        ended(
            State.FAILED,
            label=HOSTILE,
            message=HOSTILE,
            status_text=HOSTILE,
            params={"namespace": HOSTILE},
            reason="rejected",
        ),
        own=False,
    ),
    "ten_thousand_characters": a_view(
        ended(label="&" * 10_000, message="<" * 10_000, params={"x": ">" * 10_000}), own=False
    ),
}


def as_json(rendering: Rendering) -> str:
    content = {"text": rendering.text, "blocks": rendering.blocks}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", VIEWS)
def test_a_message_reads_as_agreed(name: str) -> None:
    expected = (GOLDEN / f"{name}.json").read_text()
    assert as_json(blocks.render(VIEWS[name], INK)) == expected


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(VIEWS)


# --- rules the pictures follow from ---------------------------------------------------------


def elements_of(rendering: Rendering) -> list[str]:
    found = []
    for block in rendering.blocks:
        found += [e["action_id"] for e in block.get("elements", ()) if "action_id" in e]
        found += [block["accessory"]["action_id"]] if "accessory" in block else []
    return found


def test_the_same_button_with_another_value_stays() -> None:
    view = a_view(ended(), blocks=(actions(button(), button(value="{}")),))
    kept = blocks.render(view, INK).blocks[0]["elements"]
    assert [element["value"] for element in kept] == ["{}"]


def test_a_button_of_another_block_stays() -> None:
    view = a_view(ended(), blocks=(actions(button()), actions(button(), block_id="b2")))
    assert elements_of(blocks.render(view, INK)) == ["k8s_deploy"]


def test_who_was_not_allowed_takes_no_button_from_others() -> None:
    rendering = blocks.render(a_view(ended(State.DENIED, effect_key=None)), INK)
    assert elements_of(rendering) == ["k8s_deploy", "other"]


def test_our_own_buttons_carry_a_seal_for_this_place_and_run() -> None:
    rendering = blocks.render(a_view(ended(State.UNKNOWN, 7), own=False), INK)
    element = rendering.blocks[1]["elements"][0]
    assert element["action_id"] == blocks.CHECK
    found = keys.unseal(INK.secret, element["value"], team_id="T0TEAM", channel_id="C0OPS")
    assert found == a_run(7).id


@pytest.mark.parametrize("state", list(State))
def test_only_what_can_still_be_answered_has_buttons_of_ours(state: State) -> None:
    rendering = blocks.render(a_view(ended(state), own=False), INK)
    expected = {
        State.UNKNOWN: [blocks.CHECK],
        State.AWAITING_CONFIRMATION: [blocks.CONFIRM, blocks.CANCEL],
    }
    assert elements_of(rendering) == expected.get(state, [])


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.01, "0.1 s"), (4.24, "4.2 s"), (59.6, "60 s"), (600, "10 min")]
)
def test_how_long_it_took_is_told(seconds: float, words: str) -> None:
    assert blocks.line(ended(finished_at=NOW + seconds), INK).endswith(words)


def test_the_original_message_is_not_changed() -> None:
    view = VIEWS["images_as_slack_takes_them_back"]
    before = json.dumps(view.blocks)
    blocks.render(view, INK)
    assert json.dumps(view.blocks) == before


def test_a_full_message_gives_up_a_plain_block_before_a_button() -> None:
    rendering = blocks.render(VIEWS["full_message"], INK)
    assert len(rendering.blocks) == 50
    assert elements_of(rendering) == ["other"]
    assert "*Deploy*" in rendering.blocks[-1]["text"]["text"]


@pytest.mark.parametrize("last", [actions(button("other")), section("x", accessory=button("o"))])
def test_how_a_run_went_is_told_even_where_a_message_is_full_of_buttons(last: Any) -> None:
    crowded = tuple({**last, "block_id": f"c{n}"} for n in range(50))
    runs = [ended(number=n, block_id=f"c{n}", action_id=f"a{n}") for n in range(1, 4)]
    rendering = blocks.render(a_view(*runs, blocks=crowded), INK)
    assert len(rendering.blocks) == 50
    shown = {block.get("block_id") for block in rendering.blocks}
    assert {f"tg-{run.id}" for run in runs} <= shown


# --- foreign text ---------------------------------------------------------------------------


@given(st.text())
@example(HOSTILE)
@example("&lt;")
def test_what_is_escaped_mentions_nobody_and_links_nowhere(text: str) -> None:
    escaped = escape(text)
    assert not set(escaped) & set("<>")
    assert re.sub(r"&(amp|lt|gt);", "", escaped).count("&") == 0
    assert all(c.isprintable() or c in "\n\u200d" for c in escaped)
    visible = "".join(c if c.isprintable() or c in "\n\u200d" else " " for c in text)
    assert html.unescape(escaped) == visible or "&" in visible


@given(st.text("&<>a;\u202e", max_size=40), st.integers(1, 50))
def test_what_is_cut_keeps_inside_its_length_and_halves_no_entity(text: str, most: int) -> None:
    escaped = escape(text)
    short = cut(escaped, most)
    assert len(short) <= most
    assert short == escaped or short.endswith("…")
    assert re.sub(r"&(amp|lt|gt);", "", short).count("&") == 0


WORDS = st.text(max_size=60) | st.sampled_from([HOSTILE, "<" * 3000, "x" * 3000])
RUNS = st.builds(
    pressed,
    st.integers(1, 40),
    state=st.sampled_from(list(State)),
    label=WORDS,
    message=WORDS,
    status_text=WORDS,
    reason=st.sampled_from(["", "timeout", "busy", "guest", "unheard-of"]),
    params=st.dictionaries(st.sampled_from(["a", "b", "password"]), WORDS | st.integers()),
    block_id=st.sampled_from(["b1", "b2", ""]),
    action_id=st.sampled_from(["k8s_deploy", "other", "a3"]),
    effect_key=st.none() | st.just("e"),
    attempts=st.integers(0, 3),
    started_at=st.none() | st.just(NOW),
    finished_at=st.none() | st.just(NOW + 5),
    progress=st.none()
    | st.builds(Progress, done=st.none() | st.integers(0, 9), total=st.none() | st.integers(0, 9)),
)
BLOCKS = st.lists(
    st.sampled_from(
        [
            section("Text"),
            {"type": "divider"},
            actions(button(), button("other", "Other", "{}")),
            actions(button(), SELECT, block_id="b2"),
            section("With", block_id="b2", accessory=button()),
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}]},
            {"type": "actions", "block_id": "b1"},
            {"type": "something_new", "block_id": "b1"},
        ]
    ),
    max_size=50,
)


@settings(max_examples=examples(50))
@given(
    st.lists(RUNS, min_size=1, max_size=12, unique_by=lambda run: run.id),
    BLOCKS,
    st.booleans(),
    WORDS,
)
def test_a_message_keeps_inside_slacks_limits_whatever_its_runs(
    runs: list[Run], original: list[dict[str, Any]], own: bool, text: str
) -> None:
    rendering = blocks.render(a_view(*runs, own=own, blocks=tuple(original), text=text), INK)
    assert len(rendering.blocks) <= 50
    assert len(rendering.text) < 4000
    for block in rendering.blocks:
        ours = str(block.get("block_id", "")).startswith("tg-")
        if block["type"] == "section" and ours:
            said = block["text"]["text"]
            assert 0 < len(said) <= 3000
            assert block["text"]["verbatim"] is True
            # our own: who it was, and the mark of a quoted line
            allowed = re.sub(r"<@U0[A-Z]+>|^> ", "", said, flags=re.MULTILINE)
            assert not set(allowed) & set("<>")
            assert not set(said) & set("\u202e\u2066\u200f\x00\x1b")
        if block["type"] == "actions" and "elements" in block:
            assert block["elements"]
    ids = [
        block["block_id"]
        for block in rendering.blocks
        if str(block.get("block_id")).startswith("tg-")
    ]
    assert len(ids) == len(set(ids))


def test_what_is_hidden_is_shown_nowhere() -> None:
    rendering = blocks.render(VIEWS["hidden_params"], INK)
    assert "hunter2" not in as_json(rendering)


def test_the_words_of_a_run_keep_the_message_of_the_line_apart() -> None:
    first, _, rest = blocks.render(VIEWS["hostile"], INK).blocks[0]["text"]["text"].partition("\n")
    assert first.startswith("❌ *")
    assert first.count("`") == 2
    assert first.count("*") - first.partition("`")[2].partition("`")[0].count("*") == 2
    assert rest.startswith("The service refused it. Nothing was done.\n")


if __name__ == "__main__":
    for old in GOLDEN.glob("*.json"):
        old.unlink()
    for name, view in VIEWS.items():
        (GOLDEN / f"{name}.json").write_text(as_json(blocks.render(view, INK)))


def test_the_simplest_blocks_tell_the_end_and_keep_a_messages_own_buttons() -> None:
    view = a_view(ended())
    rendering = blocks.render(view, INK)
    *original, told = blocks.simple(view, rendering)
    assert tuple(original) == view.blocks
    assert told["text"] == {"type": "plain_text", "text": rendering.text, "emoji": True}
    (alone,) = blocks.simple(a_view(ended(), own=False), rendering)
    assert alone == told


def test_the_simplest_blocks_keep_inside_slacks_limits() -> None:
    view = a_view(ended(), blocks=full(actions(button())))
    simple = blocks.simple(view, Rendering(text="x" * 3900, blocks=()))
    assert len(simple) == 50
    assert len(simple[-1]["text"]["text"]) == 3000
