"""What runs, and what is written down about it."""

import re
from collections.abc import Iterator
from typing import Final

from tests.deploy.cloudformation.templates import Json, Template, every, flag, text

#: Beside those of the default format: whose packet it was, which way it went, and which task's.
#: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
_FLOW_FIELDS: Final = (
    "pkt-srcaddr",
    "pkt-dstaddr",
    "flow-direction",
    "traffic-path",
    "ecs-service-name",
    "action",
)
#: In access logs: who, what, how it ended and whose fault it was.
_ACCESS_FIELDS: Final = (
    "$context.requestId",
    "$context.identity.userArn",
    "$context.status",
    "$context.integrationErrorMessage",
    "$context.integrationLatency",
)


def apis_write_access_logs(template: Template) -> Iterator[str]:
    """Who called what, and how it ended; never headers or bodies."""
    for kind, key in (
        ("ApiGatewayV2::Stage", "AccessLogSettings"),
        ("ApiGateway::Stage", "AccessLogSetting"),
    ):
        for name, stage in template.of(kind):
            settings = stage.get(key, {})
            if not settings.get("DestinationArn"):
                yield f"{name} writes no access log"
                continue
            for field in _ACCESS_FIELDS:
                if field not in settings["Format"]:
                    yield f"{name} does not write {field} down"
            for each in every(stage.get("MethodSettings")):
                if flag(each.get("DataTraceEnabled")):
                    yield f"{name} writes bodies into the log"


def public_load_balancers_write_access_logs(template: Template) -> Iterator[str]:
    """What anybody may call keeps a record of who did."""
    for name, found in template.of("ElasticLoadBalancingV2::LoadBalancer"):
        on = {
            each["Key"]
            for each in every(found.get("LoadBalancerAttributes"))
            if each["Key"].startswith("access_logs.") and each["Value"] != "false"
        }
        if found.get("Scheme") != "internal" and "access_logs.s3.enabled" not in on:
            yield f"{name} writes no access log"


def logs_end(template: Template) -> Iterator[str]:
    """A log that is kept for ever is paid for ever, and found by somebody one day."""
    for name, group in template.of("Logs::LogGroup"):
        if not group.get("RetentionInDays"):
            yield f"{name} is kept for ever"


def flow_logs_tell_who_was_refused(template: Template) -> Iterator[str]:
    """In a format that names pods and tasks; and somebody is told."""
    for name, log in template.of("EC2::FlowLog"):
        if log["TrafficType"] not in ("ALL", "REJECT"):
            yield f"{name} leaves out what was refused"
        fields = re.findall(r"\$\{([a-z-]+)\}", str(log.get("LogFormat", "")))
        for field in _FLOW_FIELDS:
            if field not in fields:
                yield f"{name} does not write {field} down"
        yield from _unwatched(template, name, fields)


def _unwatched(template: Template, name: str, fields: list[str]) -> Iterator[str]:
    patterns = [text(each["FilterPattern"]) for _, each in template.of("Logs::MetricFilter")]
    refused = [each for each in patterns if "action=REJECT" in each]
    if not refused or not list(template.of("CloudWatch::Alarm")):
        yield f"{name}: nobody is told of what was refused"
    for pattern in refused:
        columns = [each.strip() for each in pattern.strip("[]").split(",")]
        for field in ("dstport", "action"):
            (place,) = [at for at, each in enumerate(columns) if each.startswith(field)]
            if fields.index(field) != place:
                yield f"{name}: the filter takes another field for {field}"


def tasks_are_confined(template: Template) -> Iterator[str]:
    """Read-only, nobody's user, no rights of the kernel, no shell, no public address."""
    for name, task in template.of("ECS::TaskDefinition"):
        for container in every(task["ContainerDefinitions"]):
            who = f"{name}/{container['Name']}"
            if not flag(container.get("ReadonlyRootFilesystem")) or container.get("Privileged"):
                yield f"{who} can change its own image"
            drops = container.get("LinuxParameters", {}).get("Capabilities", {}).get("Drop")
            if drops != ["ALL"]:
                yield f"{who} keeps rights that it does not need"
            if flag(container.get("Essential")) and container.get("User") != "10001:10001":
                yield f"{who} runs as somebody"
            if not container.get("LogConfiguration"):
                yield f"{who} writes no log"
    for name, service in template.of("ECS::Service"):
        if service.get("EnableExecuteCommand") is not False:
            yield f"{name} lets people open a shell"
        yield from _public_task(name, service.get("NetworkConfiguration", {}))
    for name, schedule in template.of("Scheduler::Schedule"):
        yield from _public_task(name, schedule["Target"]["EcsParameters"]["NetworkConfiguration"])


