"""Each role may do what the product does with it: nothing is missing, nothing is spare."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import pytest

from tests.deploy.cloudformation import stacks
from tests.deploy.cloudformation.calls import (
    BUCKET,
    FarEnd,
    environment,
    recorded,
    signing_modules,
)
from tests.deploy.cloudformation.journeys import JOURNEYS, of_s3, of_secrets
from tests.deploy.cloudformation.policies import Statement
from tests.deploy.cloudformation.rendering import Stack
from tests.deploy.cloudformation.stacks import stack
from tests.deploy.cloudformation.templates import Json, every

#: What AWS asks for beside it where a key of the account's encrypts.
BY_KEY: Final = "kms:Decrypt"


@pytest.fixture
async def far_end(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FarEnd]:
    async with recorded() as found:
        for name, value in environment(found.url).items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        yield found


# --- what is allowed ------------------------------------------------------------------------------

EVERYTHING: Final[Mapping[str, str]] = {
    "DatabaseSecretArn": stacks.DATABASE_SECRET,
    "CloudFrontSecretArn": stacks.CLOUDFRONT_SECRET,
    "KmsKeyArns": stacks.KEY,
    "InvokePolicyArn": stacks.INVOKE,
    "AssumeRoleArn": stacks.ELSEWHERE,
    "WebIdentityAudience": "tidegate-agent",
    "BucketName": BUCKET,
    "Prefix": "q3/",
    "MalwareScan": "yes",
    "QueueArn": stacks.QUEUE,
    "DeadLetterArn": stacks.DEAD_LETTERS,
    "CiOidcProviderArn": stacks.GITHUB,
    "CiSubject": "repo:acme/reports:ref:refs/heads/main",
    "CiTokenSecretArn": stacks.CI_SECRET,
}


def roles(**parameters: str) -> Stack:
    """Return the roles as people would have them."""
    found = stack("iam", **parameters)
    assert found.rules_broken() == []
    return found


def statements_of(role: str, made: Mapping[str, Json]) -> Iterator[Statement]:
    """Yield what a role may do, in all of its policies."""
    by_id = {f"{name.lower()}-id": each for name, each in made.items()}
    invoke = stack("pathway-api-gateway").resources()["InvokePolicy"]
    for arn in made[role]["ManagedPolicyArns"]:
        policy = invoke if arn == stacks.INVOKE else by_id[arn]
        for said in policy["PolicyDocument"]["Statement"]:
            yield Statement(role, arn, said)


def allowed(role: str, **parameters: str) -> set[str]:
    """Return the actions that a role may do."""
    made = roles(**parameters).resources()
    return {action for each in statements_of(role, made) for action in each.actions}


# --- the comparison -------------------------------------------------------------------------------


def test_every_adapter_that_signs_is_recorded() -> None:
    assert signing_modules() == set(JOURNEYS)


async def test_the_gateway_may_do_what_it_does_and_nothing_else(far_end: FarEnd) -> None:
    for journey in JOURNEYS.values():
        await journey(far_end)
    assert far_end.rights | {BY_KEY} == allowed("GatewayRole", **EVERYTHING)


async def test_a_gateway_without_workers_reads_its_secrets_and_does_nothing_else(
    far_end: FarEnd,
) -> None:
    await of_secrets(far_end)
    split = {**EVERYTHING, "SplitWorker": "yes"}
    assert far_end.rights | {BY_KEY} == allowed("GatewayRole", **split)
    assert allowed("WorkerRole", **split) == allowed("GatewayRole", **EVERYTHING)


async def test_ci_may_share_and_read_its_own_token(far_end: FarEnd) -> None:
    await of_s3(far_end)
    await of_secrets(far_end)
    assert far_end.rights | {BY_KEY} == allowed("CiRole", **EVERYTHING)
    made = roles(**EVERYTHING).resources()
    secrets = [
        resource
        for each in statements_of("CiRole", made)
        if "secretsmanager:GetSecretValue" in each.actions
        for resource in each.resources
    ]
    assert secrets == [stacks.CI_SECRET], "not the app's own secrets"


#: What one has to name, and the rights that come with it.
PARTS: Final[Mapping[tuple[str, ...], set[str]]] = {
    (): {"secretsmanager:GetSecretValue"},
    ("DatabaseSecretArn", "CloudFrontSecretArn"): {"secretsmanager:GetSecretValue"},
    ("KmsKeyArns",): {"secretsmanager:GetSecretValue", BY_KEY},
    ("InvokePolicyArn",): {"secretsmanager:GetSecretValue", "execute-api:Invoke"},
    ("AssumeRoleArn",): {"secretsmanager:GetSecretValue", "sts:AssumeRole"},
    ("WebIdentityAudience",): {"secretsmanager:GetSecretValue", "sts:GetWebIdentityToken"},
    ("BucketName", "Prefix"): {
        "secretsmanager:GetSecretValue",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
    },
    ("BucketName", "MalwareScan"): {
        "secretsmanager:GetSecretValue",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:GetObjectTagging",
        "s3:GetObjectVersionTagging",
        "s3:ListBucket",
    },
    ("QueueArn",): {
        "secretsmanager:GetSecretValue",
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
    },
    ("QueueArn", "DeadLetterArn"): {
        "secretsmanager:GetSecretValue",
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
        "sqs:SendMessage",
    },
}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: "+".join(part) or "nothing")
def test_what_is_not_named_gives_no_rights(part: tuple[str, ...]) -> None:
    assert allowed("GatewayRole", **{name: EVERYTHING[name] for name in part}) == PARTS[part]


def test_who_does_not_look_at_queues_has_no_right_to() -> None:
    without = allowed("GatewayRole", **{**EVERYTHING, "Diagnose": "no"})
    assert allowed("GatewayRole", **EVERYTHING) - without == {"sqs:GetQueueAttributes"}


def test_rights_are_for_what_was_named_and_nothing_beside_it() -> None:
    made = roles(**EVERYTHING).resources()
    found: dict[str, set[str]] = {}
    for each in statements_of("GatewayRole", made):
        for action in each.actions:
            if action != "execute-api:Invoke":
                found.setdefault(action, set()).update(each.resources)
    objects = {f"arn:aws:s3:::{BUCKET}/q3/*"}
    assert found == {
        "secretsmanager:GetSecretValue": {
            stacks.SLACK_SECRET,
            stacks.IDENTITY_SECRET,
            stacks.DATABASE_SECRET,
            stacks.CLOUDFRONT_SECRET,
        },
        "kms:Decrypt": {stacks.KEY},
        "s3:GetObject": objects,
        "s3:GetObjectVersion": objects,
        "s3:GetObjectTagging": objects,
        "s3:GetObjectVersionTagging": objects,
        "s3:ListBucket": {f"arn:aws:s3:::{BUCKET}"},
        "sqs:ReceiveMessage": {stacks.QUEUE},
        "sqs:DeleteMessage": {stacks.QUEUE},
        "sqs:ChangeMessageVisibility": {stacks.QUEUE},
        "sqs:GetQueueAttributes": {stacks.QUEUE, stacks.DEAD_LETTERS},
        "sqs:SendMessage": {stacks.DEAD_LETTERS},
        "sts:AssumeRole": {stacks.ELSEWHERE},
        "sts:GetWebIdentityToken": {"*"},
    }
    (listing,) = [e for e in statements_of("GatewayRole", made) if "s3:ListBucket" in e.actions]
    assert listing.conditions == (("StringLike", "s3:prefix", "q3/*"),)
    (tokens,) = [e for e in statements_of("GatewayRole", made) if e.sid == "ShowTokens"]
    audience = "sts:IdentityTokenAudience"
    assert ("ForAllValues:StringEquals", audience, "tidegate-agent") in tokens.conditions
    assert ("Null", audience, "false") in tokens.conditions


def test_the_listing_of_a_whole_bucket_has_no_prefix_to_ask_for() -> None:
    made = roles(BucketName=BUCKET).resources()
    (listing,) = [e for e in statements_of("GatewayRole", made) if "s3:ListBucket" in e.actions]
    assert listing.conditions == ()


@pytest.mark.parametrize(
    ("platform", "service"),
    [
        ("ecs", "ecs-tasks.amazonaws.com"),
        ("eks", "pods.eks.amazonaws.com"),
        ("apprunner", "tasks.apprunner.amazonaws.com"),
    ],
)
def test_the_role_is_for_one_kind_of_place(platform: str, service: str) -> None:
    cluster = "arn:aws:eks:eu-west-1:123456789012:cluster/acme"
    more = {"EksClusterArn": cluster} if platform == "eks" else {}
    made = roles(Platform=platform, **more).resources()
    document = made["GatewayRole"]["AssumeRolePolicyDocument"]
    (said,) = [Statement("GatewayRole", "trust", each) for each in document["Statement"]]
    assert said.principals == (("Service", service),)
    assert ("aws:SourceAccount" in said.keys) is (platform != "apprunner")
    assert ("GatewayPodIdentity" in made) is (platform == "eks")
    if platform == "eks":
        assert ("ArnEquals", "aws:SourceArn", cluster) in said.conditions
        assert made["GatewayPodIdentity"]["ClusterName"] == "acme"
        assert set(said.actions) == {"sts:AssumeRole", "sts:TagSession"}


def test_a_policy_is_no_larger_than_iam_takes() -> None:
    everything: dict[str, Any] = {
        **roles(**EVERYTHING).resources(),
        **stack("pathway-api-gateway").resources(),
    }
    for name, each in everything.items():
        for document in every(each.get("PolicyDocument")):
            assert len(json.dumps(document, separators=(",", ":"))) <= 6144, name
