// The page's one copy of the workspace's state. It comes as a whole on every (re)connection and in
// small events after that; parts that did not change keep their identity, so nothing is redrawn
// that looks the same, and nothing flickers.
import { useLayoutEffect, useReducer, useRef } from "./dom.js";

const MOST_JOURNEYS = 20;
const MOST_DELIVERIES = 50;
const LONGEST_WAIT_MS = 5000;

const listeners = new Set();
let state = {
  ready: false,
  lost: false,
  workspace: { name: "Tidegate workspace" },
  me: null,
  users: [],
  bots: [],
  channels: [],
  messages: {},
  commands: [],
  deliveries: [],
  journeys: [],
  faults: [],
  gateway: { state: "starting" },
  agent: { state: "starting" },
  cluster: { workloads: [] },
  bucket: { objects: [] },
  hint: null,
  // The page's own: what it is looking at, and what it has asked for and not heard of yet.
  channel: decodeURIComponent(location.hash.slice(1)) || null,
  pending: {},
  problem: null,
};

/** The state as it is now. Never change it; hand a change to `update`. */
export function current() {
  return state;
}

/** The state holds the change, and everyone who looks at it has been told. */
export function update(change) {
  state = { ...state, ...change };
  for (const listener of [...listeners]) listener();
}

/** What `select` picks from the state; the component is drawn again only when that changes. */
export function useSlice(select) {
  const [, redraw] = useReducer((count) => count + 1, 0);
  const seen = useRef(null);
  const value = select(state);
  seen.current = { select, value };
  useLayoutEffect(() => {
    const listener = () => {
      if (seen.current.select(state) !== seen.current.value) redraw();
    };
    listeners.add(listener);
    listener(); // something may have changed between drawing and listening
    return () => listeners.delete(listener);
  }, []);
  return value;
}

/** `after`, with every part that equals its counterpart in `before` being that very object. */
export function share(before, after) {
  if (before === after || !before || !after) return after;
  if (typeof before !== "object" || typeof after !== "object") return after;
  if (Array.isArray(before) !== Array.isArray(after)) return after;
  const keys = Object.keys(after);
  let equal = keys.length === Object.keys(before).length;
  const shared = Array.isArray(after) ? [] : {};
  for (const key of keys) {
    shared[key] = share(before[key], after[key]);
    if (shared[key] !== before[key] || !(key in before)) equal = false;
  }
  return equal ? before : shared;
}

function upsert(items, item, key) {
  const index = items.findIndex((other) => other[key] === item[key]);
  if (index < 0) return null;
  const merged = share(items[index], item);
  if (merged === items[index]) return items;
  return items.with ? items.with(index, merged) : items.map((o, i) => (i === index ? merged : o));
}

/** A message in its place: replaced by ts, in its parent's replies if those are kept there. */
export function withMessage(messages, message) {
  const replaced = upsert(messages, message, "ts");
  if (replaced) return replaced;
  const parent = messages.find(
    (other) => other.ts === message.thread_ts && Array.isArray(other.replies),
  );
  if (parent) {
    const replies = withMessage(parent.replies, message);
    return messages.map((other) => (other === parent ? { ...parent, replies } : other));
  }
  const later = messages.findIndex((other) => Number(other.ts) > Number(message.ts));
  const at = later < 0 ? messages.length : later;
  return [...messages.slice(0, at), message, ...messages.slice(at)];
}

function withoutMessage(messages, ts) {
  return messages
    .filter((message) => message.ts !== ts)
    .map((message) =>
      message.replies?.some((reply) => reply.ts === ts)
        ? { ...message, replies: message.replies.filter((reply) => reply.ts !== ts) }
        : message,
    );
}

function knows(messages, ts) {
  return messages.some((m) => m.ts === ts || m.replies?.some((reply) => reply.ts === ts));
}

function takeMessage({ channel, message }) {
  const before = state.messages[channel] ?? [];
  const isNew = !knows(before, message.ts);
  const mine = message.user === state.me;
  const hidden = message.ephemeral_for && message.ephemeral_for !== state.me;
  const messages = { ...state.messages, [channel]: withMessage(before, message) };
  const counts = isNew && !mine && !hidden;
  const channels = counts
    ? state.channels.map((c) => (c.id === channel ? { ...c, unread: (c.unread ?? 0) + 1 } : c))
    : state.channels;
  update({ messages, channels });
  if (counts) markRead();
}

