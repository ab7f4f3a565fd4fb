"""What is kept: buckets, queues, secrets, databases, and links to objects."""

from collections.abc import Iterator
from typing import Any, Final

from tests.deploy.cloudformation.policies import statements
from tests.deploy.cloudformation.templates import Template, either, every, flag, text

_BLOCKED: Final = (
    "BlockPublicAcls",
    "BlockPublicPolicy",
    "IgnorePublicAcls",
    "RestrictPublicBuckets",
)
#: By type, the properties one of which encrypts it.
_ENCRYPTED: Final = {
    "S3::Bucket": ("BucketEncryption",),
    "SQS::Queue": ("SqsManagedSseEnabled", "KmsMasterKeyId"),
    "SNS::Topic": ("KmsMasterKeyId",),
    "RDS::DBInstance": ("StorageEncrypted",),
}
#: What holds something that cannot be made anew.
_KEPT: Final = ("S3::Bucket", "SecretsManager::Secret", "RDS::DBInstance")


def buckets_are_private(template: Template) -> Iterator[str]:
    """Block Public Access is on in all four ways, and there are no ACLs."""
    for name, bucket in template.of("S3::Bucket"):
        settings = bucket.get("PublicAccessBlockConfiguration", {})
        for each in _BLOCKED:
            if not flag(settings.get(each)):
                yield f"{name} does not set {each}"
        if "AccessControl" in bucket or "WebsiteConfiguration" in bucket:
            yield f"{name} is made to be public"
        owners = [
            rule["ObjectOwnership"]
            for rule in every(bucket.get("OwnershipControls", {}).get("Rules"))
        ]
        if owners != ["BucketOwnerEnforced"]:
            yield f"{name} has ACLs"


def nothing_is_read_in_plain_text(template: Template) -> Iterator[str]:
    """Buckets and queues deny what does not come by TLS."""
    denied: set[str] = set()
    for statement in statements(template):
        insecure = ("Bool", "aws:SecureTransport", "false") in statement.conditions
        if not statement.allows and ("*", "*") in statement.principals and insecure:
            properties = template.resources[statement.resource]["Properties"]
            denied |= {
                text(each).strip("${}")
                for key in ("Bucket", "Queues", "Topics")
                for each in every(properties.get(key))
            }
    for name, _ in template.of("S3::Bucket", "SQS::Queue", "SNS::Topic"):
        if name not in denied:
            yield f"{name} can be read in plain text"


def what_is_kept_is_encrypted(template: Template) -> Iterator[str]:
    """At rest, by a key of AWS's or of the account's."""
    for kind, settings in _ENCRYPTED.items():
        for name, found in template.of(kind):
            if not any(found.get(each) not in (None, False) for each in settings):
                yield f"{name} is not encrypted"
    for name, key in template.of("KMS::Key"):
        if not flag(key.get("EnableKeyRotation")):
            yield f"{name} is never replaced"


def buckets_keep_versions_for_a_while(template: Template) -> Iterator[str]:
    """A link leads to the version that was checked; older ones go after a time."""
    for name, bucket in template.of("S3::Bucket"):
        if bucket.get("VersioningConfiguration", {}).get("Status") != "Enabled":
            yield f"{name} keeps no versions"
        rules = list(every(bucket.get("LifecycleConfiguration", {}).get("Rules")))
        if not any("NoncurrentVersionExpiration" in each for each in rules):
            yield f"{name} keeps old versions for ever"
        if not any("AbortIncompleteMultipartUpload" in each for each in rules):
            yield f"{name} keeps half uploads for ever"


def buckets_are_watched(template: Template) -> Iterator[str]:
    """Access logs, and CloudTrail's data events, since the former are not complete."""
    for name, bucket in template.of("S3::Bucket"):
        if "AccessLogs" in template.reasons(name):
            continue
        if not bucket.get("LoggingConfiguration", {}).get("DestinationBucketName"):
            yield f"{name} keeps no access logs"
        trails = [
            selector
            for _, trail in template.of("CloudTrail::Trail")
            for selectors in every(trail.get("AdvancedEventSelectors"))
            for selector in every(selectors["FieldSelectors"])
        ]
        if not any(f"${{{name}.Arn}}/" in map(text, each.get("StartsWith", [])) for each in trails):
            yield f"{name}: nobody writes down who reads what (CloudTrail data events)"


def queues_have_dead_letters(template: Template) -> Iterator[str]:
    """What cannot be followed is kept aside, and raises an alarm."""
    watched = {
        text(dimension["Value"])
        for _, alarm in template.of("CloudWatch::Alarm")
        for dimension in every(alarm.get("Dimensions"))
    }
    for name, queue in template.of("SQS::Queue"):
        if "DeadLetters" in template.reasons(name):
            continue
        redrive = queue.get("RedrivePolicy", {})
        target = text(redrive.get("deadLetterTargetArn", ""))
        if not target or not redrive.get("maxReceiveCount"):
            yield f"{name} has no queue for dead letters"
        elif f"${{{target.strip('${}').partition('.')[0]}.QueueName}}" not in watched:
            yield f"{name}: nobody is told of dead letters"
        if queue.get("VisibilityTimeout", 30) < 60:
            yield f"{name} hands a message out again while it is worked on"


