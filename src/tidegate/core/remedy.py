"""What an operator can do about a request that did not arrive, by the reason it was given.

Said in the log, beside the reason. People in Slack read `tidegate.core.notices` instead: they
cannot mend a pathway.
"""

from typing import Final

_REMEDIES: Final = {
    # --- nothing was sent
    "connect": (
        "Nothing takes connections there: look at security groups, routes and the target's "
        "health, and at url and connect_to."
    ),
    "dns": (
        "The name has no address here: look at url and connect_to, and at the private DNS of the "
        "VPC, the endpoint or the cluster."
    ),
    "private_address": (
        "The name led to an address that this pathway may not use. Where the service is meant to "
        "be private, set private_addresses: true; loopback and link-local addresses are never used."
    ),
    "tls": (
        "The certificate is of no authority that is trusted here: name the private CA in ca_file, "
        "or look at who answers there."
    ),
    "tls_name": (
        "The certificate is for another name than the one asked for: write that name in host "
        "(or url), and where to connect to in connect_to."
    ),
    "tls_expired": (
        "The service's certificate has expired or is not valid yet: renew it, and compare clocks."
    ),
    "tls_files": (
        "ca_file, client_cert or client_key cannot be read or do not belong together: each holds "
        "PEM, and the key is the certificate's own, without a passphrase."
    ),
    "client_refused": (
        "The service refused the client certificate: it must be of an authority that the service "
        "trusts, still valid, and meant for client authentication."
    ),
    "credentials": (
        "No AWS credentials: `aws sts get-caller-identity` in the gateway's place shows why; a "
        "role to assume must trust the gateway's own, with the external id."
    ),
    "token": (
        "No token: look at the file, its audience and rights; or at sts:GetWebIdentityToken in the "
        "role's policy, and at the account's outbound web identity federation."
    ),
    "unsignable": (
        "The address or a header cannot be sent as it stands: look at url and request.path."
    ),
    "too_large": "API Gateway takes 10 MB at most: let the action send a reference, not content.",
    "head_too_large": (
        "API Gateway takes 10,240 bytes of request line and headers: shorten the path, or use a "
        "role whose session token is shorter (fewer session tags and policies)."
    ),
    # --- the edge answered
    "unsigned": (
        "The edge asks for a signature: use type: api_gateway, or auth: {type: sigv4}; a proxy in "
        "between must pass Authorization and x-amz-* on."
    ),
    "bad_signature": (
        "The signature does not fit what arrived: a proxy may change path, query, body or a "
        "header, or the Host that is signed (url, host) is not the one that arrives."
    ),
    "wrong_scope": "region and service of the pathway must be those of the API.",
    "clock_skew": "The gateway's clock is wrong by minutes: let it be set by NTP (chrony).",
    "expired_credentials": (
        "The session's token has expired: keys in the environment or a file are not renewed; use "
        "a role (task, pod or instance) instead."
    ),
    "unknown_credentials": (
        "AWS does not know these keys: they were deleted, are another partition's, or are an STS "
        "session of a region that this account has not enabled."
    ),
    "not_permitted": (
        "The gateway's role lacks execute-api:Invoke (VPC Lattice: vpc-lattice-svcs:Invoke) on "
        "this method and path, or a resource, auth or endpoint policy denies it."
    ),
    "edge_forbidden": (
        "API Gateway let nobody see the request: the role may lack execute-api:Invoke, a stage or "
        "custom domain mapping be missing, the host be another API's, the default endpoint be "
        "disabled, or WAF have stopped it. $context.authorizer.error in the access log tells."
    ),
    "edge_refused": "The edge refused the request itself: its access log has it under request_id.",
    "token_refused": (
        "The load balancer refused the token: compare issuer, audience and JWKS URL of its "
        "jwt-validation action with auth; it takes RS256 alone."
    ),
    "no_route": (
        "The API has no such stage, route or method: url ends in the stage unless that is "
        "$default (or a custom domain's mapping); compare request.path with the API's routes."
    ),
    "throttled": "Raise the throttle of the stage, route or usage plan, or lower concurrency.",
    "link_down": (
        "The private integration cannot be had: is the VPC link AVAILABLE (after 60 days without "
        "traffic it goes INACTIVE), its security group let in by the load balancer, the listener "
        "there, a target healthy?"
    ),
    "no_target": "The load balancer has no healthy target: look at the pods and the health check.",
    "integration_timeout": (
        "The service took longer than the integration's timeout: answer 202 with a Location, and "
        "keep timeout_seconds under that timeout. Look at the service for what became of it."
    ),
    "integration_failed": (
        "The edge reached the service and got no whole answer: the access log's "
        "integrationErrorMessage under request_id tells why."
    ),
    # --- no answer
    "timeout": (
        "No answer within timeout_seconds. Long work answers 202 with a Location, and is followed."
    ),
    "no_answer": "The connection broke before an answer: look at the service's own log.",
}


def remedy(reason: str) -> str:
    """Return an operator's next step for a reason, or an empty text."""
    return _REMEDIES.get(reason, "")
