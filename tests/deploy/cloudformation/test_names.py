"""What a template gives and is fits AWS's limits, however long the names are that people give."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.deploy.cloudformation.stacks import PUBLIC_KEY, stack
from tests.deploy.cloudformation.templates import FOLDER, NAMES, named

#: By type: the property that names it, and how many characters it may have.
#: Source: AWS's API reference of each, and
#: https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_OriginAccessControlConfig.html
LIMITS: Final = {
    "CloudFront::OriginAccessControl": ("OriginAccessControlConfig/Name", 64),
    "CloudFront::OriginRequestPolicy": ("OriginRequestPolicyConfig/Name", 128),
    "CloudFront::KeyGroup": ("KeyGroupConfig/Name", 128),
    "CloudFront::PublicKey": ("PublicKeyConfig/Name", 128),
    "CloudTrail::Trail": ("TrailName", 128),
    "CloudWatch::Alarm": ("AlarmName", 255),
    "ECS::Service": ("ServiceName", 255),
    "ElasticLoadBalancingV2::LoadBalancer": ("Name", 32),
    "ElasticLoadBalancingV2::TargetGroup": ("Name", 32),
    "Events::Rule": ("Name", 64),
    "IAM::Role": ("RoleName", 64),
    "S3::Bucket": ("BucketName", 63),
    "SNS::Topic": ("TopicName", 256),
    "SQS::Queue": ("QueueName", 80),
    "Scheduler::Schedule": ("Name", 64),
    "AppRunner::Service": ("ServiceName", 40),
    "AppRunner::VpcConnector": ("VpcConnectorName", 40),
    "AppRunner::AutoScalingConfiguration": ("AutoScalingConfigurationName", 32),
}
#: The longest that the templates' patterns take, with everything that has a name switched on.
LONGEST: Final = {
    "Name": "t" * 20,
    "BucketName": "b" * 57,
    "CloudFrontPublicKey": PUBLIC_KEY,
    "SplitWorker": "yes",
    "ProbeSchedule": "rate(1 day)",
    "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:tidegate-alarms",
    "MalwareScan": "yes",
}


def too_long(name: str) -> Iterator[str]:
    template = named(name)
    for key in ("Name", "BucketName"):
        pattern = template.parameters.get(key, {}).get("AllowedPattern")
        assert pattern is None or re.fullmatch(pattern, LONGEST[key]), (name, key)
    given = {key: value for key, value in LONGEST.items() if key in template.parameters}
    for logical, properties in stack(name, **given).resources().items():
        kind = template.resources[logical]["Type"].removeprefix("AWS::")
        path, most = LIMITS.get(kind, ("", 0))
        at: Any = properties
        for step in path.split("/") if path else ():
            at = at.get(step, "")
        if most and len(str(at)) > most:
            yield f"{logical}: {at} has more than {most} characters"


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_longer_than_aws_takes_it(name: str) -> None:
    assert list(too_long(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_template_can_be_sent_as_it_is(name: str) -> None:
    """A longer one has to lie in a bucket, which the commands have none for.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    """
    assert (FOLDER / f"{name}.yaml").stat().st_size <= 51_200


def test_the_public_key_ends_with_a_line_end() -> None:
    """A shell takes off the one that the file had, and CloudFront refuses the key without."""
    made = stack("storage", CloudFrontPublicKey=PUBLIC_KEY).resources()
    assert made["PublicKey"]["PublicKeyConfig"]["EncodedKey"] == f"{PUBLIC_KEY}\n"


def test_route_tables_that_lead_to_s3_already_are_left_alone() -> None:
    """A table takes one way to S3: a second one fails the deployment."""
    assert "S3Endpoint" in stack("network").resources()
    made = stack("network", RouteTableIds="", InterfaceEndpoints="yes").resources()
    assert "S3Endpoint" not in made
    assert "SecretsManagerEndpoint" in made
