"""cfn-lint holds the templates to AWS's own schemas; a warning is an error."""

import json
import subprocess
from typing import Final

from tests.deploy.cloudformation.templates import FOLDER, ROOT

LINT: Final = ROOT / ".venv-emulators/bin/cfn-lint"


def lint(*arguments: str) -> list[dict[str, object]]:
    """Return what cfn-lint finds, errors and warnings."""
    assert LINT.exists(), "cfn-lint is missing: run 'make setup'"
    ended = subprocess.run(
        [LINT, "--format", "json", "--", *arguments],
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert ended.stdout, ended.stderr
    found: list[dict[str, object]] = json.loads(ended.stdout)
    return found


def test_cfn_lint_finds_nothing() -> None:
    found = lint(*map(str, sorted(FOLDER.glob("*.yaml"))))
    assert found == []


def test_nothing_is_hidden_from_cfn_lint() -> None:
    for path in FOLDER.glob("*.yaml"):
        assert "cfn-lint" not in path.read_text(), path
