"""With the rights that its configuration needs a gateway does all; with one less it does not."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from tests.app.sharer import PDF
from tests.app.test_share_clicks import Gate, gate
from tests.dev.pictures import png
from tidegate.core.configuration import parse
from tidegate.core.scopes import needed_scopes


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Gate]:
    async with gate(tmp_path) as found:
        found.put("q3.pdf", PDF)
        found.put("tide.png", png(40, 30))
        yield found


def required(here: Gate) -> set[str]:
    text = json.dumps(here.stand.gateway.config)
    return {need.scope for need in needed_scopes(parse(text, source="t")) if need.required}


def grant(here: Gate, scopes: set[str]) -> None:
    here.stand.slack.workspace.scopes = set(scopes)


def lacked(here: Gate, since: int = 0) -> list[str]:
    """Return the scopes that calls were refused for."""
    calls = here.stand.slack.calls[since:]
    return [str(call.answer["needed"]) for call in calls if call.error == "missing_scope"]


async def test_what_is_required_suffices_for_all_that_is_configured(here: Gate) -> None:
    scopes = required(here)
    assert scopes == {
        *("channels:read", "groups:read", "users:read", "chat:write"),
        *("files:read", "files:write"),
    }
    grant(here, scopes)
    ts = here.stand.message()
    await here.stand.click(ts)
    await here.stand.told(ts, "done")
    for mode, key in (("upload", "q3.pdf"), ("link", "q3.pdf"), ("image", "tide.png")):
        await here.told(await here.press(mode, key), "done")
    assert lacked(here) == []


def _any(refused: Callable[[], list[str]]) -> bool:
    return bool(refused())


#: Each right, and what shows that it is needed.
LESS: list[tuple[str, set[str]]] = [
    ("link", {"users:read"}),
    # To look at one channel either will do here; Slack wants that of the channel's kind.
    ("link", {"channels:read", "groups:read"}),
    ("upload", {"files:write"}),
    ("upload", {"files:read"}),
    ("link", {"chat:write"}),
]


async def test_with_one_less_a_call_is_refused(here: Gate) -> None:
    assert set().union(*(without for _, without in LESS)) == required(here)
    for mode, without in LESS:
        grant(here, required(here) - without)
        since = len(here.stand.slack.calls)
        await here.press(mode, "q3.pdf")
        refused = partial(lacked, here, since)
        await here.stand.slack.wait_for(partial(_any, refused), seconds=15)
        assert set(refused()) <= without
