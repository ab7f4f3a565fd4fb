from pathlib import Path

import yaml

from tidegate.core import configuration, plan
from tidegate.core.params import Param
from tidegate.core.routes import Route, Rule, Surface
from tidegate.core.settings import Settings

FILE = {
    "slack": {"bot_token": {"env": "T"}, "signing_secrets": [{"env": "S"}]},
    "store": {"url": "sqlite:///tidegate.db"},
    "pathways": {
        "cluster": {"type": "direct", "url": "http://127.0.0.1:9002", "auth": {"type": "none"}}
    },
    "actions": {
        "deploy": {
            "match": {"action_id": ["k8s_deploy", "deploy_*"]},
            "pathway": "cluster",
            "request": {"method": "PUT", "path": "/deploy/{params.app}"},
            "body": {"app": "{params.app}"},
            "params": {
                "app": {"required": True, "pattern": "[a-z]+", "max_length": 20},
                "replicas": {"type": "integer", "min": 1, "max": 9, "default": 2},
                "colour": {"enum": ["blue", "green"], "from": "selected"},
                "token": {"secret": True},
            },
            "allow": [
                {"users": ["U0ADA"], "channels": ["C0OPS"], "guests": True},
                {"user_groups": ["S0SRE"], "params": {"colour": ["blue"]}, "external": True},
            ],
            "rate_limit": "5/minute",
            "repeat": "allow",
            "button_max_age_days": 2,
            "idempotent": True,
            "start_within_seconds": 60,
            "deadline_seconds": 120,
            "confirm": "Really?",
        },
        "scale": {
            "match": {"command": ["/scale"]},
            "pathway": "cluster",
            "request": {"path": "/scale"},
            "allow": {"users": ["any"]},
            "confirm": True,
        },
        "closed": {
            "match": {"view": ["closed_view"]},
            "pathway": "cluster",
            "request": {"path": "/closed"},
        },
        "help": {
            "match": {"shortcut": ["help"]},
            "pathway": "cluster",
            "request": {"path": "/help"},
            "allow": {"user_groups": ["S0SRE", "S0DEV"]},
        },
    },
}


def parsed() -> Settings:
    return configuration.parse(yaml.safe_dump(FILE), source="test")


def route(name: str) -> Route:
    return plan.router(parsed()).routes[name]


def test_an_action_becomes_a_route_with_all_that_it_says() -> None:
    assert route("deploy") == Route(
        name="deploy",
        surface=Surface.ACTION_ID,
        patterns=("k8s_deploy", "deploy_*"),
        pathway="cluster",
        method="PUT",
        path="/deploy/{params.app}",
        body={"app": "{params.app}"},
        params={
            "app": Param(
                name="app", source="value.app", required=True, pattern="[a-z]+", max_length=20
            ),
            "replicas": Param(
                name="replicas", source="value.replicas", type="integer", min=1, max=9, default=2
            ),
            "colour": Param(name="colour", source="selected", enum=("blue", "green")),
            "token": Param(name="token", source="value.token", secret=True),
        },
        rules=(
            Rule(users=frozenset({"U0ADA"}), channels=frozenset({"C0OPS"}), guests=True),
            Rule(groups=frozenset({"S0SRE"}), params={"colour": ("blue",)}, external=True),
        ),
        rate=(5, 60.0),
        repeat=True,
        max_age_seconds=2 * 86400.0,
        idempotent=True,
        start_within_seconds=60.0,
        deadline_seconds=120.0,
        confirm="Really?",
    )


def test_what_an_action_does_not_say_is_careful() -> None:
    found = route("closed")
    assert found.rules == ()
    assert not found.idempotent
    assert not found.repeat
    assert (found.method, found.rate, found.confirm, found.body) == ("POST", None, None, None)
    assert (found.start_within_seconds, found.deadline_seconds) == (600.0, 3600.0)
    assert found.max_age_seconds == 30 * 86400.0


def test_each_kind_of_match_becomes_its_surface() -> None:
    assert [route(name).surface for name in ("deploy", "scale", "closed", "help")] == [
        Surface.ACTION_ID,
        Surface.COMMAND,
        Surface.VIEW,
        Surface.SHORTCUT,
    ]


def test_every_group_that_some_rule_names_is_known() -> None:
    assert plan.group_ids(parsed()) == {"S0SRE", "S0DEV"}


def test_secret_params_are_hidden() -> None:
    hidden = plan.hidden_params(parsed())
    assert hidden["deploy"] == {"token"}
    assert hidden["scale"] == frozenset()


def test_only_what_asks_before_it_acts_has_a_question() -> None:
    assert plan.questions(parsed()) == {"deploy": "Really?", "scale": plan.QUESTION}


def test_a_preset_becomes_a_route_once_it_is_switched_on() -> None:
    file = {**FILE, "actions": {"logs": {"use": "k8s_logs", "pathway": "cluster"}}}
    found = plan.router(configuration.parse(yaml.safe_dump(file), source="test")).routes["logs"]
    assert (found.patterns, found.path) == (("k8s_logs",), "/api/v1/logs")
    assert found.rules == ()


def test_the_example_that_comes_with_the_product_has_a_route_for_each_action() -> None:
    text = (Path(__file__).parents[2] / "examples" / "tidegate.yaml").read_text()
    settings = configuration.parse(text, source="example")
    assert set(plan.router(settings).routes) == set(settings.actions)
