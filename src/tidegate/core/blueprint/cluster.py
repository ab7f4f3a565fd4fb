"""What is done in the cluster: the release of the chart, and what it looks for."""

from typing import Final

from tidegate.core.blueprint import values
from tidegate.core.blueprint.answers import Answers, Home

#: Behind a `kubectl create`: made, or brought up to date where it is there already.
_APPLIED: Final = "--dry-run=client -o yaml | kubectl apply -f -"


def commands(answers: Answers) -> str:
    """Return the commands, in order; whoever gives them once more is not stopped by the first."""
    blocks = []
    if answers.cluster is not None:
        region = f" --region {answers.region}" if answers.region else ""
        blocks.append(f"aws eks update-kubeconfig --name {answers.cluster}{region}")
    blocks.append(_certificate(answers))
    if answers.uses_aws:
        blocks += [_keys_of_secret(answers), _install(answers)]
    else:
        blocks += [_slack_secret(answers), _install(answers), _keys_of_gateway(answers)]
    return "\n".join(blocks)


def needed(answers: Answers) -> str:
    """Return what has to be in the cluster before, if anything has."""
    if answers.home is Home.ECS:
        # Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/targetgroupbinding/targetgroupbinding/
        return (
            "The cluster has to have the AWS Load Balancer Controller, which enters the agent's "
            "pods at the load balancer.\n\n"
        )
    if answers.uses_aws:
        # Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html
        return (
            "The cluster has to have the add-on `eks-pod-identity-agent` (`aws eks create-addon`), "
            "by which the gateway's pod gets its role.\n\n"
        )
    return ""


def _certificate(answers: Answers) -> str:
    namespace, agent = answers.name, f"{answers.name}-agent"
    return f"""\
kubectl create namespace {namespace} {_APPLIED}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN={agent} \\
  -addext subjectAltName=DNS:{agent}.{namespace}.svc \\
  -addext keyUsage=critical,digitalSignature,keyCertSign -keyout tls.key -out tls.crt
kubectl -n {namespace} create secret generic {values.agent_secret(answers)} \\
  --from-file=tls.crt --from-file=tls.key --from-file=ca.crt=tls.crt \\
  {_APPLIED} && rm tls.key"""


def _slack_secret(answers: Answers) -> str:
    names = ["SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"]
    names += ["SLACK_APP_TOKEN"] if answers.socket_mode else []
    lines = "\n".join(f"{name}=…" for name in names)
    return f"""\
umask 077
cat > slack.env <<'END'
{lines}
END
kubectl -n {answers.name} create secret generic {values.slack_secret(answers)} \\
  --from-env-file=slack.env {_APPLIED} && rm slack.env"""


def _install(answers: Answers) -> str:
    chart = '"${deploy:-deploy}/helm/tidegate"'
    return f"""\
helm upgrade --install {answers.name} {chart} --namespace {answers.name} --values values.yaml"""


def _keys_of_gateway(answers: Answers) -> str:
    """Return how the agent gets the keys of a gateway that makes its own."""
    gateway = f"statefulset/{answers.name}-gateway"
    return f"""\
kubectl -n {answers.name} rollout status {gateway}
kubectl -n {answers.name} exec {gateway} -- tidegate identity jwks > jwks.json
{_keys_map(answers)}"""


def _keys_of_secret(answers: Answers) -> str:
    """Return how the agent gets the keys where they are in Secrets Manager."""
    return f"tidegate identity jwks --config tidegate.yaml > jwks.json\n{_keys_map(answers)}"


def _keys_map(answers: Answers) -> str:
    name = values.keys_map(answers)
    create = f"kubectl -n {answers.name} create configmap {name} --from-file=jwks.json"
    return f"{create} \\\n  {_APPLIED}"
