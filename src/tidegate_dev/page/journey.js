// The right side: how the last click travels, as it happens. The ack is the line between the two
// passes: above it what had to be done before Slack was answered, below it what goes on afterwards.
import { html, keyed, list, memo, milliseconds, text, useState } from "./dom.js";
import { present } from "./dialog.js";
import { Json, Sections } from "./inspect.js";
import { useSlice } from "./stream.js";

const MARKS = { done: "●", active: "◌", waiting: "○", failed: "✕" };
const SPOKEN = { done: "done", active: "under way", waiting: "not yet", failed: "failed" };

/** The journey of the last click, and the ones before it. */
export function Journeys() {
  const journeys = useSlice((state) => state.journeys);
  const [last, ...earlier] = journeys;
  return html`<section class="journeys" aria-labelledby="journey-title">
    <h2 id="journey-title">Journey of your last click</h2>
    <div role="log" aria-labelledby="journey-title" class="journey-log">
      ${last
        ? html`<${Journey} key=${last.id} journey=${last} />`
        : html`<p class="empty">Press a button or send a command. Each step it takes appears here, with
            the moment Slack has its answer as the line between the two passes.</p>`}
    </div>
    ${last && html`<${Records} journey=${last} />`}
    ${earlier.length > 0 &&
    html`<h3 class="earlier-title">Earlier</h3>
      ${earlier.map((one) => html`<${Earlier} key=${one.id} journey=${one} />`)}`}
  </section>`;
}

function Title({ journey, of = "div" }) {
  const name = useSlice((state) => state.users.find((u) => u.id === journey.user)?.name ?? "");
  return html`<${of} class="journey-head">
    <span class="journey-title">${text(journey.title)}</span>
    <span class="journey-by">${name}</span>
    <span class=${`state state-${toneOf(journey.state)}`}>${text(journey.state).replaceAll("_", " ")}</span>
  <//>`;
}

const TONES = {
  __proto__: null,
  succeeded: "good",
  failed: "bad",
  refused: "bad",
  denied: "bad",
  not_delivered: "bad",
  expired: "bad",
  unknown: "odd",
  running: "live",
  sending: "live",
  queued: "live",
};

function toneOf(state) {
  return TONES[text(state)] ?? "calm";
}

const Journey = memo(({ journey }) => [
  html`<${Title} journey=${journey} />`,
  html`<${Steps} steps=${journey.steps} />`,
]);

const Steps = memo(({ steps }) => {
  const rows = keyed(list(steps), (step) => step.key).flatMap(([key, step]) => [
    html`<${Step} key=${key} step=${step} />`,
    step.key === "acked" && html`<${Ack} key="ack" step=${step} />`,
  ]);
  return html`<ol class="steps">${rows}</ol>`;
});

/** The reply to Slack: everything below it happens while Slack has long had its answer. */
function Ack({ step }) {
  const words = {
    done: "the reply is out",
    failed: step.details?.status ? "the reply said no" : "Slack got no reply",
  }[step.status];
  return html`<li class=${`ack ack-${step.status === "done" ? "out" : "due"}`}>
    <span>${words ?? "the reply is not out yet"}</span>
  </li>`;
}

const Step = memo(({ step }) => {
  const status = step.status in MARKS ? step.status : "waiting";
  const [isOpen, setOpen] = useState(false);
  return html`<li class=${`step step-${status}`}>
    <details onToggle=${(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <span class="mark" aria-hidden="true">${MARKS[status]}</span>
        <span class="step-words">
          <span class="step-label">${text(step.label) || text(step.key)}</span>
          ${text(step.value) && html` <span class="step-value" title=${text(step.value)}>${text(step.value)}</span>`}
        </span>
        <span class="step-ms">${milliseconds(step.ms)}</span>
        <span class="unseen">, ${SPOKEN[status]}</span>
      </summary>
      ${isOpen && html`<div class="step-details"><${Details} step=${step} status=${status} /></div>`}
    </details>
  </li>`;
});

