// The middle of the page: the open channel's messages. A message is drawn again only when it
// changed, and keeps the focus when it does.
import { Component, Time, h, html, instant, memo, text, useLayoutEffect, useMemo, useRef } from "./dom.js";
import { Blocks } from "./blocks.js";
import { Files, titleOf } from "./files.js";
import { Mrkdwn } from "./mrkdwn.js";
import { authorOf, peopleOf } from "./people.js";
import { useSlice } from "./stream.js";

const NEAR_END = 80;
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

const NONE = [];

/** What stands before a place's name: direct messages have no #. */
export function signOf(id) {
  return text(id).startsWith("D") ? "" : "#";
}

const openChannelOf = (state) => state.channels.find((one) => one.id === state.channel);

/** The open channel's name and topic; the first hint takes the topic's place, so nothing moves. */
export function ChannelHead() {
  const name = useSlice((state) => openChannelOf(state)?.name ?? "");
  const topic = useSlice((state) => openChannelOf(state)?.topic ?? "");
  const sign = signOf(useSlice((state) => state.channel));
  const hint = useSlice((state) => state.hint);
  return html`<header class="channel-head">
    <h1><span class="hash" aria-hidden="true">${sign}</span> ${text(name)}</h1>
    ${hint ? html`<p class="hint">${text(hint)}</p>` : html`<p class="topic">${text(topic)}</p>`}
  </header>`;
}

/** The open channel's messages. */
export function Messages() {
  const channel = useSlice((state) => state.channel);
  const name = useSlice((state) => openChannelOf(state)?.name ?? "");
  const where = signOf(channel) + text(name);
  const all = useSlice((state) => state.messages[channel] ?? NONE);
  const people = useSlice(peopleOf);
  const threads = useMemo(() => threaded(all, people.me), [all, people.me]);
  return html`<${Scroller} key=${channel} threads=${threads} label=${`Messages in ${where}`}>
      ${threads.length === 0 &&
      html`<p class="empty">Nothing has been said in ${where} yet. Say something below, or type
        <kbd>/</kbd> to see the commands.</p>`}
      ${withDays(threads).map((entry) =>
        entry.day
          ? html`<div key=${`day ${entry.day}`} class="day"><span>${entry.day}</span></div>`
          : html`<${Message}
              key=${entry.message.ts}
              message=${entry.message}
              replies=${entry.replies}
              people=${people}
            />`,
      )}
    <//>
    <${Announcer} messages=${all} people=${people} />`;
}

/** Messages with their replies, as this person sees them; repliers' own copies come once. */
function threaded(all, me) {
  const visible = all.filter((one) => !one.ephemeral_for || one.ephemeral_for === me);
  const threads = new Map();
  for (const message of visible) {
    if (isReply(message)) continue;
    const replies = (message.replies ?? NONE).filter((r) => !r.ephemeral_for || r.ephemeral_for === me);
    threads.set(message.ts, { message, replies });
  }
  for (const message of visible.filter(isReply)) {
    const thread = threads.get(message.thread_ts);
    if (!thread) threads.set(message.ts, { message, replies: NONE });
    else if (!thread.replies.some((reply) => reply.ts === message.ts)) {
      thread.replies = [...thread.replies, message];
    }
  }
  return [...threads.values()].map((thread) => ({ ...thread, replies: stable(thread.replies) }));
}

function isReply(message) {
  return Boolean(message.thread_ts) && message.thread_ts !== message.ts;
}

const lastReplies = new Map();

/** The very list of last time if it holds the same replies: a new list would redraw the thread. */
function stable(replies) {
  if (replies.length === 0) return NONE;
  const key = replies[0].ts;
  const before = lastReplies.get(key);
  if (before?.length === replies.length && before.every((r, i) => r === replies[i])) return before;
  lastReplies.set(key, replies);
  return replies;
}

function withDays(threads) {
  let last = "";
  return threads.flatMap((thread) => {
    const date = instant(thread.message.at ?? thread.message.ts);
    const day = !date ? last : date.toDateString() === new Date().toDateString() ? "Today" : DAY.format(date);
    if (day === last) return [thread];
    last = day;
    return [{ day }, thread];
  });
}

/** Stays at the end when it was there, and where it was otherwise. */
function Scroller({ threads, label, children }) {
  const element = useRef(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    const { current } = element;
    const settle = () => {
      if (atEnd.current) current.scrollTop = current.scrollHeight;
    };
    // Pictures arrive after their messages, and the window changes: both move the end.
    const watcher = new ResizeObserver(settle);
    watcher.observe(current);
    watcher.observe(current.firstElementChild);
    return () => watcher.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (atEnd.current) element.current.scrollTop = element.current.scrollHeight;
  }, [threads]);
  const onScroll = ({ currentTarget: box }) => {
    atEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END;
  };
  return html`<div ref=${element} class="scroller" tabindex="0" role="region" aria-label=${label} onScroll=${onScroll}>
    <div class="messages">${children}</div>
  </div>`;
}

