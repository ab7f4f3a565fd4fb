"""Mistakes about who may do what, and from where."""

from typing import Final

from tests.deploy.cloudformation.planted.defect import defect, gone, of, put, reason_gone, rewritten
from tests.deploy.cloudformation.templates import Json

HTTP: Final = "pathway-api-gateway"
_EVERYWHERE: Final[Json] = {
    "IpProtocol": "tcp",
    "FromPort": 443,
    "ToPort": 443,
    "CidrIp": "0.0.0.0/0",
    "Description": "Everybody",
}

DEFECTS: Final = (
    defect(
        "s3:GeneratePresignedUrl, which does not exist",
        "iam",
        "actions_exist",
        put(
            of("ReadObjects", "PolicyDocument", "Statement", "0", "Action"),
            "s3:GeneratePresignedUrl",
        ),
    ),
    defect(
        "all of S3, with no reason",
        "iam",
        "wildcards_have_reasons",
        reason_gone("ReadObjects", "ReadObjects"),
    ),
    defect(
        "any bucket, any key: what is shared is up to the caller",
        "iam",
        "data_is_named",
        put(
            of("ReadObjects", "PolicyDocument", "Statement", "0", "Resource"),
            {"Fn::Sub": "arn:${AWS::Partition}:s3:::*/*"},
        ),
    ),
    defect(
        "everything with a queue, with no reason",
        "iam",
        "wildcards_have_reasons",
        rewritten(of("FollowArrivals", "PolicyDocument", "Statement", "0"), Action="sqs:*"),
    ),
    defect(
        "an endpoint that allows everybody everything",
        "network",
        "nobody_is_allowed_unconditionally",
        gone(of("S3Endpoint", "PolicyDocument", "Statement", "2", "Fn::If", "1", "Condition")),
    ),
    defect(
        "a queue that any bucket of any account may send to",
        "storage",
        "services_act_for_this_account",
        gone(of("QueuePolicy", "PolicyDocument", "Statement", "0", "Condition")),
    ),
    defect(
        "a role that a service takes for whoever asks it to",
        "pathway-direct",
        "services_act_for_this_account",
        gone(of("ExecutionRole", "AssumeRolePolicyDocument", "Statement", "0", "Condition")),
    ),
    defect(
        "a role for another account without an external id",
        HTTP,
        "outsiders_prove_themselves",
        gone(of("InvokeRole", "AssumeRolePolicyDocument", "Statement", "0", "Condition")),
    ),
    defect(
        "a role for every workflow of GitHub",
        "iam",
        "outsiders_prove_themselves",
        gone(
            of("CiRole", "AssumeRolePolicyDocument", "Statement", "0", "Condition")
            + "/StringEquals/token.actions.githubusercontent.com:sub"
        ),
    ),
    defect(
        "AWS's own policy, which is wide",
        "pathway-direct",
        "roles_have_no_policies_of_others",
        put(
            of("ExecutionRole", "ManagedPolicyArns"),
            ["arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"],
        ),
    ),
    defect(
        "execute-api:Invoke on all of an API",
        HTTP,
        "invoke_names_its_routes",
        put(
            of("InvokePolicy", "PolicyDocument", "Statement", "1", "Resource"),
            [{"Fn::Sub": "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*"}],
        ),
    ),
    defect(
        "a load balancer of the cluster that the world may knock at",
        "load-balancer",
        "security_groups_are_narrow",
        put(of("SecurityGroup", "SecurityGroupIngress"), [_EVERYWHERE]),
    ),
    defect(
        "a group that lets everything out",
        "pathway-privatelink",
        "security_groups_are_narrow",
        gone(of("SecurityGroup", "SecurityGroupEgress")),
    ),
    defect(
        "an apostrophe, at which EC2 stops the deployment",
        "load-balancer",
        "security_groups_are_described_as_ec2_takes_it",
        put(of("SecurityGroup", "GroupDescription"), "Tidegate's"),
    ),
    defect(
        "an endpoint that takes anybody's keys",
        "network",
        "endpoints_are_for_this_account",
        gone(of("ExecuteApi", "PolicyDocument")),
    ),
    defect(
        "an endpoint with the VPC's default security group",
        "pathway-privatelink",
        "endpoints_are_for_this_account",
        gone(of("Endpoint", "SecurityGroupIds")),
    ),
    defect(
        "an STS endpoint for signed calls alone: no pod gets its role any more",
        "network",
        "pods_still_get_their_roles",
        gone(of("StsEndpoint", "PolicyDocument", "Statement", "1")),
    ),
    defect(
        "a key that nobody can manage",
        "secrets",
        "key_policies_leave_the_account_in_charge",
        put(of("Key", "KeyPolicy", "Statement"), []),
    ),
)
