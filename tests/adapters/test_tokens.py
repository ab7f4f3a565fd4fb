"""Tokens in files, and whom they are made out to."""

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.adapters.pathways.tokens import TokenFile, is_meant_for
from tidegate.errors import TokenError


def jwt(claims: Any) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJSUzI1NiJ9.{middle}.c2ln"


@pytest.mark.parametrize(
    ("claims", "meant"),
    [
        ({"aud": "agent"}, True),
        ({"aud": ["other", "agent"]}, True),
        ({"aud": "agents"}, False),
        ({"aud": ["other"]}, False),
        ({"aud": []}, False),
        ({"aud": None}, False),
        ({}, False),
        (["agent"], False),
        ("agent", False),
    ],
)
async def test_a_token_for_somebody_else_is_not_shown(
    claims: Any, meant: bool, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(jwt(claims))
    tokens = TokenFile(file, audience="agent")
    if meant:
        assert await tokens.current() == jwt(claims)
    else:
        with pytest.raises(TokenError, match="another audience"):
            await tokens.current()
    # Where no audience is named, whom it is for is the service's to say.
    assert await TokenFile(file).current() == jwt(claims)
    await tokens.close()


@pytest.mark.parametrize("token", ["opaque", "a.b", "a.!!!.c", "a.bm90IGpzb24.c", ".."])
def test_what_is_no_token_with_claims_is_for_nobody(token: str) -> None:
    assert not is_meant_for(token, "agent")


@given(st.text(max_size=60))
def test_any_text_is_judged(token: str) -> None:
    assert is_meant_for(token, "agent") in (True, False)


async def test_the_error_tells_nothing_of_the_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(jwt({"aud": "somebody", "sub": "secret-name"}))
    with pytest.raises(TokenError) as refused:
        await TokenFile(file, audience="agent").current()
    assert jwt({}).split(".")[0] not in str(refused.value)
    assert "somebody" not in str(refused.value)


async def test_a_pipe_holds_no_token_and_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")
    with pytest.raises(TokenError):
        await asyncio.wait_for(TokenFile(tmp_path / "token").current(), 5)
