"""`POST /api/v1/shares`: what is refused, by one gateway that shares nothing all the while."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.app.sharer import PDF
from tests.app.test_share_api import ORDER, ask
from tests.app.test_share_clicks import CHANNEL, Gate, gate

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def refusing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with gate(tmp_path_factory.mktemp("gate")) as found:
        yield found


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({**ORDER, "channel": "C0OPS"}, 403, "channel_not_allowed"),
        ({**ORDER, "bucket": "acme-reports"}, 403, "bucket_not_allowed"),
        ({**ORDER, "mode": "image"}, 403, "mode_not_allowed"),
        ({**ORDER, "key": "gone.pdf"}, 422, "not_found"),
        ({**ORDER, "key": "../a.pdf"}, 422, "key_not_allowed"),
        ({**ORDER, "key": "elf.pdf"}, 422, "executable"),
        ({**ORDER, "channel": "nowhere"}, 403, "channel_not_allowed"),
        ({**ORDER, "colour": "red"}, 400, "bad_request"),
        ({**ORDER, "mode": "fax"}, 400, "bad_request"),
        ({**ORDER, "expires": "never"}, 400, "bad_request"),
        ({**ORDER, "thread": "1\n2"}, 400, "bad_request"),
        ({**ORDER, "thread": "1." + "0" * 5000}, 400, "bad_request"),
        ({**ORDER, "key": "k" * 1025}, 400, "bad_request"),
        ({**ORDER, "key": "", "keys": ["a.pdf"] * 101}, 400, "bad_request"),
        ({"bucket": "reports", "channel": CHANNEL}, 400, "bad_request"),
        ([], 400, "bad_request"),
        (b"\xff{", 400, "bad_request"),
        (b'{"a":' * 5000, 400, "bad_request"),
    ],
)
async def test_what_may_not_be_or_cannot_be_is_refused_in_words(
    refusing: Gate, body: Any, status: int, code: str
) -> None:
    refusing.put("a.pdf", PDF)
    refusing.put("elf.pdf", b"\x7fELF" + bytes(50))
    found, answer = await ask(refusing, body)
    assert (found, answer["error"]["code"]) == (status, code)
    assert answer["error"]["message"].strip()
    assert refusing.shared() == []
