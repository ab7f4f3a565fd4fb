"""`tidegate check --live`: each thing that can be wrong is named, and nothing else."""

import argparse
import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typing_extensions import override

from tests.entry.doctor.faults import FAULTS, Fault, direct
from tests.far_ends.live import Live, black_hole, live
from tests.ports import free_port
from tests.service import Service, says
from tidegate.adapters.sqlite import look as sqlite_look
from tidegate.core.diagnosis.finding import Check, Diagnosis, State, as_json, as_lines
from tidegate.entry import check_command
from tidegate.entry.doctor.bench import MASK, Hidden
from tidegate.entry.doctor.report import Found, Ticker

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    async with live(tmp_path_factory.mktemp("live")) as found:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in found.environ.items():
                patch.setenv(name, value)
            yield found


def said(found: Diagnosis) -> str:
    return json.dumps(as_json(found), ensure_ascii=False) + "\n".join(as_lines(found))


def is_silent(found: Diagnosis, whole: Live) -> bool:
    """Whether nothing secret is in it: neither what was planted, nor what was made of it."""
    text = said(found)
    made = ("X-Amz-Signature", "X-Amz-Security-Token", "AWS4-HMAC", "eyJ")
    return not any(secret in text for secret in (*whole.planted, *made))


# --- what is found -------------------------------------------------------------------------


async def test_nothing_is_said_of_a_set_up_that_is_well(whole: Live) -> None:
    found = await whole.diagnose()
    assert [finding.code for finding in found.findings] == []
    assert {check.state for check in found.checks} == {State.OK}
    assert found.ok
    assert is_silent(found, whole)