/** A delivery is known; a later word about it is never overwritten by an earlier one. */
export function takeDelivery(delivery, onlyIfNew = false) {
  const replaced = upsert(state.deliveries, delivery, "id");
  if (replaced && onlyIfNew) return;
  const deliveries = replaced ?? [...state.deliveries, delivery].slice(-MOST_DELIVERIES);
  update({ deliveries, hint: null });
}

function takeJourney(journey) {
  const replaced = upsert(state.journeys, journey, "id");
  update({ journeys: replaced ?? [journey, ...state.journeys].slice(0, MOST_JOURNEYS) });
}

function takeState(fresh) {
  const known = {};
  for (const key of Object.keys(fresh)) {
    if (key in state) known[key] = share(state[key], fresh[key]);
  }
  const channels = known.channels ?? state.channels;
  const channel = channels.some((c) => c.id === state.channel || c.name === state.channel)
    ? channels.find((c) => c.id === state.channel || c.name === state.channel).id
    : (channels[0]?.id ?? null);
  update({ ...known, channel, ready: true, lost: false, pending: {} });
  markRead();
}

const takers = {
  state: takeState,
  message: takeMessage,
  message_deleted: ({ channel, ts }) =>
    update({
      messages: { ...state.messages, [channel]: withoutMessage(state.messages[channel] ?? [], ts) },
    }),
  delivery: ({ delivery }) => takeDelivery(delivery),
  journey: ({ journey }) => takeJourney(journey),
  cluster: ({ cluster }) => update({ cluster: share(state.cluster, cluster) }),
  bucket: ({ bucket }) => update({ bucket: share(state.bucket, bucket) }),
  faults: ({ faults }) => update({ faults: share(state.faults, faults) }),
  agent: ({ agent }) => update({ agent: share(state.agent, agent) }),
  gateway: ({ gateway }) => update({ gateway: share(state.gateway, gateway) }),
  user: ({ me }) => update({ me }),
};

/** The page follows the workspace from now on, and finds it again whenever it loses it. */
export function follow() {
  let wait = 250;
  const connect = () => {
    const source = new EventSource("/dev/events");
    for (const [name, take] of Object.entries(takers)) {
      source.addEventListener(name, (event) => {
        wait = 250;
        take(JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      // EventSource gives up for good on some failures and waits long on others; ask anew instead.
      source.close();
      if (!state.lost) update({ lost: true });
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    });
  };
  connect();
}

/** The answer to a POST, or null after the person has been told why there is none. */
export async function post(path, body) {
  let problem = "The workspace did not answer, so nothing was sent. Once it is back, do it again.";
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    problem = `The workspace answered ${response.status}. Try it once more.`;
    const answer = await response.json();
    if (response.ok && answer.ok) {
      if (state.problem && path !== "/dev/read") update({ problem: "" });
      return answer;
    }
    problem = typeof answer.error === "string" ? answer.error : problem;
  } catch {
    // No connection, or an answer that is not JSON: `problem` says which.
  }
  update({ problem });
  return null;
}

let reading = 0;

/** What the person is looking at counts as read, a moment after it is on the screen. */
export function markRead() {
  clearTimeout(reading);
  reading = setTimeout(() => {
    const open = state.channels.find((channel) => channel.id === state.channel);
    if (!open?.unread || document.visibilityState !== "visible") return;
    update({ channels: state.channels.map((c) => (c === open ? { ...c, unread: 0 } : c)) });
    post("/dev/read", { channel: open.id });
  }, 300);
}

/** The channel is the one in the middle, and a reload comes back to it. */
export function openChannel(id) {
  history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  update({ channel: id });
  markRead();
}

let switching = Promise.resolve();

/** The browser acts as this person; the choice shows at once and is taken back if refused. */
export function actAs(id) {
  const before = state.me;
  update({ me: id });
  switching = switching.then(async () => {
    if (!(await post("/dev/user", { user: id })) && state.me === id) update({ me: before });
  });
}

/** What identifies an element among all that can be pressed. */
export function placeOf(channel, ts, blockId, actionId) {
  return [channel, ts, blockId, actionId].join("\u0000");
}

/** The newest delivery from this element by the person at the browser, or null. */
export function newestDelivery(deliveries, me, channel, ts, blockId, actionId) {
  let newest = null;
  for (const one of deliveries) {
    if (one.action_id !== actionId || one.block_id !== blockId) continue;
    if (one.message_ts !== ts || one.channel !== channel) continue;
    if (one.user && one.user !== me) continue;
    if (!newest || (one.at ?? 0) >= (newest.at ?? 0)) newest = one;
  }
  return newest;
}
