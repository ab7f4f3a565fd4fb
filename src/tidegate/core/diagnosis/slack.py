"""Slack as the gateway's token finds it: the workspace, scopes, channels, groups and people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidegate.core.diagnosis.finding import Finding, Seen, Words, finding, listed
from tidegate.core.scopes import Need

WORDS: Final[Mapping[str, Words]] = {
    "slack.token_refused": Words(
        what="Slack does not take the bot token ({code})",
        why="it was revoked or replaced, is of an app that was uninstalled, or the gateway's "
        "address is not on the app's allow-list",
        mend="install the app again and put its new bot token (xoxb-…) where slack.bot_token says",
    ),
    "slack.unreachable": Words(
        what="Slack's Web API does not answer ({code})",
        why="the gateway's place has no way to the internet, or Slack is down",
        mend="give it a NAT gateway or an egress rule to slack.com:443; look at slack-status.com",
    ),
    "slack.busy": Words(
        what="Slack asks to wait",
        why="the app has asked too much within the last minute",
        mend="run the check again in a minute",
        grave=False,
    ),
    "slack.not_understood": Words(
        what="what answers is not Slack's Web API ({code})",
        why="slack.api_url names another service, or a proxy answers",
        mend="write https://slack.com/api/, and let the gateway reach it without a proxy",
    ),
    "slack.scope_missing": Words(
        what="the bot token lacks {scopes}",
        why="{reasons}",
        mend="add to the app's manifest what `tidegate manifest` prints, and install it again",
    ),
    "slack.scope_wished": Words(
        what="the bot token could do with {scopes}",
        why="{reasons}",
        mend="add to the app's manifest what `tidegate manifest` prints, and install it again",
        grave=False,
    ),
    "slack.scope_unused": Words(
        what="the bot token has scopes that nothing here uses: {scopes}",
        why="whoever gets hold of the token could use them",
        mend="take them out of the app's manifest, revoke the token and install the app again",
        grave=False,
    ),
    "slack.channel_unknown": Words(
        what="there is no channel {channel}, or the app may not know of it",
        why="the id is another workspace's, or of a private channel without the app",
        mend="correct the id; /invite the app to the private channel",
    ),
    "slack.channel_archived": Words(
        what="{channel} is archived",
        why="nothing can be posted there any more",
        mend="take it out of the configuration, or unarchive it",
    ),
    "slack.not_in_channel": Words(
        what="the app is not in {channel}",
        why="Slack lets it post only where it is a member",
        mend="/invite the app there",
    ),
    "slack.not_in_action_channel": Words(
        what="the app is not in {channel}, where actions are allowed",
        why="what commands come to is posted as a message, which Slack lets only members do",
        mend="/invite the app there",
        grave=False,
    ),
    "slack.channel_external": Words(
        what="people outside the workspace are in {channel}",
        why="nothing of {bucket} is shared there, since external: true is not set for it",
        mend="take the channel out of the bucket's channels, or set external: true on purpose",
    ),
    "slack.group_unknown": Words(
        what="there is no user group {group}",
        why="rules that name it admit nobody: it was deleted, or is another workspace's",
        mend="correct the id in allow",
    ),
    "slack.group_unlocked": Words(
        what="any member can join the user group {group}",
        why="so it counts for nothing: rules that name it admit nobody",
        mend="let only admins change it, or the identity provider; else trust_unlocked_groups: "
        "true, on purpose",
    ),
    "slack.group_empty": Words(
        what="nobody is in the user group {group}",
        why="rules that name it admit nobody",
        mend="add its members in Slack",
        grave=False,
    ),
    "slack.user_unknown": Words(
        what="there is no user {user}",
        why="rules that name it admit nobody: it is another workspace's, or a slip",
        mend="correct the id in allow",
        grave=False,
    ),
    "slack.user_gone": Words(
        what="{user} is deactivated, or a bot",
        why="rules that name it admit nobody",
        mend="take it out of allow",
        grave=False,
    ),
}

#: Slack's words for a token that it does not take.
#: Source: https://docs.slack.dev/reference/methods/auth.test#errors
_REFUSED: Final = frozenset(
    {
        "access_denied",
        "account_inactive",
        "accesslimited",
        "ekm_access_denied",
        "enterprise_is_restricted",
        "invalid_auth",
        "not_allowed_token_type",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel as the app sees it."""

    channel_id: str
    name: str
    member: bool
    archived: bool
    external: bool
    direct: bool = False

    @property
    def called(self) -> str:
        """Its name and id, for a sentence."""
        return f"#{self.name} ({self.channel_id})" if self.name else self.channel_id


