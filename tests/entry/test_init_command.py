"""`tidegate init` as it is typed, and as it asks on a terminal."""

import contextlib
import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.entry.commands import Said, tidegate
from tidegate.adapters import folder

AWS = ("--pathway", "api_gateway", "--region", "eu-west-1", "--url", "https://t.example.com")
PLAIN = ("--pathway", "direct", "--url", "https://t.example.com")
FILES = [
    *("tidegate.yaml", "slack-manifest.json", "values.yaml", "first-message.json"),
    "NEXT.md",
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("TIDEGATE_CONFIG", raising=False)
    return tmp_path


def init(*words: str) -> Said:
    return tidegate("init", *words)


def written(where: Path) -> set[str]:
    return {str(file.relative_to(where)) for file in where.rglob("*") if file.is_file()}


# --- with flags -----------------------------------------------------------------------------


def test_the_files_are_written_and_what_comes_next_is_told(place: Path) -> None:
    said = init(*PLAIN)
    assert (said.code, said.err) == (0, "")
    assert written(place) == set(FILES)
    assert said.out.startswith("Written in .:\n  tidegate.yaml\n")
    assert "Note: Nobody may use it yet" in said.out
    assert (
        "Next, as NEXT.md says with every command:\n  1. Fill in what only you know\n" in said.out
    )
    checked = tidegate("check")
    assert checked.code == 0
    assert "tidegate.yaml is fine." in checked.out


def test_it_goes_into_another_folder_and_with_stacks(place: Path) -> None:
    said = init(*AWS, "--bucket", "acme-b", "--out", "a/setup", "--json")
    assert said.code == 0
    told = json.loads(said.out)
    assert (told["ok"], told["dry_run"], told["folder"]) == (True, False, "a/setup")
    assert {each["name"] for each in told["files"]} == written(place / "a/setup")
    assert "parameters/pathway-api-gateway.json" in written(place / "a/setup")
    assert not any("text" in each or each["replaces"] for each in told["files"])
    assert told["steps"][-1] == "See it work"


def test_a_dry_run_writes_nothing_and_tells_all(place: Path) -> None:
    said = init(*PLAIN, "--dry-run")
    assert said.code == 0
    assert said.out.startswith("Would write in .:\n")
    told = json.loads(init(*PLAIN, "--dry-run", "--json").out)
    assert told["dry_run"] is True
    assert written(place) == set()
    init(*PLAIN)
    texts = {each["name"]: each["text"] for each in told["files"]}
    assert texts == {name: (place / name).read_text("utf-8") for name in FILES}


def test_what_is_there_is_kept_unless_it_is_forced(place: Path) -> None:
    (place / "tidegate.yaml").write_text("mine", "utf-8")
    said = init(*PLAIN)
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "tidegate: there already, and not the same: tidegate.yaml. Nothing was written; "
        "name another folder with --out, or replace them with --force.\n"
    )
    assert written(place) == {"tidegate.yaml"}
    told = json.loads(init(*PLAIN, "--json").out)
    assert told["ok"] is False
    assert "something else is there: it would take --force" in init(*PLAIN, "--dry-run").out
    forced = init(*PLAIN, "--force")
    assert forced.code == 0
    assert "  tidegate.yaml (replaces what is there)\n" in forced.out
    assert (place / "tidegate.yaml").read_text("utf-8") != "mine"


def test_the_same_once_more_changes_nothing(place: Path) -> None:
    assert init(*PLAIN).code == 0
    assert init(*PLAIN).code == 0
    assert init(*PLAIN, "--namespace", "staging").code == 1


def test_a_folder_that_cannot_be_written_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "file").write_text("", "utf-8")
    said = init(*PLAIN, "--out", "file/setup")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("tidegate: file")
    assert "Not a directory" in said.err

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "write", full)
    said = init(*PLAIN)
    assert said.err == "tidegate: .: No space left on device.\n"


def test_a_folder_with_a_name_that_cannot_be_is_told_and_does_no_harm(place: Path) -> None:
    said = init(*PLAIN, "--out", "x" * 300)
    assert (said.code, said.out) == (1, "")
    assert "File name too long" in said.err
    told = init(*PLAIN, "--dry-run", "--json", "--out", "\udcff\x9b31m")
    assert (told.code, told.out.isascii()) == (0, True)
    assert json.loads(told.out)["folder"] == "\udcff\x9b31m"


