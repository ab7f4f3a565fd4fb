// The drawer that shows what is really running: workloads by namespace, their pods as tiles, their
// revisions and what has happened. A person sees in it that a click changed something.
import { Time, html, keyed, list, memo, text, useState } from "./dom.js";
import { Copy } from "./inspect.js";
import { useSlice } from "./stream.js";

const MOST_EVENTS = 30;
const AGENT = {
  __proto__: null,
  up: "agent is up",
  starting: "agent is starting",
  restarting: "agent is restarting",
  down: "agent is down",
};

/** The workloads as they are now, and how to look at them from a shell. */
export function Cluster() {
  const cluster = useSlice((state) => state.cluster);
  const workloads = keyed(list(cluster?.workloads), (one) => `${one.namespace}/${one.name}`);
  return html`<section id="drawer" class="drawer" aria-labelledby="cluster-title">
    <div class="drawer-head">
      <h2 id="cluster-title">Cluster</h2>
      <${Agent} />
    </div>
    ${cluster?.kubectl && html`<${Shell} line=${text(cluster.kubectl)} />`}
    ${workloads.length === 0 &&
    html`<p class="empty">Nothing runs here yet. It fills as soon as the cluster has started.</p>`}
    ${workloads.map(([key, workload]) => html`<${Workload} key=${key} workload=${workload} />`)}
    ${cluster?.operations > 0 && html`<${Records} count=${cluster.operations} />`}
  </section>`;
}

/** What the agent keeps, so that nothing is done twice. */
function Records({ count }) {
  const words = count === 1 ? "1 operation" : `${count} operations`;
  return html`<p class="drawer-help">
    The agent has a record of ${words}: <code>kubectl get configmaps -n tidegate</code>
  </p>`;
}

/** The light of the agent: what carries out in the cluster what was asked for here. */
function Agent() {
  const agent = useSlice((state) => state.agent);
  const restarts = agent.restarts > 0 ? `, started again ${agent.restarts} ×` : "";
  const title = agent.pid ? `Process ${agent.pid}${restarts}` : undefined;
  const tone = agent.state in AGENT ? agent.state : "down";
  return html`<span class=${`light light-${tone}`} role="status" title=${title}>
    <span class="lamp" aria-hidden="true"></span>${AGENT[agent.state] ?? "agent"}
  </span>`;
}

const Shell = memo(
  ({ line }) => html`<div class="shell">
    <code>${line}</code>
    <${Copy} value=${line} />
  </div>`,
);

const Workload = memo(({ workload }) => {
  const pods = list(workload.pods);
  const events = newestFirst(list(workload.events));
  return html`<section class="workload" aria-label=${`${text(workload.namespace)}/${text(workload.name)}`}>
    <div class="workload-head">
      <h3><span class="faint">${text(workload.namespace)}/</span>${text(workload.name)}</h3>
      <span class="workload-kind">${text(workload.kind)}</span>
      <span class=${`state state-${toneOfState(workload)}`}>${text(workload.state)}</span>
    </div>
    <p class="workload-facts">
      <code title=${text(workload.image)}>${shortImage(workload.image)}</code>
      <span>revision <b>${text(workload.revision)}</b></span>
      <span><b>${text(workload.ready)}</b> of ${text(workload.replicas)} ready</span>
    </p>
    <ul class="pods" aria-label="Pods">
      ${keyed(pods, (pod) => pod.name).map(([key, pod]) => html`<${Pod} key=${key} pod=${pod} />`)}
    </ul>
    ${events.length > 0 && html`<${Past} events=${events} revisions=${list(workload.revisions)} />`}
  </section>`;
});

/** The last thing that happened, and when opened all of it, with the revisions. */
function Past({ events, revisions }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details class="past" onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary title="Revisions and events"><${Event} event=${events[0]} of="span" /></summary>
    ${isOpen &&
    html`${revisions.length > 0 &&
      html`<ol class="revisions" aria-label="Revisions">
        ${revisions.map(
          (one) => html`<li>
            <b>${text(one.number)}</b> <code>${text(one.tag)}</code> <span>${text(one.cause)}</span>
          </li>`,
        )}
      </ol>`}
      <ol class="events" aria-label="Events">
        ${events.map((event) => html`<${Event} event=${event} of="li" />`)}
      </ol>`}
  </details>`;
}

function Event({ event, of }) {
  const isBad = /warn|error/i.test(text(event.level));
  return html`<${of} class=${isBad ? "event event-bad" : "event"}>
    <${Time} at=${event.at} /><span>${text(event.text)}</span>
  <//>`;
}

function toneOfState({ state, ready, replicas }) {
  if (/fail|degrad|stuck|crash/i.test(text(state))) return "bad";
  if (/healthy|ready|available|complete/i.test(text(state))) return "good";
  return ready === replicas && !state ? "good" : "live";
}

function newestFirst(events) {
  const when = (event) => (typeof event.at === "number" ? event.at : Date.parse(event.at) / 1000);
  return [...events].sort((a, b) => (when(b) || 0) - (when(a) || 0)).slice(0, MOST_EVENTS);
}

const Pod = memo(({ pod }) => {
  const name = text(pod.name);
  const phase = text(pod.phase) || "Unknown";
  const version = shortImage(pod.image).split(/[:@]/).at(-1);
  return html`<li class=${`pod pod-${toneOf(phase, pod.ready)}`} title=${`${name}\n${text(pod.image)}\n${phase}`}>
    <span class="pod-name">${name.split("-").at(-1)}</span>
    <span class="pod-version">${version}</span>
    <span class="pod-phase">${pod.ready ? "ready" : shortPhase(phase)}</span>
  </li>`;
});

/** The phase as it fits on a tile; the whole word is in its title. */
function shortPhase(phase) {
  if (/creating/i.test(phase)) return "creating";
  if (/crash/i.test(phase)) return "crashing";
  if (/imagepull/i.test(phase)) return "no image";
  return phase.toLowerCase();
}

function toneOf(phase, ready) {
  if (/fail|crash|error|backoff|evicted/i.test(phase)) return "bad";
  if (/terminat|succeed|complet/i.test(phase)) return "going";
  return ready ? "ready" : "coming";
}

/** The image without its registry; a digest cut to what tells it from others. */
function shortImage(image) {
  return (text(image).split("/").at(-1) ?? "").replace(/@sha256:([0-9a-f]{8})[0-9a-f]*/, "@$1");
}