def secrets_hold_no_values(template: Template) -> Iterator[str]:
    """A value in a template, or in its parameters, is kept and shown in many places."""
    for name, secret in template.of("SecretsManager::Secret"):
        if "SecretString" in secret or "GenerateSecretString" not in secret:
            yield f"{name} is given its value"
    for name, parameter in template.parameters.items():
        if flag(parameter.get("NoEcho")):
            yield f"{name} is a secret that a parameter carries"
    for name, database in template.of("RDS::DBInstance"):
        if "MasterUserPassword" in database or not flag(database.get("ManageMasterUserPassword")):
            yield f"{name} is given its password"


def what_cannot_be_made_anew_is_kept(template: Template) -> Iterator[str]:
    """Objects, secrets and runs outlive the stack; what a failed first attempt left does not.

    What was kept of it would have the names that the next attempt needs.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
    """
    for name, resource in template.resources.items():
        if resource["Type"].removeprefix("AWS::") not in _KEPT:
            continue
        if resource.get("DeletionPolicy") not in ("RetainExceptOnCreate", "Snapshot"):
            yield f"{name} is thrown away with the stack, or kept when its making failed"
        if resource.get("UpdateReplacePolicy") not in ("Retain", "Snapshot"):
            yield f"{name} is thrown away when it is replaced"
    keys = {
        text(each).strip("${}").partition(".")[0]
        for kind in ("S3::Bucket", "SecretsManager::Secret")
        for _, properties in template.of(kind)
        for each in _key_of(properties)
    }
    for name in sorted(keys & template.resources.keys()):
        if template.resources[name].get("DeletionPolicy") != "RetainExceptOnCreate":
            yield f"{name} is thrown away, and with it what it encrypts"


def _key_of(properties: Any) -> Iterator[Any]:
    yield from either(properties.get("KmsKeyId"))
    rules = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration")
    for rule in every(rules):
        yield from either(rule["ServerSideEncryptionByDefault"].get("KMSMasterKeyID"))


def databases_are_private(template: Template) -> Iterator[str]:
    """No public address, TLS alone, a way back, and no deletion by accident."""
    for name, database in template.of("RDS::DBInstance"):
        if database.get("PubliclyAccessible") is not False:
            yield f"{name} is public"
        if not flag(database.get("DeletionProtection")):
            yield f"{name} can be deleted by accident"
        if not database.get("BackupRetentionPeriod"):
            yield f"{name} has no backups"
    for name, group in template.of("RDS::DBParameterGroup"):
        if group["Parameters"].get("rds.force_ssl") != "1":
            yield f"{name} takes connections in plain text"
        if group["Parameters"].get("synchronous_commit") != "on":
            yield f"{name} acknowledges what is not written yet"


def only_what_is_clean_is_read(template: Template) -> Iterator[str]:
    """Where GuardDuty scans, nobody reads what it has not found clean, nor writes its verdict."""
    if not list(template.of("GuardDuty::MalwareProtectionPlan")):
        return
    tag = "ExistingObjectTag/GuardDutyMalwareScanStatus"
    denied = [each for each in statements(template) if not each.allows]
    if not any(
        ("StringNotEquals", f"s3:{tag}", "NO_THREATS_FOUND") in each.conditions
        and {"s3:GetObject", "s3:GetObjectVersion"} <= set(each.actions)
        for each in denied
    ):
        yield "what was not scanned can be read"
    written = {"s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"}
    if not any(
        "s3:RequestObjectTag/GuardDutyMalwareScanStatus" in each.keys
        and written <= set(each.actions)
        for each in denied
    ):
        yield "anybody may call an object clean"


def links_by_cloudfront_are_signed(template: Template) -> Iterator[str]:
    """A distribution answers links that its key group signed; the bucket answers it alone."""
    for name, found in template.of("CloudFront::Distribution"):
        config = found["DistributionConfig"]
        behavior = config["DefaultCacheBehavior"]
        if not behavior.get("TrustedKeyGroups"):
            yield f"{name} answers without a signature"
        if behavior["ViewerProtocolPolicy"] != "https-only":
            yield f"{name} answers in plain text"
        for origin in every(config["Origins"]):
            if not origin.get("OriginAccessControlId"):
                yield f"{name} reads as everybody, or as an identity of the old kind"
        if config.get("CacheBehaviors"):
            yield f"{name} answers some paths in another way"


RULES: Final = (
    buckets_are_private,
    nothing_is_read_in_plain_text,
    what_is_kept_is_encrypted,
    buckets_keep_versions_for_a_while,
    buckets_are_watched,
    queues_have_dead_letters,
    secrets_hold_no_values,
    what_cannot_be_made_anew_is_kept,
    databases_are_private,
    only_what_is_clean_is_read,
    links_by_cloudfront_are_signed,
)
