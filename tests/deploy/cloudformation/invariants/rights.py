"""Policies, security groups and endpoints: who may do what, and from where."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from tests.deploy.cloudformation.policies import Statement, statements
from tests.deploy.cloudformation.templates import ROOT, Json, Template, every, text

_CATALOGUE: Final = "lib/python3*/site-packages/cfnlint/data/AdditionalSpecs/Policies.json"
#: How pods get the keys of their role (IRSA), before they have any to sign with.
#: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
_BY_TOKEN: Final = "sts:AssumeRoleWithWebIdentity"
_OWN_ROLES: Final = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/*"
#: What EC2 takes in the descriptions of security groups and their rules.
#: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
_DESCRIPTION: Final = re.compile(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")


@cache
def catalogue() -> frozenset[str]:
    """Return every IAM action that there is, in lower case; cfn-lint brings the list along."""
    (path,) = (ROOT / ".venv-emulators").glob(_CATALOGUE)
    services: Json = json.loads(path.read_text())
    return frozenset(
        f"{prefix}:{action}".lower()
        for prefix, each in services.items()
        for action in each["Actions"]
    )


def actions_exist(template: Template) -> Iterator[str]:
    """What is called s3:GeneratePresignedUrl is nothing that could be allowed."""
    for statement in statements(template):
        for action in statement.actions:
            if not _is_action(action):
                yield f"{statement}: there is no action {action}"


def _is_action(action: str) -> bool:
    if action.endswith(":*"):
        return any(each.startswith(action.lower()[:-1]) for each in catalogue())
    return action.lower() in catalogue()


def wildcards_have_reasons(template: Template) -> Iterator[str]:
    """A star in an action, a resource or a principal is explained beside the policy, by its Sid."""
    for statement in statements(template):
        stars = [
            each
            for each in (
                *statement.actions,
                *statement.resources,
                *(whom for _, whom in statement.principals),
            )
            if "*" in each or each.endswith(":root/*")
        ]
        if stars and statement.sid not in template.reasons(statement.resource):
            yield f"{statement}: no reason is written for {stars[0]}"


def data_is_named(template: Template) -> Iterator[str]:
    """No reason is good enough for any bucket, queue, secret or key that there may be."""
    kept = ("s3:", "sqs:", "secretsmanager:", "kms:", "sns:")
    for statement in statements(template):
        if not statement.allows or statement.principals:
            continue
        if not any(action.startswith(kept) for action in statement.actions):
            continue
        for resource in statement.resources:
            if resource.rpartition(":")[2].startswith("*"):
                yield f"{statement} is for any {resource}"


def nobody_is_allowed_unconditionally(template: Template) -> Iterator[str]:
    """Who allows everybody something has to say who that is in a condition."""
    who = {"aws:PrincipalAccount", "aws:PrincipalArn", "aws:SourceVpce", "aws:SourceArn"}
    for statement in statements(template):
        if not statement.allows or ("*", "*") not in statement.principals:
            continue
        # ECR hands out presigned addresses of AWS's own bucket.
        layers = all("starport-layer-bucket/*" in each for each in statement.resources)
        # Nobody has signed it; the role's own trust policy says whose token opens it.
        tokens = set(statement.actions) == {_BY_TOKEN} and set(statement.resources) == {_OWN_ROLES}
        if not statement.keys & who and not layers and not tokens:
            yield f"{statement} allows it to everybody"


def services_act_for_this_account(template: Template) -> Iterator[str]:
    """Else another account could have a service of AWS act here (the confused deputy).

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    for statement in statements(template):
        if not statement.allows or not any(kind == "Service" for kind, _ in statement.principals):
            continue
        said = {statement.sid, "Trust"} & template.reasons(statement.resource).keys()
        if not statement.keys & {"aws:SourceAccount", "aws:SourceArn"} and not said:
            yield f"{statement} does not say for whom the service acts"


def outsiders_prove_themselves(template: Template) -> Iterator[str]:
    """Whoever takes a role from outside is one workload, or knows the external id."""
    for statement in statements(template):
        if statement.place != "AssumeRolePolicyDocument" or not statement.allows:
            continue
        kinds = {kind for kind, _ in statement.principals}
        if "AWS" in kinds and "sts:ExternalId" not in statement.keys:
            yield f"{statement} asks for no external id"
        if "Federated" in kinds:
            exact = {key for operator, key, _ in statement.conditions if operator == "StringEquals"}
            for claim in ("aud", "sub"):
                if not any(key.endswith(f":{claim}") for key in exact):
                    yield f"{statement} does not say whose token it is ({claim})"


def roles_have_no_policies_of_others(template: Template) -> Iterator[str]:
    """AWS's own policies are wide, and change; each right is written here."""
    for name, role in template.of("IAM::Role"):
        for policy in every(role.get("ManagedPolicyArns")):
            if isinstance(policy, str) or "Ref" not in policy:
                yield f"{name} takes {text(policy)} as it is"


