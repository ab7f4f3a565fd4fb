"""The ways to the agent: routes, integrations, links and load balancers."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.deploy.cloudformation.templates import Json, Template, either, every, text

#: The addresses and ARNs that people have put where a listener's ARN belongs.
_NO_LISTENERS: Final = (
    "http://internal-tidegate.eu-west-1.elb.amazonaws.com/api",
    "https://internal-tidegate.eu-west-1.elb.amazonaws.com",
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/tidegate/0123456789abcdef",
)
_LONGEST_MS: Final = 29_000  # below the 30 s at which API Gateway gives up
_SHORTEST_MS: Final = 26_000  # above what a pathway waits for by default


def every_route_asks_for_a_signature(template: Template) -> Iterator[str]:
    """An HTTP API is public, and so is a regional one: IAM on each route is what keeps it shut."""
    for name, route in template.of("ApiGatewayV2::Route"):
        if route.get("AuthorizationType") != "AWS_IAM":
            yield f"{name} takes requests that nobody signed"
    for name, method in template.of("ApiGateway::Method"):
        if method.get("AuthorizationType") != "AWS_IAM":
            yield f"{name} takes requests that nobody signed"


def every_route_is_written_out(template: Template) -> Iterator[str]:
    """No catch-all: what is not a route of the agent's leads nowhere."""
    for name, route in template.of("ApiGatewayV2::Route"):
        key = str(route["RouteKey"])
        if key == "$default" or key.startswith("ANY ") or "+}" in key:
            yield f"{name} takes whatever comes"
    for name, method in template.of("ApiGateway::Method"):
        if method["HttpMethod"] == "ANY":
            yield f"{name} takes whatever comes"
    for name, part in template.of("ApiGateway::Resource"):
        if "+}" in str(part["PathPart"]):
            yield f"{name} takes whatever comes"


def every_api_is_served(template: Template) -> Iterator[str]:
    """An API without routes and a stage answers 404 to everybody."""
    for api, route, stage in (
        ("ApiGatewayV2::Api", "ApiGatewayV2::Route", "ApiGatewayV2::Stage"),
        ("ApiGateway::RestApi", "ApiGateway::Method", "ApiGateway::Stage"),
    ):
        for name, _ in template.of(api):
            if not list(template.of(route)):
                yield f"{name} has no routes"
            if not list(template.of(stage)):
                yield f"{name} has no stage"
    for name, deployment in template.resources.items():
        if deployment["Type"] == "AWS::ApiGateway::Deployment":
            methods = {each for each, _ in template.of("ApiGateway::Method")}
            for missing in sorted(methods - set(every(deployment.get("DependsOn")))):
                yield f"{name} may be made before {missing} is there"


def integrations_lead_to_a_listener(template: Template) -> Iterator[str]:
    """A private integration names a listener (or Cloud Map service) by ARN, never an address.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-private.html
    """
    for name, found in template.of("ApiGatewayV2::Integration"):
        if found.get("ConnectionType") != "VPC_LINK" or not found.get("ConnectionId"):
            yield f"{name} goes through the internet"
        yield from (f"{name} {wrong}" for wrong in _not_a_listener(template, found))
    for name, method in template.of("ApiGateway::Method"):
        found = method["Integration"]
        if found.get("ConnectionType") != "VPC_LINK" or not found.get("ConnectionId"):
            yield f"{name} goes through the internet"
        if not _is_given_as(template, found.get("IntegrationTarget"), "loadbalancer/app/x/0"):
            yield f"{name} names no load balancer"


def _not_a_listener(template: Template, integration: Json) -> Iterator[str]:
    uri = integration.get("IntegrationUri")
    match uri:
        case {"Ref": str(name)} if name in template.parameters:
            pattern = template.parameters[name].get("AllowedPattern", ".*")
            for wrong in _NO_LISTENERS:
                if re.fullmatch(pattern, wrong):
                    yield f"would take {wrong}"
        case {"Ref": str(name)} if (
            template.resources[name]["Type"] == "AWS::ElasticLoadBalancingV2::Listener"
        ):
            return
        case {"Fn::GetAtt": [str(name), "Arn"]} if (
            template.resources[name]["Type"] == "AWS::ServiceDiscovery::Service"
        ):
            return
        case _:
            yield f"leads to {text(uri)}, which is the ARN of no listener"


