"""What somebody answers who sets Tidegate up: where it runs, what it reaches, who may use it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tidegate.core.slack_manifest import public_url
from tidegate.core.web_address import AddressError
from tidegate.errors import ConfigError, Problem

#: The one pathway's name in tidegate.yaml.
PATHWAY: Final = "cluster"
#: Stand where nothing was answered, and let nobody in and lead nowhere until they are replaced.
#: Source: https://www.rfc-editor.org/rfc/rfc2606 (.invalid), https://www.rfc-editor.org/rfc/rfc5737
NOBODY: Final = "U0REPLACEME"
NO_TEAM: Final = "T0REPLACEME"
NOWHERE: Final = "replace-me.invalid"
NO_CHANNEL: Final = "C0REPLACEME"
NO_ADDRESSES: Final = "192.0.2.0/24"

MAX_LISTED: Final = 100


class Pathway(StrEnum):
    """How a request reaches the cluster."""

    API_GATEWAY = "api_gateway"
    DIRECT = "direct"
    PRIVATELINK = "privatelink"


class Home(StrEnum):
    """Where the gateway runs."""

    ECS = "ecs"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All answers; `draw` takes them only if `complaints` has none.

    Attributes:
        pathway: How a request reaches the cluster.
        home: Where the gateway runs; in the cluster with `direct` alone.
        name: What the names of everything begin with.
        region: The AWS region; None where nothing of AWS is used.
        cluster: The name of the EKS cluster, if it is one.
        namespaces: Whose workloads may be acted on; the first where a request names none.
        bucket: The bucket to share from, which is made.
        url: The gateway's public address; None with Socket Mode.
        socket_mode: Slack sends everything over a connection that the gateway opens.
        users: Who may use it, by Slack's ids.
        user_groups: Slack's user groups whose members may use it.
        team: The Slack workspace's id, by which the cluster knows users.
        channels: Where it may be used; anywhere if there are none.
        registry: Where the two images are.
        vpc: The VPC that the gateway runs in, if it is known by now.
        subnets: Its private subnets.
        parameters: Values for what a template leaves open, by `NAME`, or by `TEMPLATE.NAME`,
            which wins.
    """

    pathway: Pathway
    home: Home
    name: str = "tidegate"
    region: str | None = None
    cluster: str | None = None
    namespaces: tuple[str, ...] = ("default",)
    bucket: str | None = None
    url: str | None = None
    socket_mode: bool = False
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    team: str | None = None
    channels: tuple[str, ...] = ()
    registry: str = NOWHERE
    vpc: str | None = None
    subnets: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def uses_aws(self) -> bool:
        """Whether anything of it is in AWS."""
        return self.home is Home.ECS or self.bucket is not None

    @property
    def audience(self) -> str:
        """Whom the statements of who clicked are for: the agent."""
        return f"{self.name}-agent"

    @property
    def admits_nobody(self) -> bool:
        """Whether nobody was named who may use it."""
        return not self.users and not self.user_groups