def refused(code: str) -> Finding:
    """Return what it means that Slack said no to auth.test; *code* is Slack's word, or ours."""
    if code in _REFUSED:
        return finding(WORDS, "slack.token_refused", code=code)
    if code == "ratelimited":
        return finding(WORDS, "slack.busy")
    if code in ("unreachable", "timeout", "broken") or code.startswith("http 5"):
        return finding(WORDS, "slack.unreachable", code=code)
    return finding(WORDS, "slack.not_understood", code=code)


def scopes(missing: Sequence[Need], unused: Iterable[str]) -> Seen:
    """Judge a token's scopes by what the configuration needs."""
    found = []
    for code, required in (("slack.scope_missing", True), ("slack.scope_wished", False)):
        needs = [need for need in missing if need.required is required]
        if needs:
            reasons = dict.fromkeys(reason for need in needs for reason in need.reasons)
            named = listed(need.scope for need in needs)
            found.append(finding(WORDS, code, scopes=named, reasons="; ".join(reasons)))
    spare = sorted(unused)
    if spare:
        found.append(finding(WORDS, "slack.scope_unused", scopes=listed(spare)))
    return Seen(said="" if found else "exactly what is needed", findings=tuple(found))


def channel(
    seen: Channel | None, *, channel_id: str, buckets: Sequence[str], open_buckets: Sequence[str]
) -> Seen:
    """Judge a channel that the configuration names.

    Args:
        seen: As Slack shows it; None if there is none.
        channel_id: Its id in the configuration.
        buckets: Aliases of buckets that are shared from there.
        open_buckets: Those of them that may go to channels with people from elsewhere.
    """
    if seen is None:
        return Seen(findings=(finding(WORDS, "slack.channel_unknown", channel=channel_id),))
    found = []
    if seen.archived:
        found.append(finding(WORDS, "slack.channel_archived", channel=seen.called))
    elif not seen.member and not seen.direct:
        code = "slack.not_in_channel" if buckets else "slack.not_in_action_channel"
        found.append(finding(WORDS, code, channel=seen.called))
    closed = [alias for alias in buckets if alias not in open_buckets]
    if seen.external and closed:
        found.append(
            finding(WORDS, "slack.channel_external", channel=seen.called, bucket=listed(closed))
        )
    return Seen(said=seen.called, findings=tuple(found))


def group(group_id: str, *, exists: bool, members: int, locked: bool, trusted: bool) -> Seen:
    """Judge a user group that rules name; *trusted* are those that anyone can join, too."""
    if not exists:
        return Seen(findings=(finding(WORDS, "slack.group_unknown", group=group_id),))
    found = []
    if not locked and not trusted:
        found.append(finding(WORDS, "slack.group_unlocked", group=group_id))
    if not members:
        found.append(finding(WORDS, "slack.group_empty", group=group_id))
    who = "1 member" if members == 1 else f"{members} members"
    return Seen(said=f"{group_id}, {who}", findings=tuple(found))


def user(user_id: str, *, exists: bool, active: bool) -> Finding | None:
    """Return what is wrong with a person that rules name."""
    if not exists:
        return finding(WORDS, "slack.user_unknown", user=user_id)
    return None if active else finding(WORDS, "slack.user_gone", user=user_id)
