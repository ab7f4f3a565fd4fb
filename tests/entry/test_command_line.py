"""`tidegate` as it is typed: help, exit codes, and what is said when something is missing."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.test_settings import SMALLEST
from tests.entry.commands import Said, python, tidegate
from tidegate import __version__
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.sqlite import SqliteStore
from tidegate.entry import cli

COMMANDS = (
    *("serve", "worker", "check", "runs", "audit", "send", "share", "identity", "init"),
    *("manifest", "dev"),
)
HEAVY = ("aiohttp", "pydantic", "slack_sdk", "botocore", "uvicorn", "starlette", "cryptography")
NO_EXTRA = """
import sys
from importlib.machinery import PathFinder

class Lacking:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "sse_starlette":
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Lacking
from tidegate.entry.cli import main
sys.exit(main(["dev", "--no-browser"]))
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder to work in, and nothing configured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("TIDEGATE_CONFIG", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "CI_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_help_names_every_command_and_shows_examples() -> None:
    said = python("-m", "tidegate", "--help")
    assert (said.code, said.err) == (0, "")
    for command in COMMANDS:
        assert f"\n    {command} " in said.out
    assert "examples:\n  tidegate dev" in said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    said = tidegate(command, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"usage: tidegate {command}" in said.out
    assert f"\n  tidegate {command}" in said.out.partition("example")[2]


def test_the_version_is_told() -> None:
    said = tidegate("--version")
    assert (said.code, said.out) == (0, f"tidegate {__version__}\n")


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_is_instant_because_nothing_heavy_is_imported(word: str) -> None:
    program = (
        "import sys\nfrom tidegate.entry.cli import main\n"
        f"try:\n    main([{word!r}])\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join(sorted(sys.modules)))"
    )
    loaded = set(python("-c", program).err.split())
    assert "tidegate.entry.cli" in loaded
    assert not loaded & set(HEAVY)


def test_no_command_is_wrong_usage_and_shows_the_help() -> None:
    said = tidegate()
    assert said.code == 2
    assert "commands:" in said.out + said.err


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "list", "\x1b[2J\u202e"],
        ["send", "ops", "x", "--thread", "\x1b[2J\nadmin: fine"],
        ["send", "ops", "x", "--\x1b]0;x\x07"],
        ["share", "a", "b", "c", "d", "\x9b1m\r"],
        ["check", "--config", "\x1b[2J.yaml"],
        ["runs", "--config", "\x1b[2J.yaml"],
    ],
)
def test_what_was_typed_is_not_given_back_to_the_terminal_as_it_was(words: list[str]) -> None:
    said = tidegate(*words)
    assert said.code == 2
    shown = said.err.replace("\n", "")
    assert shown.isprintable(), repr(said.err)


