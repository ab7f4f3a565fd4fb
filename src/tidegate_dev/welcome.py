"""The messages that a new workspace begins with: something to press in every channel."""

import json
from typing import Any, Final

from tidegate_dev.configuration import ALIAS
from tidegate_dev.slack.far_end import SlackFarEnd

Json = dict[str, Any]

HINT: Final = "Press Deploy. Then press it again, or be Guest."
TARGET: Final = {"namespace": "staging", "deployment": "web"}
IMAGE: Final = "web:2.4.1"
BROKEN_IMAGE: Final = "web:2.5.0-missing"
CHARTS: Final = "q3/charts/"
CHART: Final = f"{CHARTS}deploys.png"


def post_welcome(slack: SlackFarEnd, *, gallery_line: str) -> None:
    """Every channel has its first messages, and only #ops counts as read.

    Args:
        slack: Where.
        gallery_line: What shares a gallery when it is typed into a shell.
    """
    slack.post_as_bot("C0OPS", "Deploy web 2.4.1 to staging?", _staging())
    slack.post_as_bot("C0OPS", "Two that do not work out", _refused_by_the_cluster())
    slack.post_as_bot("C0OPS", "Deploy web 2.4.1 to production?", _production())
    slack.post_as_other("C0REPORTS", "The build of web 2.4.2 is green.", _build())
    slack.post_as_bot("C0REPORTS", "The Q3 report is ready to be shared.", _sharing())
    slack.post_as_bot("C0REPORTS", "A gallery, from a shell.", _gallery(gallery_line))
    slack.post_as_bot("C0INCIDENTS", "Old runbook: restart the checkout service.", _retired())
    slack.workspace.read("C0OPS")


def _staging() -> list[Json]:
    return [
        _header("Deploy web 2.4.1 to staging?"),
        _section(
            "*web* runs in `staging`. Version *2.4.1* passed its tests and is ready to go out.\n"
            "Everyone in <!subteam^S0DEPLOYERS> may press these."
        ),
        {
            "type": "actions",
            "block_id": "staging",
            "elements": [
                _button("k8s_deploy", "Deploy", {**TARGET, "image": IMAGE}, style="primary"),
                _button("k8s_status", "Status", TARGET),
                {
                    "type": "static_select",
                    "action_id": "k8s_scale",
                    "placeholder": _plain("Scale"),
                    "options": [_replicas(count) for count in (1, 2, 3, 5)],
                },
                _button("k8s_restart", "Restart", TARGET),
                _button("k8s_rollback", "Roll back", TARGET),
                _button("k8s_logs", "Logs", {**TARGET, "tail": 12}),
            ],
        },
        {
            "type": "context",
            "elements": [_mrkdwn("Or type `/deploy web 2.4.1` or `/status web` below.")],
        },
    ]


def _refused_by_the_cluster() -> list[Json]:
    broken = {**TARGET, "image": BROKEN_IMAGE}
    more = {"namespace": "production", "deployment": "web", "replicas": 5}
    return [
        {
            **_section(
                "*And two that do not work out.* There is no image `web:2.5.0-missing`: the "
                "cluster cannot pull it, and the message says so."
            ),
            "block_id": "broken",
            "accessory": _button("k8s_deploy", "Deploy a broken image", broken),
        },
        {
            **_section(
                "<!subteam^S0DEPLOYERS> may press this, but in the cluster their role may only "
                "look at production. The cluster refuses it, and names the right."
            ),
            "block_id": "beyond",
            "accessory": _button("k8s_scale_production", "Scale production web", more),
        },
    ]


def _production() -> list[Json]:
    value = {"namespace": "production", "deployment": "web", "image": IMAGE}
    button = _button("k8s_deploy_production", "Deploy to production", value, style="danger")
    button["confirm"] = {
        "title": _plain("Deploy to production?"),
        "text": _mrkdwn("*web 2.4.1* replaces what your customers use now."),
        "confirm": _plain("Deploy"),
        "deny": _plain("Not now"),
        "style": "danger",
    }
    section = _section("*Production* needs <!subteam^S0SRE>. Be Grace to press it, or Ada to see.")
    return [{**section, "block_id": "production", "accessory": button}]


