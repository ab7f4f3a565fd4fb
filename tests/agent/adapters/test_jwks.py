"""Keys are rotated by writing their file anew."""

import contextlib
import json
import os
from pathlib import Path

import pytest

from tests.agent.app.stage import MovableClock, Notes
from tests.agent.entry.signer import Signer
from tidegate_agent.adapters.jwks import JwksFile, read_keys
from tidegate_agent.errors import ConfigError, IdentityError, UnavailableError


class Moved(MovableClock):
    """A clock that each look moves far enough."""

    def monotonic(self) -> float:  # type: ignore[explicit-override]
        self.ahead += 10
        return self.ahead


def _write(path: Path, *signers: Signer) -> None:
    keys = [key for signer in signers for key in signer.jwks()["keys"]]
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"keys": keys}))
    os.replace(draft, path)  # noqa: PTH105 - as the kubelet does


def test_a_file_that_is_written_anew_counts_from_then_on(tmp_path: Path) -> None:
    path, notes = tmp_path / "jwks.json", Notes()
    old, new = Signer(kid="old"), Signer(kid="new")
    _write(path, old)
    keys = JwksFile(path, clock=Moved(), journal=notes)
    keys.find("old")
    with pytest.raises(IdentityError):
        keys.find("new")
    _write(path, old, new)
    keys.find("old")
    keys.find("new")
    _write(path, new)
    with pytest.raises(IdentityError):
        keys.find("old")
    assert notes.names == ["keys_read", "keys_read"]


RSA = {"kty": "RSA", "kid": "r", "n": "x", "e": "AQAB"}
NO_SETS = ["{", "[]", '{"keys": {}}', '{"keys": ["text"]}', None]


def _overwrite(path: Path, content: str | None) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_text(content)


@pytest.mark.parametrize("content", NO_SETS)
def test_a_new_file_that_cannot_be_used_leaves_the_old_keys_for_some_minutes_and_is_told(
    tmp_path: Path, content: str | None
) -> None:
    path, notes, told = tmp_path / "jwks.json", Notes(), list[bool]()
    _write(path, Signer())
    keys = JwksFile(path, clock=Moved(), journal=notes, usable=told.append)
    _overwrite(path, content)
    keys.find("k1")
    assert (notes.names, told) == (["keys_not_read"], [False])
    for _ in range(20):  # each look is ten seconds later
        keys.find("k1")
    with contextlib.suppress(UnavailableError):
        for _ in range(20):
            keys.find("k1")
    with pytest.raises(UnavailableError):
        keys.find("k1")
    assert notes.names == ["keys_not_read", "keys_given_up"]
    assert not any(told)


@pytest.mark.parametrize("content", NO_SETS)
def test_a_file_that_can_be_used_again_counts_again(tmp_path: Path, content: str | None) -> None:
    path, notes, told = tmp_path / "jwks.json", Notes(), list[bool]()
    _write(path, Signer())
    keys = JwksFile(path, clock=Moved(), journal=notes, usable=told.append)
    _overwrite(path, content)
    keys.find("k1")
    _write(path, Signer(kid="new"))
    keys.find("new")
    with pytest.raises(IdentityError):
        keys.find("k1")
    assert told == [False, True]


@pytest.mark.parametrize("listed", [[], [RSA], [*Signer(kid="new").jwks()["keys"], RSA]])
def test_a_key_that_is_taken_out_counts_no_more_whatever_is_left(
    tmp_path: Path, listed: list[object]
) -> None:
    path, notes = tmp_path / "jwks.json", Notes()
    _write(path, Signer())
    keys = JwksFile(path, clock=Moved(), journal=notes)
    path.write_text(json.dumps({"keys": listed}))
    with pytest.raises(IdentityError, match="does not prove") as refused:
        keys.find("k1")
    assert (refused.value.reason, notes.names) == ("unknown_key", ["keys_read"])


def test_keys_of_another_type_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [RSA, *Signer().jwks()["keys"]]}))
    assert read_keys(path).find("k1")


@pytest.mark.parametrize("content", ["{", "[]", '{"keys": []}', '{"keys": [{"kty": "RSA"}]}'])
def test_a_file_that_cannot_be_used_to_begin_with_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "jwks.json").write_text(content)
    with pytest.raises(ConfigError):
        JwksFile(tmp_path / "jwks.json", clock=Moved(), journal=Notes())
    with pytest.raises(ConfigError):
        JwksFile(tmp_path / "none.json", clock=Moved(), journal=Notes())
