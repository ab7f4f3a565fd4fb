// Block Kit as Slack lays it out. Blocks come from apps and carry whatever those were given: every
// value is taken as text, every address is checked, and a block of an unknown kind says so.
import { html, keyed, list, memo, safeLink, text } from "./dom.js";
import { Element } from "./elements.js";
import { withEmoji, emoji } from "./emoji.js";
import { Link, Mention, TextObject, nameOf, plain } from "./mrkdwn.js";
import { Picture } from "./pictures.js";

function Header({ block }) {
  return html`<h3 class="block-header">${plain(block.text)}</h3>`;
}

function Section({ block, place }) {
  const fields = list(block.fields);
  return html`<div class="block-section">
    <div class="section-text">
      ${block.text && html`<${TextObject} value=${block.text} people=${place.people} />`}
      ${fields.length > 0 &&
      html`<div class="fields">
        ${fields.map(
          (field) => html`<div class="section-field">
            <${TextObject} value=${field} people=${place.people} />
          </div>`,
        )}
      </div>`}
    </div>
    ${block.accessory &&
    html`<div class="accessory"><${Part} element=${block.accessory} place=${place} /></div>`}
  </div>`;
}

/** An element or, where blocks allow them, a small image. */
function Part({ element, place }) {
  if (element?.type === "image") return html`<${Picture} image=${element} small=${true} />`;
  return html`<${Element} element=${element} place=${place} />`;
}

function Actions({ block, place }) {
  return html`<div class="block-actions">
    ${keyed(list(block.elements), (element) => element.action_id).map(
      ([key, element]) => html`<${Element} key=${key} element=${element} place=${place} />`,
    )}
  </div>`;
}

function Context({ block, place }) {
  const parts = list(block.elements).map((element) =>
    element.type === "image"
      ? html`<${Picture} image=${element} small=${true} />`
      : html`<div><${TextObject} value=${element} people=${place.people} /></div>`,
  );
  return html`<div class="block-context">${parts}</div>`;
}

function ImageBlock({ block }) {
  return html`<figure class="block-image">
    ${block.title && html`<figcaption>${plain(block.title)}</figcaption>`}
    <${Picture} image=${block} />
  </figure>`;
}

function Input({ block, place }) {
  const label = plain(block.label);
  const element = block.element ?? {};
  const inside = { ...place, label, dispatches: block.dispatch_action === true };
  return html`<div class="block-input">
    <div class="input-label" aria-hidden="true">
      ${label} ${block.optional && html`<span class="faint">(optional)</span>`}
    </div>
    <${Element} element=${element} place=${inside} />
    ${block.hint && html`<div class="faint">${plain(block.hint)}</div>`}
  </div>`;
}

function RichText({ block, place }) {
  return html`<div class="block-text">
    <${RichParts} parts=${list(block.elements)} people=${place.people} />
  </div>`;
}

function RichParts({ parts, people }) {
  return parts.map((part) => {
    const inside = html`<${RichRuns} runs=${list(part.elements)} people=${people} />`;
    switch (part.type) {
      case "rich_text_preformatted":
        return html`<pre class="code">${inside}</pre>`;
      case "rich_text_quote":
        return html`<blockquote>${inside}</blockquote>`;
      case "rich_text_list":
        return html`<${RichList} part=${part} people=${people} />`;
      default:
        return html`<p>${inside}</p>`;
    }
  });
}

function RichList({ part, people }) {
  const items = list(part.elements).map(
    (item) => html`<li><${RichRuns} runs=${list(item.elements)} people=${people} /></li>`,
  );
  const indent = `indent-${Math.min(4, Math.max(0, Number(part.indent) || 0))}`;
  if (part.style !== "ordered") return html`<ul class=${indent}>${items}</ul>`;
  return html`<ol class=${indent} start=${(Number(part.offset) || 0) + 1}>${items}</ol>`;
}

function RichRuns({ runs, people }) {
  return runs.map((run) => styledRun(richRun(run, people), run.style));
}

function richRun(run, people) {
  switch (run.type) {
    case "link": {
      const href = safeLink(run.url);
      const words = text(run.text) || text(run.url);
      return href ? html`<${Link} href=${href}>${words}<//>` : words;
    }
    case "emoji":
      return html`<span class="emoji">${emoji(text(run.name)) ?? `:${text(run.name)}:`}</span>`;
    case "user":
      return html`<${Mention} me=${run.user_id === people.me}>@${nameOf(people, text(run.user_id))}<//>`;
    case "channel":
      return html`<${Mention}>#${nameOf(people, text(run.channel_id))}<//>`;
    case "usergroup":
      return html`<${Mention}>@${text(run.handle) || text(run.usergroup_id)}<//>`;
    case "broadcast":
      return html`<${Mention} me=${true}>@${text(run.range)}<//>`;
    case "date":
      return text(run.fallback);
    default:
      return text(run.text);
  }
}

function styledRun(inside, style) {
  let run = inside;
  if (style?.code) run = html`<code>${run}</code>`;
  if (style?.strike) run = html`<s>${run}</s>`;
  if (style?.italic) run = html`<em>${run}</em>`;
  if (style?.bold) run = html`<strong>${run}</strong>`;
  return run;
}

function Table({ block, place }) {
  const rows = (Array.isArray(block.rows) ? block.rows : []).filter(Array.isArray);
  const cell = (value, tag) => html`<${tag}>
    ${value?.type === "rich_text"
      ? html`<${RichParts} parts=${list(value.elements)} people=${place.people} />`
      : text(value?.text)}
  <//>`;
  return html`<div class="block-table" tabindex="0" role="group" aria-label="Table">
    <table>
      ${rows.map((row, index) => html`<tr>${row.map((value) => cell(value, index ? "td" : "th"))}</tr>`)}
    </table>
  </div>`;
}

function Markdown({ block }) {
  return html`<div class="block-text"><p>${withEmoji(text(block.text))}</p></div>`;
}

function Undrawn({ block }) {
  return html`<details class="undrawn">
    <summary>A “${text(block.type) || "nameless"}” block, which this workspace does not draw</summary>
    <pre class="code">${JSON.stringify(block, null, 2)}</pre>
  </details>`;
}

const KINDS = {
  __proto__: null, // a type named "constructor" is no type
  header: Header,
  section: Section,
  actions: Actions,
  context: Context,
  divider: () => html`<hr />`,
  image: ImageBlock,
  input: Input,
  rich_text: RichText,
  table: Table,
  markdown: Markdown,
};

/** A message's blocks, one below the other. Redrawn only for other blocks or other names. */
export const Blocks = memo(({ blocks, channel, ts, people }) => {
  const draw = ([key, block]) => {
    const Kind = KINDS[block.type] ?? Undrawn;
    const place = { channel, ts, block_id: text(block.block_id), people };
    return html`<${Kind} key=${key} block=${block} place=${place} />`;
  };
  return galleries(keyed(list(blocks), (block) => block.block_id)).map((run) =>
    run.length > 1
      ? html`<div key=${`gallery ${run[0][0]}`} class="gallery">${run.map(draw)}</div>`
      : draw(run[0]),
  );
});

/** The blocks in runs: pictures that follow each other stand together, all else by itself. */
function galleries(blocks) {
  const runs = [];
  for (const entry of blocks) {
    const before = runs.at(-1)?.at(-1)?.[1];
    if (entry[1].type === "image" && before?.type === "image") runs.at(-1).push(entry);
    else runs.push([entry]);
  }
  return runs;
}
