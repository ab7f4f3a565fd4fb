"""What to do next, in order: the `NEXT.md` of a new set-up."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tidegate.core.blueprint import cluster, configuration, message
from tidegate.core.blueprint.answers import (
    NO_ADDRESSES,
    NO_CHANNEL,
    NOBODY,
    NOWHERE,
    Answers,
    Home,
    Pathway,
)
from tidegate.core.blueprint.configuration import DATABASE_CA, secret
from tidegate.core.blueprint.stacks import OPEN, Stack, last_stacks, stacks
from tidegate.core.slack_manifest import DEFAULT_NAME

#: The name of the file.
NEXT: Final = "NEXT.md"

Step = tuple[str, str]  # its title, and what to do


def text(answers: Answers, notes: Sequence[str]) -> str:
    """Return the file.

    Args:
        answers: What was answered.
        notes: What else there is to be said.
    """
    parts = [_head(answers), *(f"> {note}" for note in notes)]
    for number, (title, body) in enumerate(steps(answers), start=1):
        parts.append(f"## {number}. {title}\n\n{body}")
    return "\n\n".join(parts) + "\n"


def steps(answers: Answers) -> Sequence[Step]:
    """Return what to do, in order."""
    found = [("Fill in what only you know", _filled_in(answers)), ("The Slack app", _app(answers))]
    on_ecs = answers.home is Home.ECS
    if answers.uses_aws:
        found.append(("The stacks", _stacks(answers, stacks(answers))))
        found.append(("The secrets", _secrets(answers)))
    if on_ecs:
        found.append(("What the stacks say, into the files", _handed_on(answers)))
    in_cluster = cluster.needed(answers) + _shell(cluster.commands(answers))
    found.append(("The agent" if on_ecs else "The cluster", in_cluster))
    if on_ecs:
        found.append(("The gateway", _gateway(answers)))
    return [*found, ("See it work", _seen(answers))]


def _head(answers: Answers) -> str:
    reach = {
        Pathway.API_GATEWAY: "through API Gateway and a VPC link",
        Pathway.DIRECT: "straight, by its own address",
        Pathway.PRIVATELINK: "through PrivateLink",
    }[answers.pathway]
    place = "on ECS" if answers.home is Home.ECS else "in the cluster"
    way = "over Socket Mode" if answers.socket_mode else f"at {answers.url}"
    needs = ["kubectl", "helm", "openssl", *(["aws", "jq"] if answers.uses_aws else [])]
    needs += ["curl"] if answers.home is Home.ECS else []
    return (
        f"# Next\n\nThe gateway runs {place}, takes what Slack sends {way}, and reaches the agent "
        f"{reach}.\n\nRun the commands in this folder, one block after another in one shell. They "
        f"need {', '.join(needs)}, and Tidegate's own folder `deploy` here, or `deploy=` set to it."
    )


# --- what is left open ----------------------------------------------------------------------


def _filled_in(answers: Answers) -> str:
    lines = [f"- {line}" for line in _open(answers)]
    lines += ["", "Then look it over:", "", _shell("tidegate check --config tidegate.yaml")]
    return "\n".join(lines)


def _open(answers: Answers) -> Iterator[str]:
    if answers.admits_nobody:
        yield (
            f"`tidegate.yaml`, `values.yaml`: who may use it, instead of `{NOBODY}`, which is "
            "nobody: ids of members (`users`) or of user groups (`user_groups`)."
        )
    if answers.bucket is not None and not answers.channels:
        values_too = ", `values.yaml`" if answers.home is Home.CLUSTER else ""
        yield f"`tidegate.yaml`{values_too}: the channels to share in, instead of `{NO_CHANNEL}`."
    if answers.registry == NOWHERE:
        yield (
            f"`values.yaml`: the registry that the images are in, instead of `{NOWHERE}`. "
            "How they are built: deploy/images/README.md."
        )
    yield from _open_parameters(answers)
    if answers.home is Home.ECS:
        yield (
            "`values.yaml`: the addresses of the load balancer's subnets, instead of "
            f"`{NO_ADDRESSES}` (`aws ec2 describe-subnets --subnet-ids … --query "
            "'Subnets[].CidrBlock'`)."
        )


def _open_parameters(answers: Answers) -> Iterator[str]:
    """Yield each parameter that is open once, with all the files that it stands in."""
    found: dict[tuple[str, str], list[str]] = {}
    for stack in (*stacks(answers), *last_stacks(answers)):
        for name, what in stack.open.items():
            found.setdefault((name, what), []).append(f"`parameters/{stack.template}.json`")
    for (name, what), files in found.items():
        yield f"{', '.join(files)}: `{name}`, {what}, instead of `{OPEN}`."


def _app(answers: Answers) -> str:
    listed = [
        "the bot token (*OAuth & Permissions*, `xoxb-…`)",
        "the signing secret (*Basic Information*)",
    ]
    if answers.socket_mode:
        listed.append(
            "an app-level token with `connections:write` (*Basic Information*, *App-Level "
            "Tokens*, `xapp-…`)"
        )
    return "\n".join(
        [
            "At https://api.slack.com/apps choose *Create New App*, *From a manifest*, paste "
            "`slack-manifest.json`, and install the app. You need from there:",
            "",
            *(f"- {each}" for each in listed),
            "",
            "After a change of the actions this makes the manifest anew; paste it into the app's "
            "page *App Manifest*, and install the app again if it asks for it:",
            "",
            _shell(_manifest(answers)),
        ]
    )


def _manifest(answers: Answers) -> str:
    words = ["tidegate manifest --config tidegate.yaml"]
    name = app_name(answers)
    words += [f"--name '{name}'"] if name != DEFAULT_NAME else []
    words += [f"--url {answers.url}"] if answers.url is not None else []
    return f"{' '.join(words)} > slack-manifest.json"


def app_name(answers: Answers) -> str:
    """Return what the Slack app is called."""
    return answers.name.replace("-", " ").capitalize()


# --- AWS ------------------------------------------------------------------------------------


def _functions(answers: Answers) -> str:
    """Return the shell functions that the other commands use.

    The region is said twice, since the AWS CLI reads one name and botocore, with which Tidegate
    reads secrets, the other.
    Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    """
    return f"""\
