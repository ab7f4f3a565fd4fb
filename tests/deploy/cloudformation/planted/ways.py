"""Mistakes on the ways to the agent."""

from typing import Final

from tests.deploy.cloudformation.planted.defect import defect, gone, of, put
from tests.deploy.cloudformation.templates import Json

HTTP: Final = "pathway-api-gateway"
REST: Final = "pathway-api-gateway-rest"
_URL: Final = "http://internal-tidegate.eu-west-1.elb.amazonaws.com/api"


def _without_routes(data: Json) -> None:
    for name in [n for n, r in data["Resources"].items() if r["Type"].endswith("::Route")]:
        del data["Resources"][name]


DEFECTS: Final = (
    defect(
        "a route without AWS_IAM: open to the internet",
        HTTP,
        "every_route_asks_for_a_signature",
        gone(of("DeployRoute", "AuthorizationType")),
    ),
    defect(
        "a REST method that asks for no signature",
        REST,
        "every_route_asks_for_a_signature",
        put(of("DeployMethod", "AuthorizationType"), "NONE"),
    ),
    defect(
        "a $default route that takes whatever comes",
        HTTP,
        "every_route_is_written_out",
        put(of("DeployRoute", "RouteKey"), "$default"),
    ),
    defect(
        "a greedy path",
        HTTP,
        "every_route_is_written_out",
        put(of("DeployRoute", "RouteKey"), "POST /api/{proxy+}"),
    ),
    defect(
        "a REST method for every verb",
        REST,
        "every_route_is_written_out",
        put(of("DeployMethod", "HttpMethod"), "ANY"),
    ),
    defect("no route at all: nothing is served", HTTP, "every_api_is_served", _without_routes),
    defect("no stage: nothing is served", HTTP, "every_api_is_served", gone("Resources/Stage")),
    defect(
        "a deployment that is made before its methods",
        REST,
        "every_api_is_served",
        gone("Resources/Deployment/DependsOn/0"),
    ),
    defect(
        "VPC_LINK with the load balancer's address: http://…elb…/api",
        HTTP,
        "integrations_lead_to_a_listener",
        put(of("Integration", "IntegrationUri"), _URL),
    ),
    defect(
        "the load balancer's ARN where the listener's belongs",
        HTTP,
        "integrations_lead_to_a_listener",
        put("Parameters/ListenerArn/AllowedPattern", "arn:aws[a-z-]*:elasticloadbalancing:.+"),
    ),
    defect(
        "an integration over the internet",
        HTTP,
        "integrations_lead_to_a_listener",
        put(of("Integration", "ConnectionType"), "INTERNET"),
    ),
    defect(
        "a REST integration without a load balancer to lead to",
        REST,
        "integrations_lead_to_a_listener",
        gone(of("DeployMethod", "Integration", "IntegrationTarget")),
    ),
    defect(
        "no payload format version",
        HTTP,
        "integrations_name_their_payload_format",
        gone(of("Integration", "PayloadFormatVersion")),
    ),
    defect(
        "a payload format that private integrations do not take",
        HTTP,
        "integrations_name_their_payload_format",
        put(of("Integration", "PayloadFormatVersion"), "2.0"),
    ),
    defect(
        "a time-out of 30 s, at which API Gateway gives up itself",
        HTTP,
        "integrations_give_up_before_the_api",
        put(of("Integration", "TimeoutInMillis"), 30_000),
    ),
    defect(
        "a time-out shorter than the pathway's",
        REST,
        "integrations_give_up_before_the_api",
        put(of("DeployMethod", "Integration", "TimeoutInMillis"), 10_000),
    ),
    defect(
        "a stage whose name the agent sees in the path",
        HTTP,
        "the_agent_sees_no_stage",
        put(of("Stage", "StageName"), "prod"),
    ),
    defect(
        "the path is not written over, so that /api comes twice or a stage before it",
        HTTP,
        "the_agent_sees_no_stage",
        gone(of("Integration", "RequestParameters")),
    ),
    defect(
        "a REST stage that nobody takes off again",
        REST,
        "the_agent_sees_no_stage",
        gone(of("WithoutTheStage", "Transforms")),
    ),
    defect(
        "plain text from API Gateway to the load balancer",
        HTTP,
        "backends_are_asked_by_tls",
        gone(of("Integration", "TlsConfig")),
    ),
    defect(
        "a REST integration in plain text",
        REST,
        "backends_are_asked_by_tls",
        put(of("DeployMethod", "Integration", "Uri"), "http://agent.example.com/api/v1/deploy"),
    ),
    defect(
        "a VPC link with no security groups ([]), which the load balancer never lets in",
        HTTP,
        "vpc_links_reach_the_load_balancer",
        put(of("VpcLink", "SecurityGroupIds"), []),
    ),
    defect(
        "a load balancer that does not let the link in",
        HTTP,
        "vpc_links_reach_the_load_balancer",
        gone("Resources/IntoTheLoadBalancer"),
    ),
    defect(
        "a VPC link of the first kind",
        REST,
        "vpc_links_reach_the_load_balancer",
        put("Resources/VpcLink/Type", "AWS::ApiGateway::VpcLink"),
    ),
    defect(
        "AllowOrigins=*",
        HTTP,
        "no_origins_are_allowed",
        put(of("Api", "CorsConfiguration"), {"AllowOrigins": ["*"]}),
    ),
    defect(
        "a bucket that answers other sites",
        "storage",
        "no_origins_are_allowed",
        put(of("Bucket", "CorsConfiguration"), {"CorsRules": [{"AllowedOrigins": ["*"]}]}),
    ),
    defect(
        "no throttle on the stage",
        HTTP,
        "stages_are_throttled",
        gone(of("Stage", "DefaultRouteSettings", "ThrottlingRateLimit")),
    ),
    defect(
        "no throttle on the REST stage",
        REST,
        "stages_are_throttled",
        gone(of("Stage", "MethodSettings", "0", "ThrottlingBurstLimit")),
    ),
    defect(
        "a private API that any endpoint leads to",
        REST,
        "private_apis_are_reached_through_endpoints",
        gone(of("Api", "Policy", "Statement", "2")),
    ),
    defect(
        "callers that are only allowed: in the account, whoever has a policy gets in as well",
        REST,
        "nobody_but_the_callers_is_let_in",
        gone(of("Api", "Policy", "Statement", "1")),
    ),
    defect(
        "a REST stage that may be made before the account can log",
        REST,
        "stages_wait_for_the_role_that_logs",
        gone(of("Stage", "Description")),
    ),
    defect(
        "a load balancer that cannot fetch the keys of the tokens",
        "load-balancer",
        "issuers_are_reached",
        gone("Resources/ToTheIssuer"),
    ),
    defect(
        "a public load balancer in front of the cluster",
        "load-balancer",
        "load_balancers_are_internal",
        put(of("LoadBalancer", "Scheme"), "internet-facing"),
        put(of("Listener", "DefaultActions"), [{"Type": "fixed-response"}]),
        put(of("TargetGroup", "Port"), 3000),
        put(
            of("LoadBalancer", "LoadBalancerAttributes"),
            [{"Key": "access_logs.s3.enabled", "Value": "true"}],
        ),
    ),
    defect(
        "a network load balancer made without security groups",
        "load-balancer",
        "load_balancers_are_internal",
        gone(of("LoadBalancer", "SecurityGroups")),
    ),
    defect(
        "a target group of nodes: a ClusterIP cannot be reached from outside",
        "load-balancer",
        "load_balancers_are_internal",
        put(of("TargetGroup", "TargetType"), "instance"),
    ),
    defect(
        "everything that comes is passed on to the gateway",
        "slack-ingress",
        "what_is_public_takes_only_what_slack_sends",
        put(of("Listener", "DefaultActions"), [{"Type": "forward"}]),
    ),
    defect(
        "the admin listener behind the public load balancer",
        "slack-ingress",
        "what_is_public_takes_only_what_slack_sends",
        put(of("SlackRule", "Conditions", "1", "PathPatternConfig", "Values"), ["/*"]),
    ),
    defect(
        "Slack's requests in plain text",
        "slack-ingress",
        "listeners_speak_tls",
        put(of("Listener", "Protocol"), "HTTP"),
    ),
    defect(
        "TLS 1.0",
        "slack-ingress",
        "listeners_speak_tls",
        put(of("Listener", "SslPolicy"), "ELBSecurityPolicy-2016-08"),
    ),
    defect(
        "plain text from the load balancer to the pods",
        "load-balancer",
        "listeners_speak_tls",
        put(of("TargetGroup", "Protocol"), "HTTP"),
    ),
    defect(
        "an endpoint service for every account of AWS",
        "privatelink-service",
        "endpoint_services_admit_by_name",
        put("Parameters/AllowedPrincipalArns/AllowedPattern", r"(\*|arn:aws:iam::.+)"),
    ),
    defect(
        "PrivateLink in front of an application load balancer, which it does not take",
        "privatelink-service",
        "endpoint_services_admit_by_name",
        put("Parameters/LoadBalancerArn/AllowedPattern", ".+"),
    ),
)
