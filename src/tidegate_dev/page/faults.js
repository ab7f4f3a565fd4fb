// The bottom: what can be made to fail, and what it does to the gateway.
import { html, text, useState } from "./dom.js";
import { current, post, update, useSlice } from "./stream.js";

const LIGHTS = {
  __proto__: null,
  up: "Gateway is up",
  starting: "Gateway is starting",
  restarting: "Gateway is restarting",
  down: "Gateway is down",
};

/** The switches, the kill button and the gateway's light. */
export function Faults() {
  const faults = useSlice((state) => state.faults);
  return html`<div class="faults" role="group" aria-labelledby="faults-title">
    <span id="faults-title" class="faults-title">Make it fail</span>
    ${faults.map((fault) => html`<${Fault} key=${fault.name} fault=${fault} />`)}
    <${Kill} />
    <${Light} />
  </div>`;
}

function Fault({ fault }) {
  const flip = async () => {
    const on = !fault.on;
    show(fault.name, on);
    if (!(await post("/dev/fault", { name: fault.name, on }))) show(fault.name, !on);
  };
  return html`<${Hinted} id=${`help-${fault.name}`} words=${fault.help}>
    <button
      type="button"
      class="switch"
      role="switch"
      aria-checked=${fault.on ? "true" : "false"}
      aria-describedby=${fault.help ? `help-${fault.name}` : undefined}
      onClick=${flip}
    >
      <span class="switch-track" aria-hidden="true"></span>${text(fault.label)}
    </button>
  <//>`;
}

function show(name, on) {
  const { faults } = current();
  update({ faults: faults.map((fault) => (fault.name === name ? { ...fault, on } : fault)) });
}

/** A word of explanation, shown when its control is pointed at or has the focus. */
function Hinted({ id, words, children }) {
  return html`<span class="hinted" onPointerEnter=${keepInside} onFocusIn=${keepInside}>
    ${children} ${words && html`<span class="tip" id=${id} role="tooltip">${text(words)}</span>`}
  </span>`;
}

function keepInside({ currentTarget }) {
  const tip = currentTarget.querySelector(".tip");
  if (!tip) return;
  tip.style.translate = "0 0";
  const beyond = tip.getBoundingClientRect().right + 8 - document.documentElement.clientWidth;
  if (beyond > 0) tip.style.translate = `${-beyond}px 0`;
}

function Kill() {
  const gateway = useSlice((state) => state.gateway);
  const [asked, setAsked] = useState(false);
  const kill = async () => {
    if (asked || gateway.state !== "up") return;
    setAsked(true);
    await post("/dev/kill", {});
    setAsked(false);
  };
  const words = "Really ends the gateway's process. It is started again, and every click that was acknowledged goes on.";
  return html`<${Hinted} id="help-kill" words=${words}>
    <button
      type="button"
      class="button button-small button-kill"
      aria-disabled=${gateway.state === "up" ? undefined : "true"}
      aria-busy=${asked ? "true" : undefined}
      aria-describedby="help-kill"
      onClick=${kill}
    >kill the gateway</button>
  <//>`;
}

function Light() {
  const gateway = useSlice((state) => state.gateway);
  const words = LIGHTS[gateway.state] ?? `Gateway: ${text(gateway.state)}`;
  const restarts = gateway.restarts > 0 ? `, restarted ${times(gateway.restarts)}` : "";
  const title = gateway.pid ? `Process ${gateway.pid}${restarts}` : undefined;
  return html`<span class=${`light light-${gateway.state in LIGHTS ? gateway.state : "down"}`} role="status" title=${title}>
    <span class="lamp" aria-hidden="true"></span>${words}
  </span>`;
}

function times(count) {
  return count === 1 ? "once" : `${count} times`;
}