def _public_task(name: str, network: Json) -> Iterator[str]:
    vpc = network.get("AwsvpcConfiguration", {})
    if vpc.get("AssignPublicIp") != "DISABLED":
        yield f"{name} gives tasks a public address"


def secrets_are_no_environment(template: Template) -> Iterator[str]:
    """What stands in `Environment` is shown to whoever may look at the task definition."""
    for name, task in template.of("ECS::TaskDefinition"):
        for container in every(task["ContainerDefinitions"]):
            for variable in every(container.get("Environment")):
                if re.search(r"TOKEN|SECRET|PASSWORD|KEY", variable["Name"]):
                    yield f"{name} shows {variable['Name']}"


def tasks_know_their_region(template: Template) -> Iterator[str]:
    """By the one name of it that botocore reads; secrets that are named without an ARN are there.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    """
    for name, task in template.of("ECS::TaskDefinition"):
        for container in every(task["ContainerDefinitions"]):
            said = {each["Name"]: each["Value"] for each in every(container.get("Environment"))}
            known = said.get("AWS_DEFAULT_REGION") == {"Ref": "AWS::Region"}
            if flag(container.get("Essential")) and not known:
                yield f"{name} does not know its region"


def images_are_named_by_digest(template: Template) -> Iterator[str]:
    """A tag can be moved; what was tested is what runs."""
    for name, task in template.of("ECS::TaskDefinition"):
        for container in every(task["ContainerDefinitions"]):
            if not text(container["Image"]).endswith("@${ImageDigest}"):
                yield f"{name} runs {text(container['Image'])}"
    for name, service in template.of("AppRunner::Service"):
        image = service["SourceConfiguration"].get("ImageRepository", {}).get("ImageIdentifier", "")
        if image and not text(image).endswith("@${ImageDigest}"):
            yield f"{name} runs {text(image)}"
    pattern = template.parameters.get("ImageDigest", {}).get("AllowedPattern")
    if pattern is not None and re.fullmatch(pattern, "latest"):
        yield "ImageDigest would take a tag"


def app_runner_runs_an_image_and_says_its_limits(template: Template) -> Iterator[str]:
    """Its managed Python ended or ends; what it cannot do is written where it is chosen."""
    for name, service in template.of("AppRunner::Service"):
        if "CodeRepository" in service["SourceConfiguration"]:
            yield f"{name} runs on a runtime of App Runner's"
        if not service["NetworkConfiguration"]["EgressConfiguration"].get("VpcConnectorArn"):
            yield f"{name} has no way into the VPC"
        if "Public" not in template.reasons(name):
            yield f"{name} is public, and no reason is written"
        limits = " ".join(template.data.get("Metadata", {}).get("Limits", []))
        for word in ("CPU", "disk", "VPC connector", "files"):
            if word not in limits:
                yield f"{name} does not tell its limits ({word})"


def deployments_go_back_by_themselves(template: Template) -> Iterator[str]:
    """A gateway that does not start leaves the one before it running."""
    for name, service in template.of("ECS::Service"):
        found = service.get("DeploymentConfiguration", {})
        if found.get("DeploymentCircuitBreaker") != {"Enable": True, "Rollback": True}:
            yield f"{name} does not go back"
        if found.get("MinimumHealthyPercent") != 100:
            yield f"{name} is away while it is deployed"


def alarms_say_what_to_do(template: Template) -> Iterator[str]:
    """Who is woken up reads what happened and where to look; and somebody is."""
    for name, alarm in template.of("CloudWatch::Alarm"):
        if len(str(alarm.get("AlarmDescription", ""))) < 40:
            yield f"{name} does not say what it means"
        if "AlarmActions" not in alarm:
            yield f"{name} tells nobody"
        if "TreatMissingData" not in alarm:
            yield f"{name} does not say what silence means"


RULES: Final = (
    apis_write_access_logs,
    public_load_balancers_write_access_logs,
    logs_end,
    flow_logs_tell_who_was_refused,
    tasks_are_confined,
    secrets_are_no_environment,
    tasks_know_their_region,
    images_are_named_by_digest,
    app_runner_runs_an_image_and_says_its_limits,
    deployments_go_back_by_themselves,
    alarms_say_what_to_do,
)
