// Who and what the workspace knows by name. One object for as long as no name changes, so that a
// new unread mark does not redraw every message.

let signature = "";
let known = null;

/** Names by id, and the lists that menus of people and channels offer. */
export function peopleOf({ users, bots, channels, me }) {
  const places = channels.map(({ id, name }) => ({ id, name }));
  const next = JSON.stringify([users, bots, places, me]);
  if (next === signature) return known;
  signature = next;
  const names = new Map();
  const authors = new Map();
  for (const { id, name } of places) names.set(id, name);
  for (const user of users) {
    names.set(user.id, user.name);
    authors.set(user.id, { name: user.name, initials: user.initials, color: user.color });
  }
  bots.forEach((bot, index) => {
    // The first one is the gateway's own; others may share its user id, and do not take its name.
    const author = { name: bot.name, app: true, own: index === 0 };
    for (const id of [bot.id, bot.user_id]) {
      if (!id || names.has(id)) continue;
      names.set(id, bot.name);
      authors.set(id, author);
    }
  });
  known = { names, authors, users, channels: places, me };
  return known;
}

/** Who wrote the message. */
export function authorOf(people, message) {
  const id = message.bot_id ?? message.user ?? "";
  const author = people.authors.get(id) ?? people.authors.get(message.user ?? "");
  return author ?? { name: message.username ?? (id || "Somebody"), app: Boolean(message.bot_id) };
}