@pytest.mark.parametrize(
    ("fault", "narrow"), [pytest.param(*each, id=each[0].name) for each in FAULTS]
)
async def test_what_is_wrong_is_named_and_nothing_else(
    whole: Live,
    fault: Fault,
    narrow: Callable[[dict[str, Any]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sqlite_look, "LOCK_SECONDS", 0.05)
    environ = dict(whole.environ)
    for name, value in fault.environ.items():
        if value is None:
            environ.pop(name, None)
            monkeypatch.delenv(name, raising=False)
        else:
            environ[name] = value
            monkeypatch.setenv(name, value)
    config = whole.config()
    narrow(config)
    async with fault.during(whole, config):
        found = await whole.diagnose_as(config, environ=environ, ahead=fault.ahead)
    assert {finding.code for finding in found.findings} == fault.codes
    assert found.ok == (not any(finding.grave for finding in found.findings))
    assert is_silent(found, whole)
    # Whatever is wrong, looking at it does nothing.
    assert set(whole.effects().values()) == {0}
    assert whole.agent.effects() == []


async def test_what_needs_something_that_is_not_there_is_not_tried(whole: Live) -> None:
    config = whole.config()
    direct(config, f"http://127.0.0.1:{free_port()}")
    found = await whole.diagnose_as(config)
    checks = {"/".join(check.path): check for check in found.checks}
    assert checks["pathways/cluster/tcp"].state is State.WRONG
    for name in ("clock", "answer", "agent"):
        check = checks[f"pathways/cluster/{name}"]
        assert check.state is State.SKIPPED
        assert check.said == "not tried because of pathways/cluster/tcp: tcp.refused"


async def test_a_service_of_ones_own_need_not_speak_like_the_agent(whole: Live) -> None:
    other = Service(answer=says(404, {"detail": "Not Found"}))
    await other.start()
    config = whole.config()
    del config["s3"]
    direct(config, other.url)
    found = await whole.diagnose_as(config)
    await other.stop()
    assert found.findings == ()
    said = {check.path[-1]: check.said for check in found.checks if check.path[0] == "pathways"}
    assert said["answer"] == "404: it is reached, and nothing more is known of it"
    assert said["agent"].startswith("another service than Tidegate's agent answers")
    assert [seen.method for seen in other.seen] == ["GET"]


async def test_a_right_that_only_the_check_needs_is_no_finding(whole: Live) -> None:
    whole.queues.refusal = "AccessDenied"
    found = await whole.diagnose()
    whole.queues.refusal = ""
    assert found.findings == ()
    untold = [check.path[0] for check in found.checks if check.state is State.UNTOLD]
    assert untold == ["queue", "queue"]


async def test_before_the_first_start_the_key_is_not_missed_and_not_made(whole: Live) -> None:
    config = whole.config()
    del config["identity"], config["s3"]
    found = await whole.diagnose_as(config)
    assert found.findings == ()
    untold = ["/".join(check.path) for check in found.checks if check.state is State.UNTOLD]
    assert untold == ["identity", "pathways/cluster/agent"]
    assert not list(whole.folder.glob("tidegate.db*"))


async def test_it_ends_in_time_where_everything_is_silent(whole: Live) -> None:
    async with black_hole() as place:
        config = whole.config()
        url = f"http://{place}"
        config["slack"]["api_url"] = f"{url}/api/"
        config["pathways"]["cluster"]["url"] = url
        config["s3"]["endpoint_url"] = url
        config["s3"]["events"]["queue_url"] = f"{url}/123456789012/arrivals"
        config["s3"]["events"]["dead_letter_url"] = f"{url}/123456789012/arrivals-dead"
        config["s3"]["buckets"]["reports"]["scan"]["clamd"] = place
        began = time.monotonic()
        found = await whole.diagnose_as(config, within=0.7)
        assert time.monotonic() - began < 5
    silent = {
        "/".join(check.path)
        for check in found.checks
        if any(finding.code == "doctor.no_end" for finding in check.findings)
    }
    assert {"slack/token", "pathways/cluster/answer", "s3/reports/bucket"} <= silent
    assert not found.ok


async def test_what_could_not_be_begun_in_time_is_not_called_wrong(whole: Live) -> None:
    found = await whole.diagnose_as(whole.config(), within=0.0)
    late = [check for check in found.checks if check.path[0] != "secrets"]
    assert {check.state for check in late} == {State.SKIPPED}
    assert found.findings == ()


# --- the command ---------------------------------------------------------------------------


async def check(file: Path, *words: str, environ: Mapping[str, str]) -> int:
    """Run the command as a process of its own would: in a thread with a loop of its own."""
    parser = argparse.ArgumentParser(prog="tidegate")
    check_command.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["check", "--live", "--config", str(file), *words])
    return await asyncio.to_thread(check_command.run, args, environ)


async def test_a_set_up_that_is_well_is_told_as_a_tree_and_ends_with_0(
    whole: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    file = whole.write(whole.config())
    assert await check(file, environ=whole.environ) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "pathways" in lines
    assert "  cluster" in lines
    assert "    ✓ the agent believes what is signed: as cluster, by tidegate" in lines
    assert lines[-1].endswith(", nothing is wrong.")
    assert not [line for line in lines if "✗" in line]


async def test_what_is_wrong_is_told_with_why_and_mend_and_ends_with_1(
    whole: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    config = whole.config()
    config["pathways"]["cluster"]["audience"] = "somebody-else"
    assert await check(whole.write(config), environ=whole.environ) == 1
    told = capsys.readouterr().out
    assert "✗ the agent believes what is signed" in told
    assert "agent.other_audience: the agent goes by the audience cluster" in told
    assert "why:  a statement that names another audience is for somebody else" in told
    assert "mend: write audience: cluster into the pathway" in told


async def test_a_warning_alone_ends_with_0(whole: Live, capsys: pytest.CaptureFixture[str]) -> None:
    config = whole.config()
    config["s3"]["buckets"]["reports"]["expires_seconds"] = 604_800
    assert await check(whole.write(config), environ=whole.environ) == 0
    assert "1 to be mended in time" in capsys.readouterr().out


async def test_as_json_it_has_the_form_that_help_tells(
    whole: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await check(whole.write(whole.config()), "--json", environ=whole.environ) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["ok", "file", "problems", "warnings", "summary", "live"]
    tree = found["live"]
    assert tree["version"] == 1
    assert set(tree["counts"]) == {state.value for state in State}
    assert sum(tree["counts"].values()) == len(tree["checks"])
    one = tree["checks"][0]
    for key in (*tree, *one, "code", "grave", "what", "why", "mend"):
        assert f'"{key}"' in check_command.EXAMPLE, key
    assert all(isinstance(each["path"], list) for each in tree["checks"])


async def test_a_file_with_problems_is_not_looked_behind_and_ends_with_1(
    whole: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    config = whole.config()
    config["nonsense"] = True
    file = whole.write(config)
    calls = len(whole.slack.calls)
    assert await check(file, environ=whole.environ) == 1
    told = capsys.readouterr().out
    assert "nonsense: there is no such key" in told
    assert told.endswith("Nothing was looked at: mend the file first.\n")
    assert await check(file, "--json", environ=whole.environ) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["live"]) == (False, None)
    assert len(whole.slack.calls) == calls


async def test_a_file_that_cannot_be_read_ends_with_2(
    whole: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await check(whole.folder / "nowhere.yaml", environ=whole.environ) == 2
    assert "cannot be read" in capsys.readouterr().err


async def test_what_was_found_wrong_in_the_file_is_told_first(
    whole: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    config = whole.config()
    config["pathways"]["unused"] = dict(config["pathways"]["cluster"])
    assert await check(whole.write(config), environ=whole.environ) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "warning: pathways.unused: no action goes over this pathway" in first


async def test_a_secret_is_not_shown_whatever_words_it_got_into(whole: Live) -> None:
    hidden = Hidden()
    hidden.add("p4ssw0rd-of-mine", "short", None)
    found = await whole.diagnose()
    words = Found(diagnosis=found, hidden=hidden)
    assert hidden.masked("said p4ssw0rd-of-mine, short") == f"said {MASK}, short"
    hidden.add("workspace T0TIDEGATE")
    assert "T0TIDEGATE" not in "\n".join(words.lines())
    assert "T0TIDEGATE" not in json.dumps(words.plain())
    # What programs go by stays as it is.
    one = Check(path=("warning",), title="a warning", state=State.WARNING)
    hidden.add("warning")
    (plain,) = Found(diagnosis=Diagnosis(checks=(one,)), hidden=hidden).plain()["checks"]
    assert (plain["path"], plain["state"]) == (["warning"], "warning")
    assert plain["title"] == f"a {MASK}"


class Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


async def test_who_looks_on_sees_how_far_it_is_and_nobody_else() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        ticker = Ticker(stream)
        ticker.ended(3, 12, ("pathways", "cluster", "tls"))
        ticker.gone()
    assert "3 of 12  pathways/cluster/tls" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")
    assert file.getvalue() == ""