def _is_given_as(template: Template, value: Any, path: str) -> bool:
    """Return whether a value is a parameter that takes such an ARN, and no address."""
    if not isinstance(value, dict) or value.get("Ref") not in template.parameters:
        return False
    pattern = template.parameters[value["Ref"]].get("AllowedPattern", ".*")
    arn = f"arn:aws:elasticloadbalancing:eu-west-1:123456789012:{path}"
    return bool(re.fullmatch(pattern, arn)) and not re.fullmatch(pattern, _NO_LISTENERS[0])


def integrations_name_their_payload_format(template: Template) -> Iterator[str]:
    """An HTTP API's private integration takes 1.0 and nothing else, and has to say so."""
    for name, found in template.of("ApiGatewayV2::Integration"):
        if found.get("PayloadFormatVersion") != "1.0":
            yield f"{name} does not say PayloadFormatVersion 1.0"


def integrations_give_up_before_the_api(template: Template) -> Iterator[str]:
    """At 30 s API Gateway answers by itself; below 25 s it would before the gateway does."""
    for name, found in template.of("ApiGatewayV2::Integration"):
        yield from _untimely(name, found)
    for name, method in template.of("ApiGateway::Method"):
        yield from _untimely(name, method["Integration"])


def _untimely(name: str, integration: Json) -> Iterator[str]:
    waits = integration.get("TimeoutInMillis", 30_000)
    if not _SHORTEST_MS <= waits <= _LONGEST_MS:
        yield f"{name} waits {waits} ms"


def the_agent_sees_no_stage(template: Template) -> Iterator[str]:
    """A private integration passes the stage on as part of the path, unless it is told not to."""
    for name, found in template.of("ApiGatewayV2::Integration"):
        path = found.get("RequestParameters", {}).get("overwrite:path")
        if path != "$request.path":
            yield f"{name} does not say which path is passed on"
    for name, _ in template.of("ApiGatewayV2::Stage"):
        if template.resources[name]["Properties"]["StageName"] != "$default":
            yield f"{name} has a name, which a pathway's url would have to have"
    for name, stage in template.of("ApiGateway::Stage"):
        here = text(stage["StageName"])
        rules = template.of("ElasticLoadBalancingV2::ListenerRule")
        if not any(_takes_off(here, rule) for _, rule in rules):
            yield f"{name} is not taken off the path again"


def _takes_off(stage: str, rule: Json) -> bool:
    patterns = [
        text(each)
        for condition in every(rule["Conditions"])
        for each in every(condition.get("PathPatternConfig", {}).get("Values"))
    ]
    rewrites = [
        (text(each["Regex"]), each["Replace"])
        for transform in every(rule.get("Transforms"))
        if transform["Type"] == "url-rewrite"
        for each in every(transform["UrlRewriteConfig"]["Rewrites"])
    ]
    return patterns == [f"/{stage}/*"] and rewrites == [(f"^/{stage}/(.*)$", "/$1")]


def backends_are_asked_by_tls(template: Template) -> Iterator[str]:
    """From API Gateway to the load balancer, too, and its name is verified."""
    for name, found in template.of("ApiGatewayV2::Integration"):
        if not found.get("TlsConfig", {}).get("ServerNameToVerify"):
            yield f"{name} speaks plain text to the load balancer"
    for name, method in template.of("ApiGateway::Method"):
        if not text(method["Integration"].get("Uri")).startswith("https://${ServerName}:443/"):
            yield f"{name} speaks plain text to the load balancer"


def vpc_links_reach_the_load_balancer(template: Template) -> Iterator[str]:
    """A link without a security group of its own gets one that is let in nowhere."""
    ways = [way for _, way in template.of("EC2::SecurityGroupIngress")]
    for name, link in template.of("ApiGatewayV2::VpcLink"):
        groups = list(every(link.get("SecurityGroupIds")))
        if not groups:
            yield f"{name} has no security group"
        for group in groups:
            if not any(way.get("SourceSecurityGroupId") == group for way in ways):
                yield f"{name} is let in nowhere"
    for name, _ in template.of("ApiGateway::VpcLink"):
        yield f"{name} is of the first kind, which takes network load balancers alone"