def _build() -> list[Json]:
    return [
        _section(
            "*web 2.4.2* is built and tested. This message came by a webhook, so it is not the "
            "gateway's own: the gateway answers with a message of its own."
        ),
        {
            "type": "actions",
            "block_id": "build",
            "elements": [
                _button("k8s_deploy", "Deploy to staging", {**TARGET, "image": "web:2.4.2"}),
                _button("k8s_status", "Status", TARGET),
            ],
        },
        {"type": "context", "elements": [_mrkdwn("Build 1842 · main · 214 tests passed")]},
    ]


def _sharing() -> list[Json]:
    chart = {"title": "Deploys by week", "alt_text": "Bars that rise from 31 deploys to 79"}
    return [
        _header("The Q3 report is ready"),
        _section(
            "It lies in a *private bucket*. Everyone in <!subteam^S0DEPLOYERS> may share it here; "
            "the bucket stays closed."
        ),
        {
            "type": "actions",
            "block_id": "share",
            "elements": [
                _button(
                    "s3_share_link", "Post a link", _object("q3/report.pdf", title="Q3 report")
                ),
                _button("s3_share_image", "Show the chart", _object(CHART, **chart)),
                _button(
                    "s3_share_gallery", "Show all charts", _object(CHARTS, title="Charts of Q3")
                ),
                _button("s3_upload", "Upload the CSV", _object("q3/deploys.csv")),
            ],
        },
        _refused(
            "invoice",
            "*And two that are refused.* `invoice.pdf` is no PDF: under that name lies a program. "
            "What an object is, its content decides.",
            _button("s3_upload", "Upload invoice.pdf", _object("q3/invoice.pdf")),
        ),
        _refused(
            "eicar",
            "`eicar.txt` holds the harmless text that every malware scanner takes for malware.",
            _button("s3_upload", "Upload eicar.txt", _object("q3/eicar.txt")),
        ),
        {
            "type": "context",
            "elements": [
                _mrkdwn(
                    "Or type `/share q3/report.pdf` below. The *Bucket* drawer shows what is there."
                )
            ],
        },
    ]


def _refused(name: str, text: str, button: Json) -> Json:
    return {**_section(text), "block_id": f"share-refused-{name}", "accessory": button}


def _gallery(line: str) -> list[Json]:
    return [
        _section(
            "*All charts as one gallery* can come from a shell too, as from a job that made them. "
            f"Copy this into a terminal on this machine:\n```{_escaped(line)}```"
        ),
    ]


def _retired() -> list[Json]:
    return [
        _section(
            "*Old runbook.* This button is from a tool that was taken out of service. "
            "Press it to see what becomes of a button that nothing is connected to."
        ),
        {
            "type": "actions",
            "block_id": "runbook",
            "elements": [_button("restart_checkout_v1", "Restart checkout", {})],
        },
    ]


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text, "emoji": True}


def _mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def _header(text: str) -> Json:
    return {"type": "header", "text": _plain(text)}


def _section(text: str) -> Json:
    return {"type": "section", "text": _mrkdwn(text)}


def _button(action_id: str, text: str, value: Json, *, style: str | None = None) -> Json:
    button: Json = {"type": "button", "action_id": action_id, "text": _plain(text)}
    if value:
        button["value"] = _compact(value)
    if style is not None:
        button["style"] = style
    return button


def _object(key: str, **more: str) -> Json:
    return {"bucket": ALIAS, "key": key, **more}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _replicas(count: int) -> Json:
    words = "1 replica" if count == 1 else f"{count} replicas"
    return {"text": _plain(words), "value": _compact({**TARGET, "replicas": count})}


def _compact(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))
