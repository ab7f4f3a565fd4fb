// The dev workspace's page: what stands where. Everything on it comes from the workspace's state
// (stream.js) and is drawn by the part it belongs to.
import { html, render, useEffect, useState } from "./dom.js";
import { Bucket } from "./bucket.js";
import { Cluster } from "./cluster.js";
import { Composer, slashLeadsHere } from "./composer.js";
import { Dialogs } from "./dialog.js";
import { Faults } from "./faults.js";
import { Journeys } from "./journey.js";
import { ChannelHead, Messages } from "./messages.js";
import { Sidebar } from "./sidebar.js";
import { follow, markRead, update, useSlice } from "./stream.js";

const DRAWER = "tidegate.drawer";
const DRAWERS = { __proto__: null, Cluster, Bucket };
const PROBLEM_MS = 8000;

function App() {
  const ready = useSlice((state) => state.ready);
  const [drawer, setDrawer] = useState(() => remembered(DRAWER));
  if (!ready) return html`<${Lost} /><p class="starting">Opening the workspace…</p>`;
  const toggle = (name) => {
    const next = drawer === name ? "" : name;
    remember(DRAWER, next);
    setDrawer(next);
  };
  const open = DRAWERS[drawer];
  return html`<div class="page">
      <aside class="left" aria-label="Workspace"><${Sidebar} /></aside>
      <main class="middle">
        <${ChannelHead} />
        <${Messages} />
        <${Bars} />
        <${Composer} />
      </main>
      <aside class="right" aria-label="What happens">
        <${Journeys} />
        ${open && html`<${open} />`}
      </aside>
      <footer class="bottom">
        <${Faults} />
        <div class="drawer-buttons">
          ${Object.keys(DRAWERS).map(
            (name) => html`<button
              type="button"
              class="button button-small"
              aria-expanded=${drawer === name}
              aria-controls=${drawer === name ? "drawer" : undefined}
              onClick=${() => toggle(name)}
            >
              ${name} <span class="drawer-sign" aria-hidden="true">▸</span>
            </button>`,
          )}
        </div>
      </footer>
    </div>
    <${Dialogs} />
    <${Problem} />`;
}

/** What a person should know before anything else; at most one line each. */
function Bars() {
  const gateway = useSlice((state) => state.gateway.state);
  const down = {
    down: "The gateway is down. It is being started again; what it has acknowledged goes on after that. Until then, a click gets Slack's ⚠.",
    restarting: "The gateway is starting again. What it had acknowledged before goes on as soon as it is up.",
  }[gateway];
  return html`<div class="bars" aria-live="polite">
    <${Lost} />
    ${down && html`<p class="bar bar-odd">${down}</p>`}
  </div>`;
}

function Lost() {
  const lost = useSlice((state) => state.lost);
  if (!lost) return null;
  return html`<p class="bar bar-bad" role="alert">
    Connection to the workspace lost, trying again… If it does not come back, start it again
    with <code>make dev</code> or <code>tidegate dev</code>.
  </p>`;
}

/** What could not be done, in the workspace's own words, until it is closed or some time is over. */
function Problem() {
  const problem = useSlice((state) => state.problem);
  useEffect(() => {
    if (!problem) return undefined;
    const timer = setTimeout(() => update({ problem: null }), PROBLEM_MS);
    return () => clearTimeout(timer);
  }, [problem]);
  return html`<div class="problems" role="alert">
    ${problem &&
    html`<div class="problem">
      <span>${problem}</span>
      <button type="button" class="button button-small" onClick=${() => update({ problem: null })}>Close</button>
    </div>`}
  </div>`;
}

// A browser may refuse storage altogether; the drawer is then closed after a reload, no more.
function remembered(key) {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // see above
  }
}

const root = document.getElementById("page");
root.replaceChildren();
render(html`<${App} />`, root);
slashLeadsHere();
document.addEventListener("visibilitychange", markRead);
follow();