deploy=${{deploy:-deploy}}
export AWS_REGION={answers.region} AWS_DEFAULT_REGION={answers.region}
output() {{  # output TEMPLATE NAME: what that stack says
  aws cloudformation describe-stacks --stack-name "{answers.name}-$1" \\
    --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue | [0]" --output text
}}
stack() {{  # stack TEMPLATE [KEY=VALUE ...]: made, or brought up to date, with its parameter file
  template=$1; shift
  while IFS= read -r pair; do set -- "$@" "$pair"; done <<END
$(jq -r '.[] | "\\(.ParameterKey)=\\(.ParameterValue)"' "parameters/$template.json")
END
  aws cloudformation deploy --stack-name "{answers.name}-$template" \\
    --template-file "$deploy/cloudformation/$template.yaml" --no-fail-on-empty-changeset \\
    --capabilities CAPABILITY_NAMED_IAM --parameter-overrides "$@"
}}"""


#: ECS makes its role with the first cluster of an account, and the first service may come too soon.
#: Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html
_ROLE_OF_ECS: Final = """\
# the role of ECS itself, which an account has once
aws iam get-role --role-name AWSServiceRoleForECS > /dev/null 2>&1 \\
  || aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com > /dev/null"""


def _stacks(answers: Answers, listed: Sequence[Stack]) -> str:
    lines = ["Two functions for this shell:", "", _shell(_functions(answers)), ""]
    if answers.pathway is Pathway.PRIVATELINK:
        lines += [
            "Where the cluster is in another account, run what is marked so with its credentials, "
            "and write out what `output` says there. A connection that waits to be accepted, and a "
            "stack that waits for it, are let go on there too, from another shell: `aws ec2 "
            "accept-vpc-endpoint-connections --service-id vpce-svc-… --vpc-endpoint-ids vpce-…` "
            "(`aws ec2 describe-vpc-endpoint-connections` tells both).",
            "",
        ]
    lines += [
        "One that fails says why (`aws cloudformation describe-stack-events --stack-name "
        f"{answers.name}-…`). If it had not stood before, it has to be deleted before it is tried "
        "again: `aws cloudformation delete-stack`.",
        "",
    ]
    first = [_ROLE_OF_ECS] if answers.home is Home.ECS else []
    commands = [*first, *(_command(answers, each) for each in listed)]
    lines += ["Each stack:", "", _shell("\n".join(commands))]
    return "\n".join(lines)


def _command(answers: Answers, stack: Stack) -> str:
    given = "".join(
        f' \\\n  {name}="$(output {output.template} {output.name})"'
        for name, output in stack.outputs.items()
    )
    foreign = stack.foreign and answers.pathway is Pathway.PRIVATELINK
    where = " (in the cluster's account)" if foreign else ""
    return f"# {stack.what}{where}\nstack {stack.template}{given}"


def _secrets(answers: Answers) -> str:
    keys = ["bot_token", "signing_secret", *(["app_token"] if answers.socket_mode else [])]
    slack = ",\n".join(f'  "{key}": "…"' for key in keys)
    commands = f"""\
