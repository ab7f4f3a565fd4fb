"""What a bot token may do, as Slack says it in the head of each answer."""

from typing import Any, Final

from tidegate.adapters.slack_api.client import SlackClient

#: Source: https://docs.slack.dev/apis/web-api/
HEADER: Final = "x-oauth-scopes"
MAX_SCOPES: Final = 512  # Slack has about a hundred


async def granted_scopes(client: SlackClient) -> frozenset[str] | None:
    """Return the scopes of the client's token; None where Slack does not say.

    Raises:
        SlackError: The token is none, or Slack does not answer.
    """
    heads: list[str] = []

    async def asked() -> Any:
        answer = await client.web.auth_test()
        heads.extend(value for name, value in answer.headers.items() if name.lower() == HEADER)
        return answer

    await client.call(asked())
    if not heads:
        return None
    scopes = [scope.strip() for scope in ",".join(heads).split(",")]
    return frozenset(scope for scope in scopes[:MAX_SCOPES] if scope)