def test_each_flag_has_its_effect(place: Path) -> None:
    said = init(
        *("--pathway", "direct", "--gateway", "ecs", "--region", "eu-west-1", "--name", "gate"),
        *("--socket-mode", "--namespace", "staging", "--namespace", "prod", "--cluster", "c1"),
        *("--bucket", "acme-b", "--user", "U0ADA", "--team", "T0ACME", "--user-group", "S0DEVS"),
        *("--channel", "C0OPS", "--registry", "r.example.com/x", "--vpc", "vpc-01234567"),
        *("--subnet", "subnet-01234567", "--parameter", "network.RouteTableIds=rtb-01234567"),
    )
    assert said.code == 0
    texts = {name: (place / name).read_text("utf-8") for name in written(place)}
    assert "match: {command: [/gate-status]}" in texts["tidegate.yaml"]
    assert "enum: [staging, prod], default: staging" in texts["tidegate.yaml"]
    assert (
        "allow: {user_groups: [S0DEVS], users: [U0ADA], channels: [C0OPS]}"
        in (texts["tidegate.yaml"])
    )
    assert "name: acme-b" in texts["tidegate.yaml"]
    assert "app_token: {secretsmanager: gate/slack" in texts["tidegate.yaml"]
    assert "r.example.com/x/tidegate-agent" in texts["values.yaml"]
    assert "slack:T0ACME:U0ADA" in texts["values.yaml"]
    assert "--name c1 --region eu-west-1" in texts["NEXT.md"]
    assert '"vpc-01234567"' in texts["parameters/network.json"]
    assert '"subnet-01234567"' in texts["parameters/network.json"]
    assert '"rtb-01234567"' in texts["parameters/network.json"]
    assert '"socket_mode_enabled": true' in texts["slack-manifest.json"]


# --- wrong usage ----------------------------------------------------------------------------


def test_without_a_terminal_what_is_missing_is_named(place: Path) -> None:
    said = init()
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "--pathway: it is missing — mend: write --pathway api_gateway, direct or privatelink\n"
        "--url: it is missing — mend: write --url https://… with the gateway's public address, "
        "or --socket-mode\n"
    )
    said = init("--pathway", "privatelink", "--socket-mode", "--json")
    assert said.err == "--region: it is missing — mend: write --region eu-west-1, or yours\n"
    assert written(place) == set()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((*PLAIN, "--name", "Gate"), "--name: this is not one — mend: write 2 to 20 lower-case"),
        ((*PLAIN, "--url", "http://t.example.com"), "--url: plain http only on loopback"),
        ((*PLAIN, "--socket-mode"), "--url: with Socket Mode Slack calls nowhere"),
        ((*PLAIN, "--user", "@ada"), "--user: '@ada' is not one — mend: write a member's id"),
        ((*AWS, "--gateway", "cluster"), "--gateway: a gateway in the cluster needs no"),
        ((*PLAIN, "--bucket", "acme-b"), "--region: it is missing"),
        ((*AWS, "--parameter", "iam.X=1"), "--parameter: no template of this pathway leaves iam.X"),
        ((*AWS, "--parameter", "ServerName"), "--parameter: ServerName has no such value"),
        ((*PLAIN, "--cluster", "\x1b[2J"), "--cluster: this is not one"),
    ],
)
def test_a_flag_that_cannot_be_is_told_plainly(
    place: Path, words: tuple[str, ...], expected: str
) -> None:
    said = init(*words)
    assert said.code == 2
    assert expected in said.err
    assert "\x1b" not in said.err
    assert written(place) == set()


def test_a_pathway_that_there_is_not_is_refused() -> None:
    said = init("--pathway", "vpn")
    assert said.code == 2
    assert "choose from" in said.err


# --- on a terminal --------------------------------------------------------------------------