umask 077
cat > slack.json <<'END'
{{
{slack}
}}
END
aws secretsmanager put-secret-value --secret-id {secret(answers, "slack")} \\
  --secret-string file://slack.json && rm slack.json
openssl genpkey -algorithm ed25519 -out identity.pem
aws secretsmanager put-secret-value --secret-id {secret(answers, "identity")} \\
  --secret-string file://identity.pem && rm identity.pem"""
    return (
        "What Slack gave you goes through a file that only you may read, and that is removed. The "
        "key that signs who clicked is made on the way; made once more, it is another, and the "
        f"agent has to be told again (`jwks.json`).\n\n{_shell(commands)}"
    )


_SAYS: Final[Mapping[Pathway, str]] = {
    Pathway.API_GATEWAY: "pathway-api-gateway",
    Pathway.DIRECT: "load-balancer",
    Pathway.PRIVATELINK: "pathway-privatelink",
}


def _handed_on(answers: Answers) -> str:
    """Return which outputs of stacks go where in tidegate.yaml and values.yaml."""
    commands = f"""\
output database Store                # store
output {_SAYS[answers.pathway]} Pathway  # pathways.cluster; its audience stays
output load-balancer TargetGroupArn  # agent.targetGroupBinding.arn in values.yaml
tidegate check --config tidegate.yaml"""
    return f"Replace what says `{NOWHERE}` in `tidegate.yaml` by these:\n\n{_shell(commands)}"


# --- the gateway, and the end ---------------------------------------------------------------


def _gateway(answers: Answers) -> str:
    # Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
    files = f"""\
region={answers.region}
curl -fsSo {DATABASE_CA} https://truststore.pki.rds.amazonaws.com/$region/$region-bundle.pem
jq -n --rawfile config tidegate.yaml --rawfile ca {DATABASE_CA} \\
  '{{"tidegate.yaml": $config, "{DATABASE_CA}": $ca}}' > files.json
aws secretsmanager put-secret-value --secret-id {secret(answers, "files")} \\
  --secret-string file://files.json && rm files.json"""
    commands = [files, *(_command(answers, each) for each in last_stacks(answers))]
    found = _shell("\n".join(commands))
    if answers.socket_mode:
        return found
    return (
        f"{found}\n\nLet {answers.url} lead to what `output slack-ingress LoadBalancerDnsName` "
        "says (a CNAME or alias in your DNS)."
    )


def _seen(answers: Answers) -> str:
    lines = []
    if answers.home is Home.CLUSTER and not answers.socket_mode:
        lines += [
            f"Let {answers.url} lead to the Service `{answers.name}-gateway`, port 3000, behind "
            "what ends TLS for you (docs/kubernetes.md, *Slack's way in*).",
            "",
        ]
    lines += [
        f"Invite the app into a channel (`/invite @{answers.name}`), name a workload of yours in "
        f"`{message.NAME}` instead of `{message.WORKLOAD}`, and send it there. Press the button, "
        f"or type `{configuration.command(answers)} {message.WORKLOAD}`:",
        "",
        _shell(_send(answers)),
        "",
        "Where it does not work, these tell what is wrong, seen from the gateway's place, and "
        "whether the app has the rights that it needs:",
        "",
        _shell(_looks(answers)),
    ]
    return "\n".join(lines)


def _in_pod(answers: Answers) -> str:
    """Return what runs a command in the gateway's pod, where its secrets are."""
    return f"kubectl -n {answers.name} exec -i statefulset/{answers.name}-gateway --"


def _send(answers: Answers) -> str:
    if answers.home is Home.CLUSTER:
        return f"{_in_pod(answers)} tidegate send CHANNEL --blocks - < {message.NAME}"
    return f"tidegate send --config tidegate.yaml CHANNEL --blocks {message.NAME}"


def _looks(answers: Answers) -> str:
    if answers.home is Home.CLUSTER:
        pod = _in_pod(answers)
        return f"{pod} tidegate check --live\n{pod} tidegate manifest --installed live"
    return (
        'aws logs tail "$(output pathway-direct LogGroupName)" --since 1d'
        "  # `tidegate check --live` says it there each day\n"
        "tidegate manifest --config tidegate.yaml --installed live"
    )


def _shell(commands: str) -> str:
    return f"```sh\n{commands}\n```"
