"""Keys are rotated by writing their file anew."""

import json
import os
from pathlib import Path

import pytest

from tests.agent.app.stage import MovableClock, Notes
from tests.agent.entry.signer import Signer
from tidegate_agent.adapters.jwks import JwksFile
from tidegate_agent.errors import ConfigError, IdentityError


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


@pytest.mark.parametrize("content", ["{", "[]", '{"keys": []}', None])
def test_a_new_file_that_cannot_be_used_leaves_the_old_keys_and_is_told(
    tmp_path: Path, content: str | None
) -> None:
    path, notes, signer = tmp_path / "jwks.json", Notes(), Signer()
    _write(path, signer)
    keys = JwksFile(path, clock=Moved(), journal=notes)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    keys.find("k1")
    assert notes.names == ["keys_not_read"]


@pytest.mark.parametrize("content", ["{", "[]", '{"keys": []}', '{"keys": [{"kty": "RSA"}]}'])
def test_a_file_that_cannot_be_used_to_begin_with_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "jwks.json").write_text(content)
    with pytest.raises(ConfigError):
        JwksFile(tmp_path / "jwks.json", clock=Moved(), journal=Notes())
    with pytest.raises(ConfigError):
        JwksFile(tmp_path / "none.json", clock=Moved(), journal=Notes())
