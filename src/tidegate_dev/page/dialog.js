// Modal dialogs on the browser's own <dialog>: it keeps the focus inside, closes on Esc and gives
// the focus back to what had it. One at a time; whoever opens one waits for its answer.
import { html, useId, useLayoutEffect, useReducer, useRef, text } from "./dom.js";
import { TextObject, plain } from "./mrkdwn.js";

let open = null;
let opened = 0;
let redraw = () => {};

function show(dialog) {
  return new Promise((answer) => {
    open?.answer(false);
    opened += 1;
    open = { ...dialog, id: opened, answer };
    redraw();
  });
}

function close(id, result) {
  const closing = open;
  if (closing?.id !== id) return; // another has taken its place
  open = null;
  redraw();
  closing?.answer(result);
}

/** Slack's confirm object, asked. True only if the person said yes. */
export function confirmed(confirm, people) {
  if (!confirm || typeof confirm !== "object") return Promise.resolve(true);
  return show({
    title: plain(confirm.title) || "Are you sure?",
    body: html`<${TextObject} value=${confirm.text} people=${people} />`,
    yes: plain(confirm.confirm) || "Yes",
    no: plain(confirm.deny) || "No",
    danger: confirm.style === "danger",
  });
}

/** Something to read, until it is closed. */
export function present(title, body) {
  return show({ title: text(title), body, no: "Close", wide: true });
}

/** Where the open dialog is drawn. */
export function Dialogs() {
  const [, again] = useReducer((count) => count + 1, 0);
  redraw = again;
  return open && html`<${Dialog} key=${open.id} ...${open} />`;
}

function Dialog({ id, title, body, yes, no, danger, wide }) {
  const element = useRef(null);
  const result = useRef(false);
  const heading = useId();
  useLayoutEffect(() => {
    const { current } = element;
    const opener = document.activeElement;
    current.showModal();
    // Removing an open dialog would drop the focus on the floor: close it first, and see it home.
    return () => {
      if (current.open) current.close();
      if (document.activeElement === document.body && opener?.isConnected) opener.focus();
    };
  }, []);
  const finish = (answer) => {
    result.current = answer;
    element.current.close();
  };
  const onBackdrop = (event) => event.target === element.current && finish(false);
  return html`<dialog
    ref=${element}
    class=${wide ? "dialog dialog-wide" : "dialog"}
    aria-labelledby=${heading}
    onClose=${() => close(id, result.current)}
    onClick=${onBackdrop}
  >
    <div class="dialog-inside">
      <h2 id=${heading}>${title}</h2>
      <div class="dialog-body" tabindex=${wide ? 0 : undefined}>${body}</div>
      <div class="dialog-buttons">
        <button type="button" class="button" autofocus=${danger || !yes} onClick=${() => finish(false)}>
          ${no}
        </button>
        ${yes &&
        html`<button
          type="button"
          class=${danger ? "button button-danger" : "button button-primary"}
          autofocus=${!danger}
          onClick=${() => finish(true)}
        >
          ${yes}
        </button>`}
      </div>
    </div>
  </dialog>`;
}