@pytest.mark.parametrize(
    "words",
    [
        ["swim"],
        ["--nonsense"],
        ["serve", "--nonsense"],
        ["runs", "resolve", "01JD", "maybe"],
        ["runs", "--limit"],
        ["audit", "--limit", "many"],
        ["identity"],
        ["identity", "card"],
        ["dev", "--nonsense"],
    ],
)
def test_what_is_not_understood_is_wrong_usage(words: list[str]) -> None:
    said = tidegate(*words)
    assert said.code == 2
    assert "usage: tidegate" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "words", [["serve"], ["worker"], ["check"], ["runs"], ["audit"], ["identity", "jwks"]]
)
def test_without_a_configuration_every_command_says_how_to_name_one(
    words: list[str],
) -> None:
    for more, name in (([], "tidegate.yaml"), (["--config", "other.yaml"], "other.yaml")):
        said = tidegate(*words, *more)
        assert (said.code, said.out) == (2, "")
        assert f"{name}: cannot be read: No such file or directory" in said.err
        assert "--config FILE" in said.err
        assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "words", [["serve"], ["worker"], ["runs"], ["audit"], ["identity", "jwks"]]
)
def test_all_problems_of_a_configuration_are_listed(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "tidegate.yaml"
    text = SMALLEST.replace("pathway: cluster", "pathway: clutser").replace("port: 3000", "prt: 1")
    file.write_text(text, "utf-8")
    said = tidegate(*words, "--config", str(file))
    assert said.code == 2
    lines = said.err.splitlines()
    assert [line.split(" — mend: ")[0].split(": ")[:2] for line in lines] == [
        ["line 6", "server.prt"],
        ["line 13", "actions.deploy.pathway"],
    ]
    assert all(" — mend: " in line for line in lines)


def test_all_missing_secrets_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.yaml"
    tokens = (
        "api: {tokens: [{name: ci, secret: {env: CI_TOKEN}}, {name: x, secret: {file: gone}}]}\n"
    )
    file.write_text(SMALLEST.replace("/var/lib/tidegate/", f"{tmp_path}/") + tokens, "utf-8")
    said = tidegate("serve", "--config", str(file))
    assert said.code == 2
    assert [line.partition(":")[0] for line in said.err.splitlines()] == [
        "slack.bot_token",
        "slack.signing_secrets[0]",
        "api.tokens[0].secret",
        "api.tokens[1].secret",
    ]
    assert "SLACK_SIGNING_SECRET" in said.err
    assert not (tmp_path / "tidegate.db").exists()


async def make_store(file: Path) -> None:
    await (await SqliteStore.open(str(file), clock=SystemClock())).close()


def test_the_configuration_is_named_before_or_after_the_command_or_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SMALLEST.replace("/var/lib/tidegate/", f"{tmp_path}/"), "utf-8")
    said = tidegate("runs", "--config", str(file))
    assert (said.code, said.out) == (1, "")
    assert f"there is no store at {tmp_path}/tidegate.db yet" in said.err
    assert not (tmp_path / "tidegate.db").exists(), "looking makes none"
    asyncio.run(make_store(tmp_path / "tidegate.db"))
    none = Said(code=0, out="No runs yet.\n", err="")
    assert tidegate("--config", str(file), "runs") == none
    assert tidegate("runs", "--config", str(file)) == none
    assert tidegate("runs", "list", "--config", str(file)) == none
    monkeypatch.setenv("TIDEGATE_CONFIG", str(file))
    assert tidegate("runs") == none
    file.rename("tidegate.yaml")
    monkeypatch.delenv("TIDEGATE_CONFIG")
    assert tidegate("runs") == none


def test_dev_without_its_extra_says_how_to_install_it() -> None:
    said = python("-c", NO_EXTRA)
    assert said.code == 2
    assert "pip install 'tidegate[dev]'" in said.err
    assert "Traceback" not in said.err


def test_a_command_whose_package_is_absent_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_selection: ())
    assert cli.main(["dev"]) == 2
    assert "tidegate dev needs an extra: pip install 'tidegate[dev]'" in capsys.readouterr().err


def test_whoever_stops_reading_is_no_error() -> None:
    reading = subprocess.run(
        f"{sys.executable} -m tidegate check --schema | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (reading.returncode, reading.stdout) == (0, "{")
    assert reading.stderr == ""


def test_a_store_that_cannot_be_opened_is_told_plainly(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.yaml"
    file.write_text(SMALLEST.replace("/var/lib/tidegate/", f"{tmp_path}/"), "utf-8")
    (tmp_path / "tidegate.db").write_bytes(b"this is not a database" * 99)
    said = tidegate("runs", "--config", str(file))
    assert said.code == 1
    assert "not a SQLite database" in said.err
    assert "Traceback" not in said.err
    (tmp_path / "tidegate.db").unlink()
    (tmp_path / "in-the-way").write_text("")
    file.write_text(SMALLEST.replace("/var/lib/tidegate/", f"{tmp_path}/in-the-way/"), "utf-8")
    said = tidegate("identity", "jwks", "--config", str(file))
    assert (said.code, said.err.partition(":")[0]) == (2, "store.url")
