// The box at the bottom of a channel: slash commands with completion, anything else is said as it
// is. The completion follows the combobox pattern: focus stays in the box, the arrow keys walk the
// list.
import { html, text, useId, useLayoutEffect, useRef, useState } from "./dom.js";
import { signOf } from "./messages.js";
import { current, post, takeDelivery, useSlice } from "./stream.js";

const MOST_REMEMBERED = 50;
const said = []; // what was sent before, newest last, for the up arrow

/** The commands that what has been typed so far could become. */
export function completions(commands, typed) {
  if (!/^\/\S*$/.test(typed)) return [];
  return commands.filter(({ command }) => text(command).startsWith(typed.toLowerCase()));
}

/** Where things are said. */
export function Composer() {
  const channel = useSlice((state) => state.channel);
  const name = useSlice((s) => s.channels.find((c) => c.id === s.channel)?.name ?? "");
  const where = signOf(channel) + text(name);
  const commands = useSlice((state) => state.commands);
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const [closed, setClosed] = useState(false);
  const box = useRef(null);
  const recalled = useRef(0);
  const id = useId();

  const found = closed ? [] : completions(commands, typed);
  const chosen = found[Math.min(at, found.length - 1)];
  const known = commands.find(({ command }) => typed.startsWith(`${command} `));

  const write = (words) => {
    setTyped(words);
    setAt(0);
    setClosed(false);
  };
  const complete = (option) => {
    write(`${option.command} `);
    box.current.focus();
  };
  const recall = (step) => {
    const next = recalled.current + step;
    if (next < 0 || next > said.length) return;
    recalled.current = next;
    write(next === 0 ? "" : said[said.length - next]);
    setClosed(true);
  };
  const send = async () => {
    const words = typed.trim();
    if (!words || !channel) return;
    said.push(words);
    said.splice(0, said.length - MOST_REMEMBERED);
    recalled.current = 0;
    write("");
    const path = words.startsWith("/") ? "/dev/command" : "/dev/message";
    const answer = await post(path, { channel, text: words });
    // What could not be sent is not lost, unless something else is being written by now.
    if (!answer) setTyped((now) => now || words);
    else if (answer.delivery) takeDelivery(answer.delivery, true);
  };
  const keys = {
    ArrowDown: () => (found.length ? setAt((at + 1) % found.length) : recall(-1)),
    ArrowUp: () => (found.length ? setAt((at - 1 + found.length) % found.length) : recall(1)),
    Escape: () => setClosed(true),
    Tab: () => chosen && complete(chosen),
    Enter: () => (chosen && chosen.command !== typed ? complete(chosen) : send()),
  };
  const onKeyDown = (event) => {
    const plain = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
    const act = keys[event.key];
    if (!act || !plain || event.isComposing) return;
    if (event.key === "Tab" && !chosen) return;
    if (event.key.startsWith("Arrow") && !found.length && typed && !recalled.current) return;
    event.preventDefault();
    act();
  };

  return html`<div class="composer">
    ${found.length > 0 &&
    html`<${Completions} id=${id} found=${found} chosen=${chosen} pick=${complete} point=${setAt} />`}
    <${CommandStatus} channel=${channel} />
    <div class="composer-box">
      <input
        ref=${box}
        id="composer"
        type="text"
        role="combobox"
        aria-label=${`Message ${where}`}
        aria-autocomplete="list"
        aria-expanded=${found.length > 0}
        aria-controls=${found.length > 0 ? id : undefined}
        aria-activedescendant=${chosen ? `${id}-${found.indexOf(chosen)}` : undefined}
        autocomplete="off"
        spellcheck=${false}
        maxlength="4000"
        placeholder=${`Message ${where}, or / for commands`}
        value=${typed}
        onInput=${(event) => write(event.currentTarget.value)}
        onBlur=${() => setClosed(true)}
        onKeyDown=${onKeyDown}
      />
      <button type="button" class="button button-small" disabled=${!typed.trim()} onClick=${send}>Send</button>
    </div>
    <p class="composer-help">
      ${known
        ? html`<code>${known.command} ${text(known.usage)}</code> ${text(known.description)}`
        : html`<kbd>/</kbd> to write here, <kbd>↑</kbd> for what you sent before`}
    </p>
  </div>`;
}

function Completions({ id, found, chosen, pick, point }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    element.current.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  return html`<div ref=${element} id=${id} class="completions" role="listbox" aria-label="Commands">
    ${found.map(
      (option, index) => html`<div
        key=${option.command}
        id=${`${id}-${index}`}
        class="completion"
        role="option"
        aria-selected=${option === chosen}
        onPointerMove=${() => point(index)}
        onPointerDown=${(event) => {
          event.preventDefault(); // the box keeps the focus
          pick(option);
        }}
      >
        <span class="completion-command">${text(option.command)}</span>
        <span class="completion-usage">${text(option.usage)}</span>
        <span class="completion-description">${text(option.description)}</span>
      </div>`,
    )}
  </div>`;
}

/** What became of the last command here, while it is out or when Slack got no answer in time. */
function CommandStatus({ channel }) {
  const last = useSlice(({ deliveries, me }) =>
    deliveries
      .filter((one) => one.kind === "command" && one.channel === channel && (one.user ?? me) === me)
      .reduce((newest, one) => (!newest || one.at >= newest.at ? one : newest), null),
  );
  if (last?.status === "waiting") {
    return html`<p class="command-status" role="status"><span class="spinner" aria-hidden="true"></span> Waiting for an answer…</p>`;
  }
  if (!["timeout", "unreachable", "error"].includes(last?.status)) return null;
  return html`<p class="command-status warning" role="alert">
    <span aria-hidden="true">⚠</span> ${text(last.note) || "The command failed. Try it once more."}
  </p>`;
}

/** Whether typing a letter now would write somewhere. */
function isWriting(element) {
  return element?.matches?.("input, textarea, select, [contenteditable]") ?? false;
}

/** `/` leads to the composer from anywhere but a field or a dialog. */
export function slashLeadsHere() {
  addEventListener("keydown", (event) => {
    const modified = event.ctrlKey || event.metaKey || event.altKey;
    if (event.key !== "/" || modified || event.defaultPrevented) return;
    const { activeElement } = document;
    const writes = isWriting(activeElement) && !activeElement.matches("[type=radio], [type=checkbox]");
    if (writes || document.querySelector("dialog[open]") || !current().ready) return;
    event.preventDefault();
    document.getElementById("composer")?.focus();
  });
}
