// Slack's mrkdwn, read into plain values and drawn as text nodes. `parse` knows no DOM; `Mrkdwn`
// draws what it found. Foreign text can become bold, a quote or a link to http(s) – never markup.
import { emoji, withEmoji } from "./emoji.js";
import { html, safeLink, text } from "./dom.js";

const LONGEST = 40_000; // Slack cuts a message's text there; so do we
const DEEPEST = 6;
const STYLES = { "*": "bold", _: "italic", "~": "strike" };
const WORD = /[\p{L}\p{N}]/u;
const ANGLE = /^<([^<>\n]{1,3000})>/;
const CODE = /^`([^`\n]+)`/;
const NAMED = /^:([a-z0-9_+-]{1,40}):/;
const ADDRESS = /^https?:\/\/[^\s<>|"]+/;
const QUOTE = /^(?:&gt;|>) ?/;
const BULLET = /^(\s*)(?:[•◦▪-])\s+/;
const NUMBER = /^(\s*)(\d{1,3})[.)]\s+/;

/** Slack's three entities as the characters they stand for; everything else stays. */
export function unescape(words) {
  return words.replace(/&(lt|gt|amp);/g, (_, name) => ({ lt: "<", gt: ">", amp: "&" })[name]);
}

/** The text as blocks: `pre`, `quote`, `list` and `lines`, in the order they were written. */
export function parse(source) {
  const words = text(source).slice(0, LONGEST);
  const blocks = [];
  words.split("```").forEach((part, index, parts) => {
    const fenced = index % 2 === 1 && index < parts.length - 1;
    if (fenced) blocks.push({ type: "pre", text: unescape(part.replace(/^\n|\n$/g, "")) });
    // An opening fence that is never closed is just three characters.
    else blocks.push(...parseLines(index % 2 === 1 ? "```" + part : part, index, parts.length));
  });
  return blocks;
}

function parseLines(part, index, count) {
  let lines = part.split("\n");
  if (index > 0 && lines[0] === "") lines = lines.slice(1);
  if (index < count - 1 && lines.at(-1) === "") lines = lines.slice(0, -1);
  const blocks = [];
  for (const line of lines) {
    const kind = kindOf(line);
    const last = blocks.at(-1);
    if (last?.type === kind.type && last.ordered === kind.ordered) last.lines.push(kind.line);
    else blocks.push({ type: kind.type, ordered: kind.ordered, start: kind.start, lines: [kind.line] });
  }
  return blocks.map(({ lines: raw, ...block }) =>
    block.type === "list"
      ? { ...block, items: raw.map((line) => ({ indent: line.indent, inline: inline(line.text) })) }
      : { ...block, inline: inline(raw.join("\n")) },
  );
}

function kindOf(line) {
  if (QUOTE.test(line)) return { type: "quote", line: line.replace(QUOTE, "") };
  const marker = BULLET.exec(line) ?? NUMBER.exec(line);
  if (!marker) return { type: "lines", line };
  const item = { indent: Math.min(4, marker[1].length >> 1), text: line.slice(marker[0].length) };
  return { type: "list", ordered: marker.length > 2, start: Number(marker[2] ?? 1), line: item };
}

/** Inline parts of one block: text, emoji, code, links, mentions and styled runs of the same. */
export function inline(source, depth = 0) {
  const parts = [];
  const hopeless = {}; // up to where a delimiter is known to find no partner: keeps this linear
  let plain = "";
  let at = 0;
  const flush = () => {
    if (plain) parts.push({ type: "text", text: unescape(plain) });
    plain = "";
  };
  while (at < source.length) {
    const found = token(source, at, depth, hopeless);
    if (found) {
      flush();
      parts.push(found.part);
      at += found.length;
    } else {
      plain += source[at];
      at += 1;
    }
  }
  flush();
  return parts;
}

function token(source, at, depth, hopeless) {
  const letter = source[at];
  if (letter in STYLES) return depth < DEEPEST ? styled(source, at, depth, hopeless) : null;
  if (!"`<:h".includes(letter)) return null;
  const rest = source.slice(at, at + 3002);
  if (letter === "`") return match(CODE, rest, ([, code]) => ({ type: "code", text: unescape(code) }));
  if (letter === "<") return match(ANGLE, rest, ([, inside]) => angle(inside));
  if (letter === ":") return namedEmoji(rest);
  if (at > 0 && WORD.test(source[at - 1])) return null;
  return address(rest);
}

function match(pattern, rest, make) {
  const found = pattern.exec(rest);
  return found && { part: make(found), length: found[0].length };
}

function namedEmoji(rest) {
  const found = NAMED.exec(rest);
  const sign = found && emoji(found[1]);
  return sign ? { part: { type: "emoji", text: sign, name: found[1] }, length: found[0].length } : null;
}

function address(rest) {
  const found = ADDRESS.exec(rest);
  if (!found) return null;
  const bare = found[0].replace(/[.,;:!?)\]'*_~]+$/, "");
  const href = safeLink(unescape(bare));
  return href && { part: { type: "link", href, text: unescape(bare) }, length: bare.length };
}

