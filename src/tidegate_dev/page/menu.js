// A button that opens a list to pick from: selects (listbox) and overflow menus (menu). The list
// is in the browser's top layer, so that no scrolling parent cuts it off. Focus moves into it, and
// comes back to the button when it closes.
import { html, keyed, useId, useLayoutEffect, useRef, useState } from "./dom.js";

const GAP = 4;
const FORGET_TYPED_MS = 700;

/**
 * `groups` is a list of {label, options}, an option {value, label, description, href};
 * `chosen` the values that are picked now; `onPick(option)` is called with the one picked.
 */
export function MenuButton({ kind, label, name, groups, chosen = [], multiple, onPick, ...button }) {
  const [isOpen, setOpen] = useState(false);
  const trigger = useRef(null);
  const popup = useRef(null);
  const id = useId();
  const close = (giveFocusBack) => {
    if (giveFocusBack) trigger.current?.focus();
    setOpen(false);
  };
  useLayoutEffect(() => {
    if (!isOpen) return undefined;
    return openPopup(trigger.current, popup.current, close);
  }, [isOpen]);
  const pick = (option) => {
    if (!multiple) close(true);
    onPick(option);
  };
  const onKeyDown = (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    setOpen(true);
  };
  return html`<button
      ...${button}
      ref=${trigger}
      type="button"
      aria-haspopup=${kind}
      aria-expanded=${isOpen}
      aria-controls=${isOpen ? id : undefined}
      aria-label=${name}
      onClick=${() => setOpen(!isOpen)}
      onKeyDown=${onKeyDown}
    >
      ${label}
    </button>
    ${isOpen &&
    html`<div
      ref=${popup}
      id=${id}
      class="menu"
      popover="manual"
      role=${kind}
      aria-label=${name}
      aria-multiselectable=${multiple && kind === "listbox" ? true : undefined}
    >
      ${keyed(groups, (group) => group.label).map(
        ([key, group]) => html`<${Group} key=${key} kind=${kind} group=${group} chosen=${chosen} pick=${pick} />`,
      )}
    </div>`}`;
}

function Group({ kind, group, chosen, pick }) {
  const role = kind === "listbox" ? "option" : "menuitem";
  const options = keyed(group.options, (option) => option.value).map(
    ([key, option]) => html`<div
      key=${key}
      class="menu-item"
      role=${role}
      tabindex="-1"
      aria-selected=${kind === "listbox" ? chosen.includes(option.value) : undefined}
      onClick=${() => pick(option)}
    >
      ${option.label}
      ${option.description && html`<span class="menu-description">${option.description}</span>`}
    </div>`,
  );
  if (!group.label) return options;
  return html`<div role="group" aria-label=${group.label}>
    <div class="menu-group" aria-hidden="true">${group.label}</div>
    ${options}
  </div>`;
}

/** The list is shown beside its button and has the focus; returns how to stop listening. */
function openPopup(trigger, popup, close) {
  popup.showPopover();
  place(trigger, popup);
  const items = () => [...popup.querySelectorAll("[role=option], [role=menuitem]")];
  (popup.querySelector("[aria-selected=true]") ?? items()[0])?.focus();
  const stop = new AbortController();
  const { signal } = stop;
  popup.addEventListener("keydown", keyboard(items, close), { signal });
  popup.addEventListener(
    "pointermove",
    (event) => event.target.closest("[role=option], [role=menuitem]")?.focus({ preventScroll: true }),
    { signal },
  );
  const onPointerDown = ({ target }) => {
    if (!popup.contains(target) && !trigger.contains(target)) close(false);
  };
  // Messages move while others arrive: the list goes along instead of closing under the hand.
  const follow = ({ target }) => target !== popup && place(trigger, popup);
  document.addEventListener("pointerdown", onPointerDown, { signal, capture: true });
  document.addEventListener("scroll", follow, { signal, capture: true });
  addEventListener("resize", follow, { signal });
  return () => stop.abort();
}

function keyboard(items, close) {
  let typed = "";
  let forget = 0;
  const byLetter = (letter) => {
    clearTimeout(forget);
    forget = setTimeout(() => (typed = ""), FORGET_TYPED_MS);
    typed += letter.toLowerCase();
    return items().find((item) => item.textContent.trim().toLowerCase().startsWith(typed));
  };
  return (event) => {
    const all = items();
    const at = all.indexOf(document.activeElement);
    const target = {
      ArrowDown: all[(at + 1) % all.length],
      ArrowUp: all[(at - 1 + all.length) % all.length],
      Home: all[0],
      End: all.at(-1),
    }[event.key];
    if (target) target.focus();
    else if (event.key === "Enter" || event.key === " ") all[at]?.click();
    else if (event.key === "Escape" || event.key === "Tab") close(true);
    else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) byLetter(event.key)?.focus();
    else return;
    if (event.key !== "Tab") event.preventDefault();
    event.stopPropagation();
  };
}

function place(trigger, popup) {
  const anchor = trigger.getBoundingClientRect();
  const { width, height } = popup.getBoundingClientRect();
  const below = anchor.bottom + GAP;
  const fits = below + height <= innerHeight - GAP;
  const top = fits ? below : Math.max(GAP, anchor.top - GAP - height);
  popup.style.top = `${top}px`;
  popup.style.left = `${Math.max(GAP, Math.min(anchor.left, innerWidth - width - GAP))}px`;
  popup.style.minWidth = `${anchor.width}px`;
}
