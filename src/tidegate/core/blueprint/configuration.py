"""The `tidegate.yaml` of a new gateway: the least that works, and what each part is for."""

from collections.abc import Mapping
from typing import Any, Final

from tidegate.core.blueprint.answers import (
    NO_CHANNEL,
    NOBODY,
    NOWHERE,
    PATHWAY,
    Answers,
    Home,
    Pathway,
)
from tidegate.core.blueprint.layout import Comments, comment, write

Json = Mapping[str, Any]

#: Alias of the bucket.
BUCKET: Final = "files"
#: Where the chart puts what the gateway in the cluster reads.
#: Source: deploy/helm/tidegate/templates/_gateway.tpl
_AGENT_CA: Final = "/etc/tidegate/agent-ca/ca.crt"
_AGENT_TOKEN: Final = "/var/run/secrets/tidegate/token"  # noqa: S105 - where it is
STORE_FILE: Final = "sqlite:////var/lib/tidegate/tidegate.db"
AGENT_PORT: Final = 8443
#: The authorities of the database's certificate: a file beside tidegate.yaml.
DATABASE_CA: Final = "rds-ca.pem"

_HEAD: Final = """\
What people in Slack may do, and the way to what is private. Secrets are only named here.
Every key: docs/configuration.md. Look it over with: tidegate check --config tidegate.yaml"""
_BY_CHART: Final = """

The gateway in the cluster reads what the chart writes from values.yaml: the same as stands here.
This copy is for `tidegate check` and `tidegate manifest`; change both."""


def text(answers: Answers) -> str:
    """Return the file."""
    head = comment(_HEAD + (_BY_CHART if answers.home is Home.CLUSTER else ""))
    return f"{head}\n\n{write(document(answers), _comments(answers))}"


def document(answers: Answers) -> dict[str, Any]:
    """Return what the file says, as JSON values."""
    whole: dict[str, Any] = {"slack": slack(answers)}
    if answers.home is Home.CLUSTER:
        whole["server"] = {"host": "0.0.0.0", "port": 3000}  # noqa: S104 - as the chart has it
        whole["admin"] = {"host": "127.0.0.1", "port": 3001}
    whole["store"] = _store(answers)
    if answers.uses_aws:
        whole["identity"] = identity(answers)
    whole["pathways"] = {PATHWAY: _pathway(answers)}
    whole["actions"] = actions(answers)
    if answers.bucket is not None:
        whole["s3"] = s3(answers)
    return whole


def secret(answers: Answers, kind: str) -> str:
    """Return the name of a secret that secrets.yaml makes."""
    return f"{answers.name}/{kind}"


def slack(answers: Answers) -> Json:
    """Return the Slack app's secrets, by reference."""
    names = {"bot_token": "SLACK_BOT_TOKEN", "signing_secret": "SLACK_SIGNING_SECRET"}
    if answers.socket_mode:
        names["app_token"] = "SLACK_APP_TOKEN"  # noqa: S105 - its name
    refs: dict[str, Json] = {}
    for key, name in names.items():
        kept = {"secretsmanager": secret(answers, "slack"), "key": key}
        refs[key] = kept if answers.uses_aws else {"env": name}
    signing = refs.pop("signing_secret")
    return {"bot_token": refs.pop("bot_token"), "signing_secrets": [signing], **refs}


def identity(answers: Answers) -> Json:
    """Return the key that signs who clicked, by reference."""
    return {"signing_key": {"secretsmanager": secret(answers, "identity")}}


def _store(answers: Answers) -> Json:
    if answers.home is Home.CLUSTER:
        return {"url": STORE_FILE}
    return {
        "url": f"postgresql://{NOWHERE}/tidegate?sslrootcert={DATABASE_CA}",
        "password": {"secretsmanager": NOWHERE, "key": "password"},
    }


def _pathway(answers: Answers) -> Json:
    if answers.home is Home.CLUSTER:
        name = f"{answers.name}-agent.{answers.name}"
        auth = {"type": "token_file", "path": _AGENT_TOKEN, "audience": answers.audience}
        found: dict[str, Any] = {
            "type": "direct",
            "url": f"https://{name}.svc:{AGENT_PORT}",
            "ca_file": _AGENT_CA,
            "auth": auth,
        }
    elif answers.pathway is Pathway.API_GATEWAY:
        found = {"type": "api_gateway", "url": f"https://{NOWHERE}", "region": answers.region}
    elif answers.pathway is Pathway.DIRECT:
        auth = {"type": "none"}
        url = f"https://{NOWHERE}"
        found = {"type": "direct", "url": url, "connect_to": NOWHERE, "auth": auth}
    else:
        found = {"type": "privatelink", "url": f"https://{NOWHERE}", "connect_to": NOWHERE}
    return {**found, "audience": answers.audience}