def invoke_names_its_routes(template: Template) -> Iterator[str]:
    """Who may call an API may call these routes, not all of all APIs."""
    for statement in statements(template):
        if "execute-api:Invoke" not in statement.actions or statement.principals:
            continue
        for resource in statement.resources:
            path = resource.partition("${Api}/")[2]
            if not re.fullmatch(r"(\$default|\$\{StageName\})/(GET|POST)/api/v1/[a-z/*]+", path):
                yield f"{statement} allows {resource}"


def security_groups_are_narrow(template: Template) -> Iterator[str]:
    """Nothing comes in from everywhere but where a reason is written, and then to 443 alone."""
    for name, group in template.of("EC2::SecurityGroup"):
        if not group.get("SecurityGroupEgress"):
            yield f"{name} lets everything out, since it does not say what"
        for rule in every(group.get("SecurityGroupIngress")):
            yield from _wide(template, name, rule, "Ingress")
        for rule in every(group.get("SecurityGroupEgress")):
            yield from _wide(template, name, rule, "Egress")
    for name, rule in template.of("EC2::SecurityGroupIngress"):
        yield from _wide(template, name, rule, "Ingress")
    for name, rule in template.of("EC2::SecurityGroupEgress"):
        yield from _wide(template, name, rule, "Egress")


def _wide(template: Template, name: str, rule: Json, way: str) -> Iterator[str]:
    where: Any = rule.get("CidrIp", rule.get("CidrIpv6", ""))
    if where in ("0.0.0.0/0", "::/0"):
        if way not in template.reasons(name):
            yield f"{name} is open to all the world ({way})"
        if (rule.get("FromPort"), rule.get("ToPort")) != (443, 443):
            yield f"{name} opens more than 443 to all the world"
    elif where and where != "127.0.0.1/32":
        yield f"{name} names addresses ({where}), not a security group"


def security_groups_are_described_as_ec2_takes_it(template: Template) -> Iterator[str]:
    """An apostrophe would fail the deployment, half-way."""
    for name, group in template.of("EC2::SecurityGroup"):
        said = [group["GroupDescription"]]
        for way in ("SecurityGroupIngress", "SecurityGroupEgress"):
            said += [rule.get("Description", "x") for rule in every(group.get(way))]
        yield from (f"{name}: {each}" for each in said if not _DESCRIPTION.fullmatch(each))
    for name, rule in template.of("EC2::SecurityGroupIngress", "EC2::SecurityGroupEgress"):
        if not _DESCRIPTION.fullmatch(rule.get("Description", "")):
            yield f"{name}: {rule.get('Description')}"


def endpoints_are_for_this_account(template: Template) -> Iterator[str]:
    """Keys of another account carry nothing out through an endpoint."""
    for name, endpoint in template.of("EC2::VPCEndpoint"):
        if "NoPolicy" not in template.reasons(name):
            said = [
                Statement(name, "PolicyDocument", each)
                for each in every(endpoint.get("PolicyDocument", {}).get("Statement"))
            ]
            if not any("aws:PrincipalAccount" in each.keys for each in said):
                yield f"{name} takes anybody's keys"
        if endpoint["VpcEndpointType"] == "Interface" and not endpoint.get("SecurityGroupIds"):
            yield f"{name} has the VPC's default security group"


def pods_still_get_their_roles(template: Template) -> Iterator[str]:
    """An endpoint takes over the name of STS for a whole VPC, and with it what nobody signs."""
    for name, endpoint in template.of("EC2::VPCEndpoint"):
        if not text(endpoint["ServiceName"]).endswith(".sts"):
            continue
        said = [
            Statement(name, "PolicyDocument", each)
            for each in every(endpoint.get("PolicyDocument", {}).get("Statement"))
        ]
        if not any(each.allows and _BY_TOKEN in each.actions and not each.keys for each in said):
            yield f"{name} keeps pods from their roles"


def key_policies_leave_the_account_in_charge(template: Template) -> Iterator[str]:
    """A key whose policy names nobody who may change it can never be changed again."""
    owners = {
        statement.resource
        for statement in statements(template)
        if statement.place == "KeyPolicy"
        and ("AWS", "arn:${AWS::Partition}:iam::${AWS::AccountId}:root") in statement.principals
    }
    for name, _ in template.of("KMS::Key"):
        if name not in owners:
            yield f"{name} cannot be managed by its account"


RULES: Final = (
    actions_exist,
    wildcards_have_reasons,
    data_is_named,
    nobody_is_allowed_unconditionally,
    services_act_for_this_account,
    outsiders_prove_themselves,
    roles_have_no_policies_of_others,
    invoke_names_its_routes,
    security_groups_are_narrow,
    security_groups_are_described_as_ec2_takes_it,
    endpoints_are_for_this_account,
    pods_still_get_their_roles,
    key_policies_leave_the_account_in_charge,
)
