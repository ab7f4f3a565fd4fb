"""Every set-up that can be asked for is whole: its files are good, and belong together."""

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.blueprints import ALL, PLAIN, answers
from tests.entry.commands import tidegate
from tests.examples import examples
from tests.slack_manifests import complaints
from tidegate.core import block_kit, params, plan
from tidegate.core.blueprint import Blueprint, Home, Pathway, draw
from tidegate.core.blueprint.answers import NOBODY, NOWHERE, Answers
from tidegate.core.blueprint.stacks import OPEN
from tidegate.core.configuration import parse
from tidegate.core.model import Actor, Interaction, Kind
from tidegate.core.scopes import needed_scopes
from tidegate.core.settings import Settings
from tidegate.entry import check_command
from tidegate.errors import ConfigError

every = pytest.mark.parametrize("found", [*ALL.values(), PLAIN], ids=[*ALL, "plain"])
#: What `check` says of the machine that it runs on, and not of the file.
OF_THIS_MACHINE = re.compile(r"environment variable|there is no file|cannot be read here")
#: What no version of a file could mend.
NOT_YET = "this version does not carry this out yet"


def texts(drawn: Blueprint) -> dict[str, str]:
    found = {file.name: file.text for file in drawn.files}
    assert len(found) == len(drawn.files)
    return found


@cache
def drawn(found: Answers) -> Blueprint:
    return draw(found)


@cache
def settings(found: Answers) -> Settings:
    return parse(texts(drawn(found))["tidegate.yaml"], source="tidegate.yaml")


def values(found: Answers) -> Any:
    return yaml.safe_load(texts(drawn(found))["values.yaml"])


@every
def test_the_configuration_passes_the_check(found: Answers, tmp_path: Path) -> None:
    text = texts(drawn(found))["tidegate.yaml"]
    report = check_command.check(text, file=str(tmp_path / "tidegate.yaml"), environ={})
    assert report.problems == ()
    said = [each.what for each in report.warnings if not OF_THIS_MACHINE.search(each.what)]
    assert [what for what in said if what != NOT_YET] == []
    # … and what is not carried out yet is told by init itself, too.
    assert len(said) == sum(NOT_YET in note for note in drawn(found).notes)


@every
def test_the_configuration_is_of_the_pathway_that_was_asked_for(found: Answers) -> None:
    read = settings(found)
    pathway = read.pathways["cluster"]
    assert pathway.type == found.pathway.value
    assert {action.pathway for action in read.actions.values() if action.request} == {"cluster"}
    assert (read.slack.app_token is not None) == found.socket_mode
    assert (read.s3 is not None) == (found.bucket is not None)
    assert read.store.url.startswith("postgresql:" if found.home is Home.ECS else "sqlite:")


@every
def test_secrets_are_only_named(found: Answers) -> None:
    for name, text in texts(drawn(found)).items():
        assert not re.search(r"xox[abp]-\w|BEGIN .*PRIVATE KEY|\bAKIA", text), name


@every
def test_the_slack_app_is_the_one_that_the_configuration_needs(found: Answers) -> None:
    document = json.loads(texts(drawn(found))["slack-manifest.json"])
    assert complaints(document) == []
    assert document["oauth_config"]["scopes"]["bot"] == [
        need.scope for need in needed_scopes(settings(found))
    ]
    assert document["settings"]["socket_mode_enabled"] == found.socket_mode


