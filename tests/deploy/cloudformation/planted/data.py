"""Mistakes about what is kept."""

from typing import Final

from tests.deploy.cloudformation.planted.defect import defect, gone, of, put

DEFECTS: Final = (
    defect(
        "a bucket policy instead of Block Public Access",
        "storage",
        "buckets_are_private",
        gone(of("Bucket", "PublicAccessBlockConfiguration")),
    ),
    defect(
        "ACLs",
        "storage",
        "buckets_are_private",
        put(of("Bucket", "AccessControl"), "PublicRead"),
    ),
    defect(
        "a bucket that is read in plain text",
        "storage",
        "nothing_is_read_in_plain_text",
        gone(of("BucketPolicy", "PolicyDocument", "Statement", "0")),
    ),
    defect(
        "a queue that is not encrypted",
        "storage",
        "what_is_kept_is_encrypted",
        gone(of("Queue", "SqsManagedSseEnabled")),
    ),
    defect(
        "a database that is not encrypted",
        "database",
        "what_is_kept_is_encrypted",
        put(of("Database", "StorageEncrypted"), False),
    ),
    defect(
        "no versions: a link leads to whatever lies there by then",
        "storage",
        "buckets_keep_versions_for_a_while",
        gone(of("Bucket", "VersioningConfiguration")),
    ),
    defect(
        "server access logs alone, which are best effort",
        "storage",
        "buckets_are_watched",
        gone("Resources/Trail"),
    ),
    defect(
        "no access logs",
        "storage",
        "buckets_are_watched",
        gone(of("Bucket", "LoggingConfiguration")),
    ),
    defect(
        "a queue without one for dead letters",
        "storage",
        "queues_have_dead_letters",
        gone(of("Queue", "RedrivePolicy")),
    ),
    defect(
        "dead letters that nobody hears of",
        "storage",
        "queues_have_dead_letters",
        gone("Resources/DeadLettersAlarm"),
    ),
    defect(
        "a secret's value in a parameter",
        "secrets",
        "secrets_hold_no_values",
        put(
            "Parameters/BotToken",
            {
                "Type": "String",
                "NoEcho": True,
                "Description": "The bot token of the Slack app.",
                "AllowedPattern": "xoxb-.+",
                "ConstraintDescription": "a bot token",
            },
        ),
        put(
            "Metadata/AWS::CloudFormation::Interface/ParameterGroups/0/Parameters",
            ["Name", "CloudFrontKey", "CiToken", "BotToken"],
        ),
    ),
    defect(
        "a password in the template",
        "database",
        "secrets_hold_no_values",
        put(of("Database", "MasterUserPassword"), "hunter2"),
    ),
    defect(
        "a bucket that goes with the stack",
        "storage",
        "what_cannot_be_made_anew_is_kept",
        gone("Resources/Bucket/DeletionPolicy"),
    ),
    defect(
        "a bucket that stays when its making failed, in the way of the next attempt",
        "storage",
        "what_cannot_be_made_anew_is_kept",
        put("Resources/Bucket/DeletionPolicy", "Retain"),
    ),
    defect(
        "a key that goes with the stack, and all that it encrypts",
        "storage",
        "what_cannot_be_made_anew_is_kept",
        gone("Resources/Key/DeletionPolicy"),
    ),
    defect(
        "a database with a public address",
        "database",
        "databases_are_private",
        put(of("Database", "PubliclyAccessible"), True),
    ),
    defect(
        "a database that takes plain text",
        "database",
        "databases_are_private",
        put(of("Settings", "Parameters", "rds.force_ssl"), "0"),
    ),
    defect(
        "objects that are read before they were scanned",
        "storage",
        "only_what_is_clean_is_read",
        gone(of("BucketPolicy", "PolicyDocument", "Statement", "1")),
    ),
    defect(
        "a verdict that anybody can write",
        "storage",
        "only_what_is_clean_is_read",
        gone(of("BucketPolicy", "PolicyDocument", "Statement", "2")),
    ),
    defect(
        "CloudFront in front of the bucket, without signatures",
        "storage",
        "links_by_cloudfront_are_signed",
        gone(of("Distribution", "DistributionConfig", "DefaultCacheBehavior", "TrustedKeyGroups")),
    ),
    defect(
        "CloudFront with an identity of the old kind",
        "storage",
        "links_by_cloudfront_are_signed",
        gone(of("Distribution", "DistributionConfig", "Origins", "0", "OriginAccessControlId")),
    ),
)
