// JSON to read: indented, coloured by kind, and always text.
import { html, useState } from "./dom.js";

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const LONGEST = 200_000;

/** The value as formatted JSON. Text of several lines is shown as lines. */
export function Json({ value }) {
  if (typeof value === "string") return html`<pre class="code">${value.slice(0, LONGEST)}</pre>`;
  const source = (JSON.stringify(value, null, 2) ?? "null").slice(0, LONGEST);
  const parts = [];
  let at = 0;
  for (const found of source.matchAll(TOKEN)) {
    if (found.index > at) parts.push(source.slice(at, found.index));
    const kind = found[2] ? "json-key" : found[1] ? "json-text" : "json-value";
    parts.push(html`<span class=${kind}>${found[1] ?? found[0]}</span>`, found[2] ?? "");
    at = found.index + found[0].length;
  }
  parts.push(source.slice(at));
  return html`<pre class="code">${parts}</pre>`;
}

/** Several named values below each other, each with a button that copies it. */
export function Sections({ sections }) {
  return sections.map(
    ([name, value]) => html`<section class="inspected">
      <div class="inspected-head">
        <h3>${name}</h3>
        <${Copy} value=${value} />
      </div>
      <${Json} value=${value} />
    </section>`,
  );
}

/** A button that copies the value. */
export function Copy({ value }) {
  const [outcome, setOutcome] = useState("");
  const copy = async () => {
    const words = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    // A browser may refuse the clipboard; the text can then still be marked by hand.
    const done = navigator.clipboard?.writeText(words) ?? Promise.reject(new Error("no clipboard"));
    setOutcome(await done.then(() => "Copied", () => "Mark it and copy"));
    setTimeout(() => setOutcome(""), 1500);
  };
  return html`<button type="button" class="button button-small" onClick=${copy}>
    ${outcome || "Copy"}
  </button>`;
}