@every
def test_the_manifest_can_be_made_anew_as_next_steps_say(
    found: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = texts(drawn(found))
    Path("tidegate.yaml").write_text(files["tidegate.yaml"], "utf-8")
    (line,) = re.findall(r"^tidegate (manifest .*) > slack-manifest.json$", files["NEXT.md"], re.M)
    said = tidegate(*shlex.split(line))
    assert said.code == 0
    assert said.out == files["slack-manifest.json"]


@every
def test_the_agent_believes_this_gateway_and_admits_the_same_people(found: Answers) -> None:
    read, agent = settings(found), values(found)["agent"]
    assert agent["identity"]["audience"] == read.pathways["cluster"].audience
    assert agent["identity"].get("issuer", "tidegate") == read.identity.issuer
    for action in read.actions.values():
        (rule,) = action.allow
        (role,) = agent["roles"].values()
        assert role.get("groups", []) == list(rule.user_groups)
        people = [f"slack:{found.team or 'T0REPLACEME'}:{user}" for user in rule.users]
        assert role.get("people", []) == people
        assert list(rule.channels) == list(found.channels)
    served = [each["name"] for each in agent["namespaces"]]
    assert served == list(found.namespaces)
    assert read.actions["deploy"].params["namespace"].enum == found.namespaces
    switched_on = {name for name, on in agent["capabilities"].items() if on}
    paths = {action.request.path for action in read.actions.values() if action.request}
    assert switched_on == {path.rpartition("/")[2] for path in paths}


@every
def test_the_first_message_has_a_button_that_an_action_takes(found: Answers) -> None:
    blocks = json.loads(texts(drawn(found))["first-message.json"])
    assert block_kit.check(blocks).problems == ()
    (button,) = blocks[1]["elements"]
    pressed = Interaction(
        kind=Kind.BLOCK_ACTIONS,
        actor=Actor(user_id="U0ADA"),
        trigger=button["action_id"],
        value=button["value"],
    )
    route = plan.router(settings(found)).find(pressed)
    assert route is not None
    assert route.name == "status"
    assert params.extract(route.params, pressed) == {
        "namespace": found.namespaces[0],
        "deployment": "web",
    }


@every
def test_next_steps_name_every_file_and_all_that_is_open(found: Answers) -> None:
    files = texts(drawn(found))
    steps = files["NEXT.md"]
    del files["NEXT.md"]
    for name, text in files.items():
        stem = Path(name).stem
        assert name in steps or f"stack {stem}" in steps, name
        for mark in (OPEN, NOWHERE, NOBODY, "192.0.2.0/24", "C0REPLACEME"):
            assert mark not in text or mark in steps, (name, mark)
    assert [f"## {n}. {title}" in steps for n, title in enumerate(drawn(found).steps, 1)] == (
        [True] * len(drawn(found).steps)
    )


def test_in_full_nothing_is_left_open_but_what_only_aws_knows() -> None:
    for name, found in ALL.items():
        if not name.endswith("in full"):
            continue
        files = texts(drawn(found))
        assert NOBODY not in "".join(files.values())
        assert "C0REPLACEME" not in "".join(files.values())
        for file in ("parameters/network.json", "parameters/database.json"):
            assert "vpc-0123456789abcdef0" in files.get(file, "vpc-0123456789abcdef0")
        assert drawn(found).notes == () or found.socket_mode


def test_somebody_who_named_nobody_is_told() -> None:
    made = draw(answers())
    assert made.notes == ("Nobody may use it yet, because nobody was named who may.",)
    assert made.notes[0] in texts(made)["NEXT.md"]


def test_outside_aws_there_are_no_stacks() -> None:
    names = texts(draw(PLAIN)).keys()
    assert names == {
        *("tidegate.yaml", "slack-manifest.json", "values.yaml"),
        *("first-message.json", "NEXT.md"),
    }
    assert "aws" not in texts(draw(PLAIN))["NEXT.md"]


def test_what_a_template_leaves_open_can_be_said_for_all_or_for_one() -> None:
    said = (
        ("ServerName", "agent.example.com"),
        ("VpcId", "vpc-of-both"),
        ("load-balancer.VpcId", "vpc-of-the-cluster"),
    )
    files = texts(draw(answers(Pathway.PRIVATELINK, parameters=said, vpc="vpc-0123456789abcdef0")))

    def value(template: str, name: str) -> str:
        entries = json.loads(files[f"parameters/{template}.json"])
        (found,) = [e["ParameterValue"] for e in entries if e["ParameterKey"] == name]
        return str(found)

    assert value("pathway-privatelink", "ServerName") == "agent.example.com"
    assert value("network", "VpcId") == "vpc-of-both"
    assert value("load-balancer", "VpcId") == "vpc-of-the-cluster"
    assert "`ServerName`" not in files["NEXT.md"]
    assert "`VpcId`" not in files["NEXT.md"]
    assert "`SubnetIds`" in files["NEXT.md"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Servername", "x", "no template of this pathway leaves Servername open"),
        ("network.ServerName", "x", "no template of this pathway leaves network.ServerName open"),
        ("InvokePolicyArn", "x", "no template of this pathway leaves InvokePolicyArn open"),
        ("ServerName", "", "ServerName has no such value"),
        ("ServerName", "a\nb", "ServerName has no such value"),
    ],
)
def test_a_parameter_that_is_not_open_is_refused(name: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        draw(answers(parameters=((name, value),)))
    assert [(each.key, each.what) for each in refused.value.problems] == [("--parameter", expected)]


def test_answers_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError):
        draw(answers(name="No"))


names = st.from_regex(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])", fullmatch=True)
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
buckets = st.from_regex(r"[a-z][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True)


def ids(first: str) -> st.SearchStrategy[tuple[str, ...]]:
    one = st.from_regex(rf"[{first}][A-Z0-9]{{1,30}}", fullmatch=True)
    return st.lists(one, max_size=3, unique=True).map(tuple)


@given(
    place=st.sampled_from([(each.pathway, each.home) for each in ALL.values()]),
    name=names,
    namespaces=st.lists(labels, min_size=1, max_size=3, unique=True).map(tuple),
    bucket=st.none() | buckets,
    socket_mode=st.booleans(),
    users=ids("UW"),
    user_groups=ids("S"),
    channels=ids("CG"),
)
@hypothesis.settings(max_examples=examples(30))
def test_whatever_is_answered_the_files_fit_together_or_it_is_refused(
    place: tuple[Pathway, Home], **given_answers: Any
) -> None:
    pathway, home = place
    found = answers(pathway, home=home, team="T0A", **given_answers)
    try:
        files = texts(draw(found))
    except ConfigError:
        return  # a bucket's name with two dots, a namespace that is Tidegate's own
    read = parse(files["tidegate.yaml"], source="tidegate.yaml")
    assert complaints(json.loads(files["slack-manifest.json"])) == []
    assert read.actions["deploy"].params["namespace"].enum == found.namespaces
    agent = yaml.safe_load(files["values.yaml"])["agent"]
    assert agent["identity"]["audience"] == read.pathways["cluster"].audience
    assert [each["name"] for each in agent["namespaces"]] == list(found.namespaces)
    for name, text in files.items():
        assert not name.startswith("parameters/") or json.loads(text)


def test_the_same_answers_make_the_same_files() -> None:
    assert draw(answers()) == draw(answers())
