"""`tidegate check` as a person or a machine runs it."""

import argparse
import json
from pathlib import Path

import pytest

from tests.core.test_settings import EVERYTHING, SMALLEST
from tidegate.core.schema import json_schema
from tidegate.entry import check_command

ENVIRON = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s3cret"}

POSTGRES = "postgresql://db.internal/tidegate"


def check(*words: str, environ: dict[str, str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tidegate")
    check_command.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["check", *words])
    return check_command.run(args, ENVIRON if environ is None else environ)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tidegate.yaml"
    path.write_text(SMALLEST, "utf-8")
    return path


def test_a_good_file_is_told_in_short(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--config", str(file)) == 0
    said = capsys.readouterr().out
    assert f"{file} is fine." in said
    assert "cluster: direct to http://127.0.0.1:9002" in said
    assert "deploy: action_id k8s_deploy → POST /api/v1/deploy over cluster" in said
    assert "may use it: users U0HELDOUT, in C0HELDOUT" in said


def test_what_is_shared_by_itself_is_told_in_short(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(EVERYTHING.replace(POSTGRES, "sqlite:///t.db"), "utf-8")
    assert check("--config", str(file)) == 0
    said = capsys.readouterr().out
    assert "told by https://sqs.eu-west-1.amazonaws.com/123456789012/arrivals\n" in said
    assert "some: bucket/*.pdf → link in C1" in said
    assert "cannot be followed goes to https://sqs.eu-west-1.amazonaws.com/" in said
    again = EVERYTHING.replace(POSTGRES, "sqlite:///t.db").replace("    dead_letter_url", "    #")
    file.write_text(again, "utf-8")
    assert check("--config", str(file)) == 0
    assert "is left to the queue's own redrive policy" in capsys.readouterr().out


def test_every_problem_is_printed_with_place_and_mend(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SMALLEST.replace("pathway: cluster", "pathway: clutser").replace("port: 3000", "prt: 1")
    file.write_text(text, "utf-8")
    assert check("--config", str(file)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{file}:6: server.prt: there is no such key — mend: did you mean ")
    assert lines[1] == (
        f"{file}:13: actions.deploy.pathway: there is no pathway named 'clutser'"
        " — mend: did you mean cluster?"
    )
    assert lines[-1] == f"2 problems in {file}"


def test_a_problem_without_a_line_is_printed_too(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("", "utf-8")
    assert check("--config", str(file)) == 1
    assert capsys.readouterr().out.startswith(f"{file}: slack: slack is missing — mend: add ")


@pytest.mark.parametrize(("value", "state"), [(None, "not set"), ("", "empty"), ("  ", "empty")])
def test_a_secret_that_is_not_in_the_environment_here_is_a_warning(
    file: Path, capsys: pytest.CaptureFixture[str], value: str | None, state: str
) -> None:
    environ = {"SLACK_BOT_TOKEN": "x"} | ({} if value is None else {"SLACK_SIGNING_SECRET": value})
    assert check("--config", str(file), environ=environ) == 0
    said = capsys.readouterr().out
    place = ":5: warning: slack.signing_secrets[0]"
    assert f"{place}: the environment variable SLACK_SIGNING_SECRET is {state}" in said


def test_missing_secrets_are_told_beside_other_problems(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(SMALLEST + "nonsense: 1\n", "utf-8")
    assert check("--config", str(file), environ={}) == 1
    said = capsys.readouterr().out
    assert "1 problem in" in said
    assert said.count("warning: slack.") == 2


def test_what_stands_in_place_of_a_variables_name_is_not_repeated(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    literal = "8f742231b10e8888abcd99yyyzzz85a5"
    file.write_text(SMALLEST.replace("SLACK_SIGNING_SECRET", f"a{literal}"), "utf-8")
    check("--config", str(file))
    assert literal not in capsys.readouterr().out
    file.write_text(SMALLEST.replace("SLACK_SIGNING_SECRET", literal), "utf-8")
    assert check("--config", str(file), "--json") == 1
    assert literal not in capsys.readouterr().out


def test_secret_files_are_looked_at(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SMALLEST.replace("{env: SLACK_BOT_TOKEN}", "{file: token}")
    file.write_text(text, "utf-8")
    assert check("--config", str(file)) == 0
    assert "warning: slack.bot_token: the file cannot be read here" in capsys.readouterr().out
    token = file.with_name("token")
    token.write_text("xoxb-1", "utf-8")
    token.chmod(0o644)
    assert check("--config", str(file)) == 0
    assert "everyone on this machine may read token" in capsys.readouterr().out
    token.chmod(0o600)
    assert check("--config", str(file)) == 0
    assert "warning" not in capsys.readouterr().out


def test_files_that_are_not_there_are_warnings(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(EVERYTHING.replace(POSTGRES, "sqlite:///t.db"), "utf-8")
    environ = {"A": "1", "KEY": "1", "T": "1"}
    assert check("--config", str(file), "--json", environ=environ) == 0
    warned = {warning["key"] for warning in json.loads(capsys.readouterr().out)["warnings"]}
    assert {
        "server.tls.cert",
        "server.tls.key",
        "pathways.near.ca_file",
        "pathways.near.client_cert",
        "pathways.near.auth.path",
        "slack.bot_token",
    } <= warned


def test_what_this_version_cannot_start_with_is_a_problem(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(SMALLEST.replace("sqlite:////var/lib/tidegate/tidegate.db", POSTGRES), "utf-8")
    assert check("--config", str(file), "--json") == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [problem["key"] for problem in problems] == ["identity.signing_key"]


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("sqlite:///t.db", "store.password"),
        (f"{POSTGRES}?sslmode=require", "store.url"),
        ("postgresql://127.0.0.1:5432,db.internal/tidegate?sslmode=prefer", "store.url"),
        ("postgresql://127.0.0.1/tidegate?sslmode=disable", None),
        (POSTGRES, None),
    ],
)
def test_a_database_that_anyone_could_pose_as_is_warned_of(
    file: Path, capsys: pytest.CaptureFixture[str], url: str, key: str | None
) -> None:
    text = EVERYTHING.replace(f'"{POSTGRES}"', f'"{url}", password: {{env: T}}')
    file.write_text(text, "utf-8")
    environ = {"A": "1", "KEY": "1", "T": "1"}
    assert check("--config", str(file), "--json", environ=environ) == 0
    warned = {warning["key"] for warning in json.loads(capsys.readouterr().out)["warnings"]}
    assert {each for each in warned if each.startswith("store.")} == ({key} if key else set())


def test_a_file_that_says_everything_is_told(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(EVERYTHING.replace(POSTGRES, "sqlite:///t.db"), "utf-8")
    assert check("--config", str(file), environ={"A": "1", "KEY": "1", "T": "1"}) == 0
    said = capsys.readouterr().out
    assert "signed with SigV4 for vpc-lattice-svcs in eu-west-1" in said
    assert "with a token from a file" in said
    assert 'may use it: every member, with name "web" (guests too)' in said
    assert "        or: user groups S1, in C1, G1, D1 (external too)" in said
    assert "modal: view * → PUT /v1 over edge\n    may use it: nobody" in said
    assert "share: action_id s3_share_link → a share" in said


def test_json_is_one_object(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--config", str(file), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["problems"], said["warnings"]) == (True, [], [])
    assert said["summary"]["actions"]["deploy"]["allow"] == ["users U0HELDOUT, in C0HELDOUT"]
    file.write_text("a: 1\n", "utf-8")
    assert check("--config", str(file), "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["summary"]) == (False, None)
    assert {"line", "column", "key", "what", "mend"} == set(said["problems"][0])


def test_the_schema_is_printed_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--schema") == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


@pytest.mark.parametrize("content", [None, b"\xff\xfe", "folder"])
def test_a_file_that_cannot_be_read_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | str | None
) -> None:
    path = tmp_path / "x.yaml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    assert check("--config", str(path)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "cannot be read" in said.err
    assert "--config" in said.err


def test_the_file_is_found_by_environment_or_in_the_folder(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(file.parent)
    assert check() == 0
    assert "tidegate.yaml is fine." in capsys.readouterr().out
    other = file.with_name("other.yaml")
    other.write_text(SMALLEST, "utf-8")
    assert check(environ={**ENVIRON, "TIDEGATE_CONFIG": str(other)}) == 0
    assert "other.yaml is fine." in capsys.readouterr().out


def test_the_environment_of_the_process_is_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    args = argparse.Namespace(config=str(file), json=False, schema=False)
    assert check_command.run(args) == 0
    assert "is not set" not in capsys.readouterr().out
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    assert check_command.run(args) == 0
    assert "SLACK_BOT_TOKEN is not set" in capsys.readouterr().out


def test_a_byte_order_mark_is_passed_over(file: Path) -> None:
    file.write_text(SMALLEST, "utf-8-sig")
    assert check("--config", str(file)) == 0


def test_a_file_that_is_too_large_is_a_problem(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("#" + "\N{EURO SIGN}" * 1_000_000, "utf-8")
    assert check("--config", str(file)) == 1
    assert "too large" in capsys.readouterr().out