_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
#: What each answer that is a text may be, and how that is said.
#: Sources: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/,
#: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html,
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_SHAPES: Final = {
    "name": (
        r"[a-z][a-z0-9-]{0,18}[a-z0-9]",
        "write 2 to 20 lower-case letters, digits and hyphens, such as tidegate",
    ),
    "region": (r"[a-z]{2,4}(-[a-z0-9]+)+", "write an AWS region, such as eu-west-1"),
    "cluster": (r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "write the EKS cluster's name"),
    # Shorter than S3 takes it, and without dots: a second bucket is called the same with -logs.
    "bucket": (
        r"(?!xn--|sthree-)[a-z0-9][a-z0-9-]{1,55}[a-z0-9]",
        "write a bucket's name: 3 to 57 lower-case letters, digits and hyphens",
    ),
    "team": (r"[TE][A-Z0-9]{1,30}", "write the workspace's id, such as T0123ABCD"),
    "registry": (
        r"[a-z0-9][a-z0-9.-]{0,200}(:[0-9]{1,5})?(/[a-z0-9._-]{1,100}){0,8}",
        "write a registry such as registry.example.com/team",
    ),
    "vpc": (r"vpc-[0-9a-f]{8,17}", "write a VPC's id, such as vpc-0123456789abcdef0"),
}
_LISTS: Final = {
    "namespaces": (_LABEL, "write a Kubernetes namespace's name, such as staging"),
    "users": (r"[UW][A-Z0-9]{1,30}", "write a member's id, such as U0123ABCD"),
    "user_groups": (r"S[A-Z0-9]{1,30}", "write a user group's id, such as S0123ABCD"),
    "channels": (r"[CGD][A-Z0-9]{1,30}", "write a channel's id, such as C0123ABCD"),
    "subnets": (r"subnet-[0-9a-f]{8,17}", "write a subnet's id, such as subnet-0123456789abcdef0"),
}
_PLAIN_URL: Final = re.compile(r"https://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
#: The flag of an answer, where it is not its name.
_FLAGS: Final = {
    "namespaces": "--namespace",
    "users": "--user",
    "user_groups": "--user-group",
    "channels": "--channel",
    "subnets": "--subnet",
    "home": "--gateway",
    "parameters": "--parameter",
}


def flag(answer: str) -> str:
    """Return the command line's flag for an answer."""
    return _FLAGS.get(answer, f"--{answer.replace('_', '-')}")


def complaint(answer: str, text: str) -> str | None:
    """Return what to write instead if *text* cannot be that answer; for one who is just asked."""
    shape, mend = {**_SHAPES, **_LISTS}.get(answer, ("", ""))
    if answer == "url":
        try:
            public_url(text)
        except AddressError as error:
            return f"{error.what}: {error.mend}"
        if not _PLAIN_URL.fullmatch(text):
            return "write a plain address, such as https://tidegate.example.com"
    elif shape and not re.fullmatch(shape, text):
        return mend
    return None


def agree(answers: Answers) -> None:
    """Return if the answers can be, each by itself and together.

    Raises:
        ConfigError: With all that is wrong with them.
    """
    problems = (*_shapes(answers), *_together(answers))
    if problems:
        raise ConfigError(problems)


def _shapes(answers: Answers) -> Iterator[Problem]:
    for answer in (*_SHAPES, "url"):
        text: str | None = getattr(answers, answer)
        mend = complaint(answer, text) if text is not None else None
        if mend is not None:
            yield _problem(answer, "this is not one", mend)
    for answer in _LISTS:
        texts: tuple[str, ...] = getattr(answers, answer)
        for text in texts:
            mend = complaint(answer, text)
            if mend is not None:
                yield _problem(answer, f"'{text[:40]}' is not one", mend)
        if len(texts) > MAX_LISTED:
            yield _problem(answer, f"more than {MAX_LISTED}", "name the others in the files later")


def _together(answers: Answers) -> Iterator[Problem]:
    """Yield what does not go together, or is missing because of another answer."""
    if answers.home is Home.CLUSTER and answers.pathway is not Pathway.DIRECT:
        yield _problem(
            "home",
            f"a gateway in the cluster needs no {answers.pathway.value}: it is there already",
            "write --pathway direct, or --gateway ecs",
        )
    if answers.uses_aws and answers.region is None:
        yield _problem("region", "it has to be known", "write --region eu-west-1, or yours")
    if answers.socket_mode and answers.url is not None:
        yield _problem("url", "with Socket Mode Slack calls nowhere", "leave one of the two out")
    if not answers.socket_mode and answers.url is None:
        yield _problem(
            "url",
            "Slack has to know where to call",
            "write --url https://… with the gateway's public address, or --socket-mode",
        )
    if answers.users and answers.team is None:
        yield _problem(
            "team",
            "the cluster knows a person by workspace and user",
            "write --team with the workspace's id (it stands in the address of Slack in a browser)",
        )
    if answers.name in answers.namespaces:
        yield _problem(
            "namespaces",
            f"{answers.name} is where Tidegate itself is installed, and that it leaves alone",
            "name the namespaces of your own workloads, or another --name",
        )
    for name, value in answers.parameters:
        if not re.fullmatch(r"[ -~]{1,2000}", value):
            yield _problem("parameters", f"{name[:60]} has no such value", _PARAMETER)
    if not answers.namespaces:
        yield _problem("namespaces", "none is named", "write --namespace with a workload's")


_PARAMETER: Final = "write --parameter NAME=VALUE, in one line of plain characters"


def _problem(answer: str, what: str, mend: str) -> Problem:
    return Problem(line=None, column=None, key=flag(answer), what=what, mend=mend)