def actions(answers: Answers) -> Json:
    """Return what people may do: look, change an image, and share, if there is a bucket."""
    first = answers.namespaces[0]
    namespace = {"enum": list(answers.namespaces), "default": first}
    allow = _allow(answers)
    found: dict[str, Any] = {
        "status": {
            "use": "k8s_status",
            "params": {"namespace": namespace},
            "pathway": PATHWAY,
            "allow": allow,
            "idempotent": True,
        },
        "status-by-command": {
            "use": "k8s_status",
            "match": {"command": [command(answers)]},
            "params": {
                "deployment": {"from": "text[0]"},
                "namespace": {"from": "text[1]", **namespace},
            },
            "pathway": PATHWAY,
            "allow": allow,
            "idempotent": True,
        },
        "deploy": {
            "use": "k8s_deploy",
            "params": {"namespace": namespace},
            "pathway": PATHWAY,
            "allow": allow,
            "confirm": True,
            "idempotent": True,
        },
    }
    if answers.bucket is not None:
        found["share"] = {"use": "s3_share_link", "allow": allow}
        found["upload"] = {"use": "s3_upload", "allow": allow}
    return found


def command(answers: Answers) -> str:
    """Return the slash command of the status."""
    return f"/{answers.name}-status"


def _allow(answers: Answers) -> Json:
    allow: dict[str, Any] = {}
    if answers.user_groups:
        allow["user_groups"] = list(answers.user_groups)
    if answers.users or answers.admits_nobody:
        allow["users"] = list(answers.users) or [NOBODY]
    if answers.channels:
        allow["channels"] = list(answers.channels)
    return allow


def s3(answers: Answers) -> Json:
    """Return what may be shared from, and where."""
    channels = list(answers.channels) or [NO_CHANNEL]
    bucket = {"name": answers.bucket, "channels": channels, "modes": ["link", "upload"]}
    return {"region": answers.region, "buckets": {BUCKET: bucket}}


# --- comments -------------------------------------------------------------------------------


def _comments(answers: Answers) -> Comments:
    found = {
        ("slack",): "The Slack app: slack-manifest.json makes it.",
        ("store",): _STORES[answers.home],
        ("pathways", PATHWAY): _pathway_comment(answers),
        ("actions",): _ACTIONS,
        (
            "actions",
            "status",
        ): "A button with the action id k8s_status; first-message.json has one.",
        ("actions", "status-by-command"): f"{command(answers)} web tells how web is.",
        (
            "actions",
            "deploy",
        ): "A button with the action id k8s_deploy; asked again before it acts.",
    }
    if answers.uses_aws:
        found["identity",] = "Signs who clicked; the agent knows the other half of the key."
    if answers.home is Home.CLUSTER:
        found["server",] = "As the chart has them."
    if answers.bucket is not None:
        found["actions", "share"] = "Buttons with the action ids s3_share_link and s3_upload."
        found["s3", "buckets", BUCKET] = (
            "Channels it may be shared in, by id, and ways: also image, gallery."
        )
    return found


_STORES: Final = {
    Home.ECS: "Every click is written down here first. Both values: output Store of database.yaml.",
    Home.CLUSTER: "Every click is written down here first, on the gateway's own volume.",
}
_ACTIONS: Final = """\
Nobody may do anything but what stands here. Who: ids of Slack's members (users) and user groups
(user_groups; they count if only an administrator or your directory can change who is in them)."""


def _pathway_comment(answers: Answers) -> str:
    if answers.home is Home.CLUSTER:
        return "To the agent, inside the cluster; both prove themselves with what the chart mounts."
    way, template = {
        Pathway.API_GATEWAY: (
            "Through API Gateway and a VPC link; every request is signed.",
            "pathway-api-gateway",
        ),
        Pathway.DIRECT: (
            "Straight to the load balancer in front of the agent.",
            "load-balancer",
        ),
        Pathway.PRIVATELINK: ("Through an endpoint of PrivateLink.", "pathway-privatelink"),
    }[answers.pathway]
    return f"{way} All but the audience: output Pathway of\n{template}.yaml."