function Details({ step, status }) {
  if (step.details !== null && step.details !== undefined) return html`<${Json} value=${step.details} />`;
  const words = status === "waiting" ? "Not reached yet." : "Nothing more is known about this step.";
  return html`<p class="faint">${words}</p>`;
}

// What each button shows of the full journey. What is in none of them is shown with the request.
const RUN_KEYS = ["run", "run_row", "row", "audit", "audit_entries"];
const LOG_KEYS = ["log", "logs", "lines"];
const OWN_KEYS = ["id", "title", "user", "channel", "at", "state", "acked_ms", "steps", "ok"];
const IDS = ["run", "delivery"]; // where these are a mere id, the record itself comes beside it
const LONG = 120;

function sectionsOf(full, keep) {
  return Object.entries(full)
    .filter(([key, value]) => keep(key) && hasContent(value))
    .filter(([key, value]) => !(IDS.includes(key) && typeof value === "string"))
    .flatMap(([key, value]) => unfolded(key.replaceAll("_", " "), value));
}

function hasContent(value) {
  if (value === null || value === undefined || value === "") return false;
  return !Array.isArray(value) || value.length > 0;
}

/** The value, with its long texts as sections of their own, where their lines can be read. */
function unfolded(name, value) {
  if (Array.isArray(value) && value.length === 1) return unfolded(name, value[0]);
  if (typeof value !== "object" || Array.isArray(value)) return [[name, value]];
  const own = Object.entries(value);
  const stands = ([, v]) => typeof v === "string" && (v.length > LONG || v.includes("\n"));
  const inline = own.filter((entry) => !stands(entry));
  const apart = own.filter(stands).map(([key, v]) => [`${name}: ${key.replaceAll("_", " ")}`, v]);
  return [...(inline.length ? [[name, Object.fromEntries(inline)]] : []), ...apart];
}

const VIEWS = [
  {
    name: "raw request",
    pick: (full) =>
      sectionsOf(full, (key) => ![...RUN_KEYS, ...LOG_KEYS, ...OWN_KEYS].includes(key)),
    none: "No request has been seen for this journey.",
  },
  {
    name: "run",
    pick: (full) => sectionsOf(full, (key) => RUN_KEYS.includes(key)),
    none: "This journey has no run: it was refused before one was recorded, or joined another.",
  },
  {
    name: "log",
    pick: (full) => {
      const logged = sectionsOf(full, (key) => LOG_KEYS.includes(key));
      return logged.length ? logged : [["steps", full.steps]];
    },
    none: "The gateway has logged nothing about this journey yet.",
  },
];

/** Three buttons that show what has really been sent, stored and logged. Secrets come masked. */
function Records({ journey }) {
  const [problem, setProblem] = useState("");
  const open = async (view) => {
    setProblem("");
    try {
      const response = await fetch(`/dev/journey/${encodeURIComponent(journey.id)}`);
      if (!response.ok) throw new Error(String(response.status));
      const answer = await response.json();
      const sections = view.pick(answer.journey ?? answer);
      const body = sections.length
        ? html`<${Sections} sections=${sections} />`
        : html`<p>${view.none}</p>`;
      present(`${view.name} · ${text(journey.title)}`, body);
    } catch {
      setProblem("The workspace could not be asked about it. Try again in a moment.");
    }
  };
  return html`<div class="records">
      ${VIEWS.map(
        (view) => html`<button type="button" class="button button-small" onClick=${() => open(view)}>${view.name}</button>`,
      )}
    </div>
    ${problem && html`<p class="warning" role="alert"><span aria-hidden="true">⚠</span> ${problem}</p>`}`;
}

const Earlier = memo(({ journey }) => {
  const [isOpen, setOpen] = useState(false);
  return html`<details class="earlier" onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary><${Title} journey=${journey} of="span" /></summary>
    ${isOpen && html`<${Steps} steps=${journey.steps} /><${Records} journey=${journey} />`}
  </details>`;
});