#: The terminal is made the process's own, so that Ctrl-C on it is a signal; what starts the tests
#: may have had it ignored.
PROGRAM = """
import fcntl, signal, sys, termios
signal.signal(signal.SIGINT, signal.default_int_handler)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from tidegate.entry.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Terminal:
    """`tidegate init` with a person before it."""

    def __init__(self, *words: str) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "init", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def sees(self, text: str) -> str:
        """Wait until *text* is on the screen; return what is there since the last time."""
        while text not in self.seen:
            ready, _, _ = select.select([self._master], [], [], 20)
            assert ready, f"{text!r} did not come; there was {self.seen!r}"
            try:
                self.seen += os.read(self._master, 4096).decode().replace("\r", "")
            except OSError:  # the other side is closed
                raise AssertionError(self.seen) from None
        before, _, self.seen = self.seen.partition(text)
        return before

    def types(self, text: str) -> None:
        os.write(self._master, text.encode())

    def ends(self) -> int:
        return self._process.wait(20)

    def ends_by(self, key: str) -> int:
        """Press a key until it ends: a signal just before a read begins is only noted after it."""
        for _ in range(40):
            self.types(key)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(0.5)
        raise AssertionError(self.seen)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    found = Terminal(*getattr(request, "param", ()))
    yield found
    found.close()


def test_on_a_terminal_it_asks_and_asks_again_for_what_cannot_be(
    place: Path, terminal: Terminal
) -> None:
    for question, answer in (
        ("Pathway [direct]: ", "carrier pigeon\n"),
        ("write api_gateway or direct or privatelink.\n", ""),
        ("Pathway [direct]: ", "direct\n"),
        ("cluster or ecs [cluster]: ", "ecs\n"),
        ("A bucket to share files from, if any: ", "\n"),
        ("AWS region: ", "\n"),
        ("It has to be known; write an AWS region, such as eu-west-1.\n", ""),
        ("AWS region: ", "eu-west-1\n"),
        ("The EKS cluster's name, if it is one: ", "prod\n"),
        ("acted on [default]: ", "staging production\n"),
        ("(none: Socket Mode): ", "http://t.example.com\n"),
        ("plain http only on loopback", ""),
        ("(none: Socket Mode): ", "https://t.example.com\n"),
        ("user groups that may use it, by id (S…), if any: ", "devs\n"),
        ("That is not one: write a user group's id", ""),
        ("user groups that may use it, by id (S…), if any: ", "S0DEVS S0OPS\n"),
        ("members who may use it, by id (U…), if any: ", "U0ADA\n"),
        ("The Slack workspace's id (T…): ", "T0ACME\n"),
        ("none: in all: ", "\n"),
        ("Written in .:\n", ""),
        ("See it work\n", ""),
    ):
        terminal.sees(question)
        terminal.types(answer)
    assert terminal.ends() == 0
    text = (place / "tidegate.yaml").read_text("utf-8")
    assert "allow: {user_groups: [S0DEVS, S0OPS], users: [U0ADA]}" in text
    assert "enum: [staging, production]" in text
    assert (place / "parameters/load-balancer.json").is_file()


@pytest.mark.parametrize("terminal", [("--namespace", "staging", "--user", "U0A")], indirect=True)
def test_what_a_flag_said_is_not_asked_and_enter_takes_what_is_offered(
    place: Path, terminal: Terminal
) -> None:
    for question in (
        "Pathway [direct]: ",
        "cluster or ecs [cluster]: ",
        "if any: ",
        "if it is one: ",
    ):
        terminal.sees(question)
        terminal.types("\n")
    terminal.sees("(none: Socket Mode): ")
    assert "Namespaces" not in terminal.seen
    terminal.types("\n")
    terminal.sees("by id (S…), if any: ")
    terminal.types("\n")
    terminal.sees("The Slack workspace's id (T…): ")
    terminal.types("T0A\n")
    terminal.sees("none: in all: ")
    terminal.types("\n")
    terminal.sees("Written in .:\n")
    assert terminal.ends() == 0
    assert "app_token" in (place / "tidegate.yaml").read_text("utf-8")


def test_enter_alone_makes_a_set_up_in_which_nobody_is_named(
    place: Path, terminal: Terminal
) -> None:
    asked = ""
    for question in (
        *("[direct]: ", "[cluster]: ", "if any: ", "it is one: ", "[default]: "),
        *("(none: Socket Mode): ", "(S…), if any: ", "(U…), if any: ", "none: in all: "),
    ):
        asked += terminal.sees(question)
        terminal.types("\n")
    assert "region" not in asked
    assert "workspace's id" not in asked
    terminal.sees("Nobody may use it yet")
    assert terminal.ends() == 0
    assert written(place) == set(FILES)


@pytest.mark.parametrize(("typed", "code"), [("\x03", 130), ("\x04", 2)])
def test_whoever_has_enough_ends_it_with_nothing_done(
    place: Path, terminal: Terminal, typed: str, code: int
) -> None:
    terminal.sees("Pathway [direct]: ")
    assert terminal.ends_by(typed) == code
    assert written(place) == set()


@pytest.mark.parametrize("terminal", [PLAIN], indirect=True)
def test_when_all_was_said_nothing_is_asked(place: Path, terminal: Terminal) -> None:
    terminal.sees("Written in .:\n")
    assert terminal.ends() == 0
    assert written(place) == set(FILES)
