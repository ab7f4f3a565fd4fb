"""The chart's values of a new set-up: the gateway in the cluster or elsewhere, and its agent."""

from typing import Any, Final

from tidegate.core.blueprint import configuration
from tidegate.core.blueprint.answers import (
    NO_ADDRESSES,
    NO_TEAM,
    NOBODY,
    PATHWAY,
    Answers,
    Home,
)
from tidegate.core.blueprint.layout import Comments, comment, write

#: What the chart is called, and everything that it makes.
CHART: Final = "tidegate"
NO_ARN: Final = "arn:aws:elasticloadbalancing:{region}:000000000000:targetgroup/replace-me/0"

_HEAD: Final = """\
Values of deploy/helm/tidegate. Every one of them: the README beside the chart."""


def text(answers: Answers) -> str:
    """Return the file."""
    return f"{comment(_HEAD)}\n\n{write(document(answers), _comments(answers))}"


def document(answers: Answers) -> dict[str, Any]:
    """Return the values."""
    whole: dict[str, Any] = {}
    if answers.name != CHART:
        whole["fullnameOverride"] = answers.name
    return {**whole, "gateway": _gateway(answers), "agent": _agent(answers)}


def agent_secret(answers: Answers) -> str:
    """Return the name of the Secret with the agent's certificate."""
    return f"{answers.name}-agent-tls"


def keys_map(answers: Answers) -> str:
    """Return the name of the ConfigMap with the public keys of the gateway."""
    return f"{answers.name}-jwks"


def slack_secret(answers: Answers) -> str:
    """Return the name of the Secret with the Slack app's secrets."""
    return f"{answers.name}-slack"


def _image(answers: Answers, part: str) -> dict[str, Any]:
    return {"repository": f"{answers.registry}/tidegate-{part}"}


def _gateway(answers: Answers) -> dict[str, Any]:
    if answers.home is not Home.CLUSTER:
        return {"enabled": False}
    config: dict[str, Any] = {"slack": configuration.slack(answers)}
    if answers.uses_aws:
        config["identity"] = configuration.identity(answers)
    config["actions"] = configuration.actions(answers)
    if answers.bucket is not None:
        config["s3"] = configuration.s3(answers)
    return {
        "image": _image(answers, "gateway"),
        "existingSecret": "" if answers.uses_aws else slack_secret(answers),
        "agentPathway": PATHWAY,
        "store": {"url": configuration.STORE_FILE},
        "config": config,
    }


def _agent(answers: Answers) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "image": _image(answers, "agent"),
        "tls": {"existingSecret": agent_secret(answers)},
        "identity": {"audience": answers.audience, "existingConfigMap": keys_map(answers)},
        "namespaces": [{"name": name} for name in answers.namespaces],
        "defaultNamespace": answers.namespaces[0],
        "capabilities": _CAPABILITIES,
        "roles": {"operators": _role(answers)},
    }
    if answers.home is Home.CLUSTER:
        return {**whole, "tokenReview": {"audience": answers.audience}}
    return {
        **whole,
        "tokenReview": {"enabled": False},
        "networkPolicy": {"cidrs": [NO_ADDRESSES]},
        "targetGroupBinding": {"enabled": True, "arn": NO_ARN.format(region=answers.region)},
    }


#: What the actions of the configuration ask for, and nothing else: a capability that is off gets
#: no Role in the cluster.
_CAPABILITIES: Final = {
    "status": True,
    "logs": False,
    "deploy": True,
    "scale": False,
    "restart": False,
    "rollback": False,
}


def _role(answers: Answers) -> dict[str, Any]:
    role: dict[str, Any] = {}
    if answers.user_groups:
        role["groups"] = list(answers.user_groups)
    people = answers.users or ((NOBODY,) if answers.admits_nobody else ())
    if people:
        team = answers.team or NO_TEAM
        role["people"] = [f"slack:{team}:{user}" for user in people]
    return role


def _comments(answers: Answers) -> Comments:
    found = {
        ("agent",): "Carries out in this cluster what the gateway asks for.",
        ("agent", "identity"): _IDENTITY,
        (
            "agent",
            "namespaces",
        ): "Where it serves. To name workloads one by one: workloads: {deployments: [web]}",
        (
            "agent",
            "capabilities",
        ): "What anybody may do at all. Switch on what you add to the actions.",
        ("agent", "roles"): "Who may do it, once more: the cluster decides for itself.",
    }
    if answers.home is Home.CLUSTER:
        found["gateway",] = "Takes what Slack sends, and calls the agent."
        found["gateway", "config"] = (
            "tidegate.yaml, but for server, admin, store.url and the pathway to the agent."
        )
        return found
    found["gateway",] = "It runs on ECS."
    found["agent", "tokenReview"] = "Nobody but the load balancer calls, and it has no token."
    found["agent", "networkPolicy"] = (
        "The addresses of the load balancer's subnets; nothing gets in until they stand here."
    )
    found["agent", "targetGroupBinding"] = "arn: the output TargetGroupArn of load-balancer.yaml."
    return found


_IDENTITY: Final = """\
The audience is that of the pathway in tidegate.yaml; the ConfigMap holds what
`tidegate identity jwks` prints."""
