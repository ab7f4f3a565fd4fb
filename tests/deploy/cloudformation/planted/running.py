"""Mistakes about what runs and what is written down, and in how a template is written."""

from typing import Final

from tests.deploy.cloudformation.planted.defect import defect, gone, of, put

HTTP: Final = "pathway-api-gateway"
REST: Final = "pathway-api-gateway-rest"

DEFECTS: Final = (
    defect(
        "an API without access logs",
        HTTP,
        "apis_write_access_logs",
        gone(of("Stage", "AccessLogSettings")),
    ),
    defect(
        "an access log that does not say who called",
        REST,
        "apis_write_access_logs",
        put(of("Stage", "AccessLogSetting", "Format"), '{"status": "$context.status"}'),
    ),
    defect(
        "bodies in the log",
        REST,
        "apis_write_access_logs",
        put(of("Stage", "MethodSettings", "0", "DataTraceEnabled"), True),
    ),
    defect(
        "a public load balancer without access logs",
        "slack-ingress",
        "public_load_balancers_write_access_logs",
        put(of("LoadBalancer", "LoadBalancerAttributes"), []),
    ),
    defect(
        "a log that is kept for ever",
        "pathway-direct",
        "logs_end",
        gone(of("LogGroup", "RetentionInDays")),
    ),
    defect(
        "flow logs in the default format",
        "network",
        "flow_logs_tell_who_was_refused",
        put(
            of("FlowLog", "LogFormat"),
            "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} "
            "${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}",
        ),
    ),
    defect(
        "flow logs that nobody looks at",
        "network",
        "flow_logs_tell_who_was_refused",
        gone("Resources/AgentRejects"),
    ),
    defect(
        "a filter that counts another field than the format has there",
        "network",
        "flow_logs_tell_who_was_refused",
        put(of("AgentRejects", "FilterPattern"), "[version, dstport=8443, action=REJECT, ...]"),
    ),
    defect(
        "a task with a public address",
        "pathway-direct",
        "tasks_are_confined",
        put(
            of("GatewayService", "NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp"),
            "ENABLED",
        ),
    ),
    defect(
        "a task that runs as root",
        "pathway-direct",
        "tasks_are_confined",
        gone(of("GatewayTask", "ContainerDefinitions", "1", "User")),
    ),
    defect(
        "a shell in a task",
        "pathway-direct",
        "tasks_are_confined",
        put(of("GatewayService", "EnableExecuteCommand"), True),
    ),
    defect(
        "the bot token in the environment",
        "pathway-direct",
        "secrets_are_no_environment",
        put(
            of("GatewayTask", "ContainerDefinitions", "1", "Environment", "0"),
            {"Name": "SLACK_BOT_TOKEN", "Value": {"Ref": "FilesSecretArn"}},
        ),
    ),
    defect(
        "a gateway that does not know where its secrets are",
        "pathway-direct",
        "tasks_know_their_region",
        gone(of("GatewayTask", "ContainerDefinitions", "1", "Environment", "1")),
    ),
    defect(
        "an image by its tag",
        "pathway-direct",
        "images_are_named_by_digest",
        put(of("GatewayTask", "ContainerDefinitions", "1", "Image"), "tidegate-gateway:latest"),
    ),
    defect(
        "App Runner with runtime python3 and runtime-version 3.9",
        "pathway-direct-apprunner",
        "app_runner_runs_an_image_and_says_its_limits",
        gone(of("Service", "SourceConfiguration", "ImageRepository")),
        put(
            of("Service", "SourceConfiguration", "CodeRepository"),
            {"CodeConfiguration": {"CodeConfigurationValues": {"Runtime": "PYTHON_3"}}},
        ),
    ),
    defect(
        "App Runner, and its limits not told",
        "pathway-direct-apprunner",
        "app_runner_runs_an_image_and_says_its_limits",
        gone("Metadata/Limits"),
    ),
    defect(
        "a deployment that takes the last gateway away",
        "pathway-direct",
        "deployments_go_back_by_themselves",
        put(of("GatewayService", "DeploymentConfiguration", "MinimumHealthyPercent"), 0),
    ),
    defect(
        "an alarm that says nothing",
        "observability",
        "alarms_say_what_to_do",
        put(of("StoreFailuresAlarm", "AlarmDescription"), "Store"),
    ),
    defect(
        "a parameter without help",
        "storage",
        "parameters_have_help",
        gone("Parameters/LogDays/Description"),
    ),
    defect(
        "a parameter that takes anything",
        "iam",
        "parameters_are_constrained",
        gone("Parameters/BucketName/AllowedPattern"),
    ),
    defect(
        "an output that ties another stack to this one",
        HTTP,
        "outputs_say_where_they_go",
        put("Outputs/Url/Export", {"Name": "tidegate-url"}),
    ),
)
