// The drawer that shows what is really running: workloads, their pods as tiles, what has happened.
// A person sees in it that a click changed something.
import { Time, html, keyed, list, memo, text } from "./dom.js";
import { useSlice } from "./stream.js";

const MOST_EVENTS = 30;

/** The workloads as they are now. */
export function Cluster() {
  const cluster = useSlice((state) => state.cluster);
  const workloads = keyed(list(cluster?.workloads), (one) => `${one.namespace}/${one.name}`);
  return html`<section id="drawer" class="drawer" aria-labelledby="cluster-title">
    <h2 id="cluster-title">Cluster</h2>
    ${workloads.length === 0 &&
    html`<p class="empty">Nothing runs here yet. It fills as soon as the cluster has started.</p>`}
    ${workloads.map(([key, workload]) => html`<${Workload} key=${key} workload=${workload} />`)}
  </section>`;
}

const Workload = memo(({ workload }) => {
  const pods = list(workload.pods);
  const events = list(workload.events);
  return html`<section class="workload" aria-label=${`${text(workload.namespace)}/${text(workload.name)}`}>
    <div class="workload-head">
      <h3><span class="faint">${text(workload.namespace)}/</span>${text(workload.name)}</h3>
      <span class=${`state state-${toneOfState(workload)}`}>${text(workload.state)}</span>
    </div>
    <p class="workload-facts">
      <code title=${text(workload.image)}>${shortImage(workload.image)}</code>
      <span>revision <b>${text(workload.revision)}</b></span>
      <span><b>${text(workload.ready)}</b> of ${text(workload.replicas)} ready</span>
    </p>
    <ul class="pods">
      ${keyed(pods, (pod) => pod.name).map(([key, pod]) => html`<${Pod} key=${key} pod=${pod} />`)}
    </ul>
    ${events.length > 0 &&
    html`<ol class="events" aria-label="Events">
      ${newestFirst(events).map(
        (event) => html`<li class=${/warn|error/i.test(text(event.level)) ? "event event-bad" : "event"}>
          <${Time} at=${event.at} /><span>${text(event.text)}</span>
        </li>`,
      )}
    </ol>`}
  </section>`;
});

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