def no_origins_are_allowed(template: Template) -> Iterator[str]:
    """No browser calls here; CORS would only open what is closed."""
    for name, api in template.of("ApiGatewayV2::Api"):
        if "CorsConfiguration" in api:
            yield f"{name} answers browsers of other origins"
    for name, method in template.of("ApiGateway::Method"):
        if method["HttpMethod"] == "OPTIONS":
            yield f"{name} answers browsers of other origins"
    for name, bucket in template.of("S3::Bucket"):
        if "CorsConfiguration" in bucket:
            yield f"{name} answers browsers of other origins"


def stages_are_throttled(template: Template) -> Iterator[str]:
    """Else one caller could use up what the account may ask in a region."""
    for name, stage in template.of("ApiGatewayV2::Stage"):
        settings = stage.get("DefaultRouteSettings", {})
        if not {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= settings.keys():
            yield f"{name} is not throttled"
    for name, stage in template.of("ApiGateway::Stage"):
        settings = [each for each in every(stage.get("MethodSettings")) if _for_all(each)]
        if not any({"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= s.keys() for s in settings):
            yield f"{name} is not throttled"


def _for_all(settings: Mapping[str, Any]) -> bool:
    return settings.get("HttpMethod") == "*" and settings.get("ResourcePath") == "/*"


def private_apis_are_reached_through_endpoints(template: Template) -> Iterator[str]:
    """A private API answers nobody without a policy; a wide one lets in every VPC of AWS."""
    for name, api in template.of("ApiGateway::RestApi"):
        denied = [
            condition
            for statement in every(api.get("Policy", {}).get("Statement"))
            if statement["Effect"] == "Deny" and statement["Principal"] == "*"
            for condition in every(statement.get("Condition"))
        ]
        if not any("aws:SourceVpce" in each.get("StringNotEquals", {}) for each in denied):
            yield f"{name} can be reached past its endpoints"


def nobody_but_the_callers_is_let_in(template: Template) -> Iterator[str]:
    """Within an account the caller's own policy is enough, unless the API's denies it.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
    """
    for name, api in template.of("ApiGateway::RestApi"):
        said = list(every(api.get("Policy", {}).get("Statement")))
        who: dict[str, list[Any]] = {
            effect: [
                condition[operator]["aws:PrincipalArn"]
                for statement in said
                if statement["Effect"] == effect
                for condition in every(statement.get("Condition"))
                if "aws:PrincipalArn" in condition.get(operator, {})
            ]
            for effect, operator in (("Allow", "ArnEquals"), ("Deny", "ArnNotEquals"))
        }
        if not who["Allow"] or who["Allow"] != who["Deny"]:
            yield f"{name} lets in whoever has a policy for it"


def stages_wait_for_the_role_that_logs(template: Template) -> Iterator[str]:
    """A stage with access logs is refused while the account has no role for them."""
    for account, _ in template.of("ApiGateway::Account"):
        for name, stage in template.of("ApiGateway::Stage"):
            if f"${{{account}}}" not in json.dumps(stage):
                yield f"{name} may be made before {account} is there"


def issuers_are_reached(template: Template) -> Iterator[str]:
    """Who checks tokens fetches the keys that they are signed with."""
    checks = any(
        action["Type"] == "jwt-validation"
        for _, listener in template.of("ElasticLoadBalancingV2::Listener")
        for action in every(listener["DefaultActions"])
    )
    ways = [way for _, way in template.of("EC2::SecurityGroupEgress")]
    if checks and not any(way.get("CidrIp") == "0.0.0.0/0" for way in ways):
        yield "the issuer of tokens cannot be reached"


def load_balancers_are_internal(template: Template) -> Iterator[str]:
    """What stands in front of the cluster has no public address."""
    for name, found in template.of("ElasticLoadBalancingV2::LoadBalancer"):
        if found.get("Scheme") != "internal" and "Public" not in template.reasons(name):
            yield f"{name} is public"
        if not found.get("SecurityGroups"):
            yield f"{name} has no security group, and a network load balancer never gets one"
    for name, found in template.of("ElasticLoadBalancingV2::TargetGroup"):
        if found.get("TargetType") != "ip":
            yield f"{name} does not take pods and tasks by address"


def what_is_public_takes_only_what_slack_sends(template: Template) -> Iterator[str]:
    """Behind a public load balancer is the gateway, and only by the paths that Slack calls."""
    public = {
        name
        for name, found in template.of("ElasticLoadBalancingV2::LoadBalancer")
        if found.get("Scheme") != "internal"
    }
    if not public:
        return
    for name, listener in template.of("ElasticLoadBalancingV2::Listener"):
        if any(each["Type"] != "fixed-response" for each in every(listener["DefaultActions"])):
            yield f"{name} passes everything on"
    for name, rule in template.of("ElasticLoadBalancingV2::ListenerRule"):
        paths = [
            text(each)
            for condition in every(rule["Conditions"])
            for each in every(condition.get("PathPatternConfig", {}).get("Values"))
        ]
        if not paths or not all(re.fullmatch(r"/slack/[a-z]+", path) for path in paths):
            yield f"{name} passes on what Slack does not send"
    for name, group in template.of("ElasticLoadBalancingV2::TargetGroup"):
        if group["Port"] != 3000:
            yield f"{name} leads to something else than the gateway"


def listeners_speak_tls(template: Template) -> Iterator[str]:
    """TLS 1.2 at least, on all of them."""
    for name, listener in template.of("ElasticLoadBalancingV2::Listener"):
        if not set(either(listener["Protocol"])) <= {"HTTPS", "TLS"}:
            yield f"{name} speaks plain text"
        policy = str(listener.get("SslPolicy"))
        if not re.fullmatch(r"ELBSecurityPolicy-TLS13-1-[23]\b.*", policy):
            yield f"{name} takes old TLS ({policy})"
    for name, group in template.of("ElasticLoadBalancingV2::TargetGroup"):
        # Port 3000 is the gateway's own, which a load balancer of its own stands in front of.
        if group["Port"] != 3000 and not set(either(group["Protocol"])) <= {"HTTPS", "TLS"}:
            yield f"{name} speaks plain text to the pods"


def endpoint_services_admit_by_name(template: Template) -> Iterator[str]:
    """PrivateLink gives a way, not a proof; at least the way is not for everybody."""
    for name, found in template.of("EC2::VPCEndpointServicePermissions"):
        for principal in every(found.get("AllowedPrincipals")):
            pattern = template.parameters.get(principal.get("Ref", ""), {}).get(
                "AllowedPattern", ".*"
            )
            if re.fullmatch(pattern, "*"):
                yield f"{name} would admit every account of AWS"
    if list(template.of("EC2::VPCEndpointService")) and not list(
        template.of("EC2::VPCEndpointServicePermissions")
    ):
        yield "nobody is admitted to the endpoint service"
    for name, service in template.of("EC2::VPCEndpointService"):
        balancers = every(service.get("NetworkLoadBalancerArns"))
        if not all(_is_given_as(template, each, "loadbalancer/net/x/0") for each in balancers):
            yield f"{name} would take something else than a network load balancer"


RULES: Final = (
    every_route_asks_for_a_signature,
    every_route_is_written_out,
    every_api_is_served,
    integrations_lead_to_a_listener,
    integrations_name_their_payload_format,
    integrations_give_up_before_the_api,
    the_agent_sees_no_stage,
    backends_are_asked_by_tls,
    vpc_links_reach_the_load_balancer,
    no_origins_are_allowed,
    stages_are_throttled,
    private_apis_are_reached_through_endpoints,
    nobody_but_the_callers_is_let_in,
    stages_wait_for_the_role_that_logs,
    issuers_are_reached,
    load_balancers_are_internal,
    what_is_public_takes_only_what_slack_sends,
    listeners_speak_tls,
    endpoint_services_admit_by_name,
)