/** Tells a screen reader about a message that has just come, in one short sentence. */
function Announcer({ messages, people }) {
  const known = useRef(null);
  const last = messages.at(-1);
  const isNew = known.current !== null && last && last.ts > known.current;
  const sentence = useRef("");
  if (isNew && (!last.ephemeral_for || last.ephemeral_for === people.me)) {
    const words = text(last.text) || (last.files ?? NONE).map(titleOf).join(", ");
    sentence.current = `${authorOf(people, last).name}: ${words.slice(0, 200)}`;
  }
  known.current = last?.ts ?? "";
  return html`<p class="unseen" role="status">${sentence.current}</p>`;
}

/** An article that gives the focus back after an update which replaced what had it. */
class Article extends Component {
  getSnapshotBeforeUpdate() {
    const focused = document.activeElement;
    if (!this.element?.contains(focused)) return null;
    return { focused, name: focused.textContent };
  }

  componentDidUpdate(_props, _state, before) {
    if (!before || before.focused.isConnected) return;
    const buttons = [...this.element.querySelectorAll("button")];
    const twin = buttons.find((button) => button.textContent === before.name);
    (twin ?? this.element).focus();
  }

  render({ children, ...attributes }) {
    const keep = (element) => (this.element = element);
    return html`<article ref=${keep} tabindex="-1" ...${attributes}>${children}</article>`;
  }
}

const Message = memo(({ message, replies, people, reply = false }) => {
  const author = authorOf(people, message);
  const isPrivate = Boolean(message.ephemeral_for);
  const kind = `message${reply ? " reply" : ""}${isPrivate ? " private" : ""}`;
  const label = `${author.name}${reply ? ", in a thread" : ""}`;
  return html`<${Article} class=${kind} aria-label=${label} data-ts=${message.ts}>
    ${isPrivate && html`<p class="private-mark"><${Eye} /> Only visible to you</p>`}
    <${Avatar} author=${author} small=${reply} />
    <div class="message-inside">
      <div class="message-head">
        <span class="author">${author.name}</span>
        ${author.app && html`<span class="app-mark">app</span>`}
        <${Time} at=${message.at ?? message.ts} />
      </div>
      <div class="message-body">
        ${message.blocks?.length
          ? html`<${Blocks}
              blocks=${message.blocks}
              channel=${message.channel}
              ts=${message.ts}
              people=${people}
            />`
          : (message.text || !message.files?.length) &&
            html`<div class="block-text"><${Mrkdwn} source=${message.text} people=${people} /></div>`}
        ${message.files?.length > 0 && html`<${Files} files=${message.files} me=${people.me} />`}
        ${message.edited && html`<span class="edited">(edited)</span>`}
      </div>
      ${replies?.length > 0 && html`<${Replies} replies=${replies} people=${people} />`}
    </div>
  <//>`;
});

function Replies({ replies, people }) {
  return html`<div class="replies" role="group" aria-label="Replies">
    ${replies.map((one) => html`<${Message} key=${one.ts} message=${one} people=${people} reply=${true} />`)}
  </div>`;
}

/** A square with initials; its lettering is dark or light, whichever is easier to read on it. */
export function Avatar({ author, small = false }) {
  const size = small ? " avatar-small" : "";
  if (author.own) return html`<img class=${`avatar${size}`} src="/page/mark.svg" alt="" />`;
  const color = /^#?[0-9a-f]{6}$/i.test(author.color ?? "") ? `#${author.color.replace("#", "")}` : "#5b6b70";
  const style = { backgroundColor: color, color: isLight(color) ? "#10181a" : "#ffffff" };
  const initials = text(author.initials) || author.name.slice(0, 1).toUpperCase();
  return html`<span class=${`avatar${size}`} style=${style} aria-hidden="true">${initials}</span>`;
}

function isLight(color) {
  const [red, green, blue] = [1, 3, 5]
    .map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179; // equal contrast to black and white
}

function Eye() {
  return h("svg", { class: "sign", viewBox: "0 0 20 20", "aria-hidden": "true" }, [
    h("path", { d: "M2 10s3-5.5 8-5.5S18 10 18 10s-3 5.5-8 5.5S2 10 2 10Z" }),
    h("circle", { cx: 10, cy: 10, r: 2.3 }),
  ]);
}