function styled(source, at, depth, hopeless) {
  const sign = source[at];
  const before = source[at - 1] ?? " ";
  const after = source[at + 1] ?? " ";
  if (at < (hopeless[sign] ?? 0) || WORD.test(before) || /\s/.test(after) || after === sign) return null;
  const end = closing(source, at + 1, sign);
  if (end < 0) {
    const newline = source.indexOf("\n", at);
    hopeless[sign] = newline < 0 ? source.length : newline;
    return null;
  }
  const inside = inline(source.slice(at + 1, end), depth + 1);
  return { part: { type: STYLES[sign], parts: inside }, length: end + 1 - at };
}

/** Where the run that `sign` opened ends, passing over links and code; -1 if nowhere. */
function closing(source, from, sign) {
  for (let at = from; at < source.length; at += 1) {
    if (source[at] === "\n") return -1;
    if (source[at] === "<" || source[at] === "`") {
      const close = source.indexOf(source[at] === "<" ? ">" : "`", at + 1);
      if (close > 0) at = close;
    } else if (source[at] === sign && !/\s/.test(source[at - 1])) {
      if (!WORD.test(source[at + 1] ?? " ") && at > from) return at;
    }
  }
  return -1;
}

/** What stands between angle brackets: a mention, a channel, a date, or a link. */
function angle(inside) {
  const bar = inside.indexOf("|");
  const target = bar < 0 ? inside : inside.slice(0, bar);
  const label = bar < 0 ? "" : unescape(inside.slice(bar + 1));
  if (target.startsWith("@")) return { type: "user", id: target.slice(1), label };
  if (target.startsWith("#")) return { type: "channel", id: target.slice(1), label };
  if (target.startsWith("!subteam^")) return { type: "group", label: label || `@${target.slice(9)}` };
  if (target.startsWith("!date^")) return { type: "text", text: label };
  if (target.startsWith("!")) return { type: "group", label: `@${label || target.slice(1)}` };
  const href = safeLink(unescape(target));
  if (href) return { type: "link", href, text: label || unescape(target) };
  return { type: "text", text: unescape(`<${inside}>`) };
}

/** The name of a person or app as the workspace knows it. */
export function nameOf(people, id, label = "") {
  return people.names.get(id) ?? (label || id);
}

/** A link that opens beside the page and tells the other side nothing about it. */
export function Link({ href, children }) {
  return html`<a href=${href} target="_blank" rel="noopener noreferrer">${children}</a>`;
}

/** Inline parts as elements. */
export function Inline({ parts, people }) {
  return parts.map((part) => {
    switch (part.type) {
      case "bold":
        return html`<strong><${Inline} parts=${part.parts} people=${people} /></strong>`;
      case "italic":
        return html`<em><${Inline} parts=${part.parts} people=${people} /></em>`;
      case "strike":
        return html`<s><${Inline} parts=${part.parts} people=${people} /></s>`;
      case "code":
        return html`<code>${part.text}</code>`;
      case "link":
        return html`<${Link} href=${part.href}>${part.text}<//>`;
      case "emoji":
        return html`<span class="emoji" title=${`:${part.name}:`}>${part.text}</span>`;
      case "user":
        return html`<${Mention} me=${part.id === people.me}>@${nameOf(people, part.id, part.label)}<//>`;
      case "channel":
        return html`<${Mention}>#${nameOf(people, part.id, part.label)}<//>`;
      case "group":
        return html`<${Mention} me=${includesMe(people, part.label)}>${part.label}<//>`;
      default:
        return part.text;
    }
  });
}

/** Whether the person is meant when this group is called: everyone here is, others by their role. */
function includesMe(people, label) {
  if (["@here", "@channel", "@everyone"].includes(label)) return true;
  const me = people.users.find((user) => user.id === people.me);
  return text(me?.role).split(/[\s·,]+/).includes(label);
}

/** A name that someone is called by. */
export function Mention({ me = false, children }) {
  return html`<span class=${me ? "mention mention-me" : "mention"}>${children}</span>`;
}

/** Text in Slack's mrkdwn, drawn. */
export function Mrkdwn({ source, people }) {
  return parse(source).map((block) => {
    if (block.type === "pre") return html`<pre class="code">${block.text}</pre>`;
    if (block.type === "list") return html`<${Listed} block=${block} people=${people} />`;
    const body = html`<${Inline} parts=${block.inline} people=${people} />`;
    if (block.type === "quote") return html`<blockquote>${body}</blockquote>`;
    return html`<p>${body}</p>`;
  });
}

function Listed({ block, people }) {
  const items = block.items.map(
    (item) => html`<li class=${`indent-${item.indent}`}>
      <${Inline} parts=${item.inline} people=${people} />
    </li>`,
  );
  return block.ordered ? html`<ol start=${block.start}>${items}</ol>` : html`<ul>${items}</ul>`;
}

/** One of Slack's text objects: mrkdwn, or plain text in which only emoji names mean something. */
export function TextObject({ value, people }) {
  if (value?.type === "mrkdwn") return html`<${Mrkdwn} source=${value.text} people=${people} />`;
  return html`<p>${plain(value)}</p>`;
}

/** A text object's words alone, for labels. */
export function plain(value) {
  const words = text(value?.text ?? value);
  return value?.emoji === false ? words : withEmoji(words);
}
