// Block Kit's interactive elements. Each knows where it stands (`place`: channel, ts, block) and
// shows what became of its last press: working, or ⚠ with Slack's words.
import { html, keyed, list, safeLink, text, useId, useRef, useState } from "./dom.js";
import { confirmed } from "./dialog.js";
import { MenuButton } from "./menu.js";
import { Mrkdwn, plain } from "./mrkdwn.js";
import { current, newestDelivery, placeOf, post, takeDelivery, update, useSlice } from "./stream.js";

const SETTLE_MS = 500; // date fields fire on every keystroke; Slack hears of the date once

/** The element has been pressed, unless the person said no or an earlier press is still out. */
async function press(place, element, answer = {}, href = null) {
  const { busy } = standing(place, element);
  if (busy && !href) return false;
  if (!(await confirmed(element.confirm, place.people))) return false;
  if (href) window.open(href, "_blank", "noopener,noreferrer");
  if (busy) return false;
  const id = idOf(place, element);
  update({ pending: { ...current().pending, [id]: true } });
  const { channel, ts, block_id } = place;
  const action_id = text(element.action_id);
  const sent = await post("/dev/click", { channel, ts, block_id, action_id, ...answer });
  const { [id]: _, ...pending } = current().pending;
  update({ pending });
  if (sent?.delivery) takeDelivery(sent.delivery, true);
  return Boolean(sent);
}

function idOf(place, element) {
  return placeOf(place.channel, place.ts, place.block_id, text(element.action_id));
}

function standing(place, element, state = current()) {
  const delivery = newestOf(place, element, state);
  const busy = Boolean(state.pending[idOf(place, element)]) || delivery?.status === "waiting";
  return { delivery, busy };
}

function newestOf(place, element, { deliveries, me }) {
  const action = text(element.action_id);
  return newestDelivery(deliveries, me, place.channel, place.ts, place.block_id, action);
}

/** Whether the element's press is out, and what went wrong with it. */
function usePress(place, element) {
  const busy = useSlice((state) => standing(place, element, state).busy);
  const delivery = useSlice((state) => newestOf(place, element, state));
  const failed = !busy && ["timeout", "unreachable", "error"].includes(delivery?.status);
  return { busy, note: failed ? delivery.note || "Something went wrong. Try it once more." : null };
}

/** An element with the spinner's place and the warning beside it. */
function Pressable({ place, element, children }) {
  const { busy, note } = usePress(place, element);
  const id = useId();
  const shared = { "aria-busy": busy ? "true" : undefined, "aria-describedby": note ? id : undefined };
  return html`<span class="element">
    ${children(shared)}
    ${note &&
    html`<span class="warning" id=${id} role="alert"><span aria-hidden="true">⚠</span> ${note}</span>`}
  </span>`;
}

function Button({ place, element }) {
  const style = ["primary", "danger"].includes(element.style) ? ` button-${element.style}` : "";
  // A button with an address opens it and tells the app as well, as in Slack.
  const href = safeLink(element.url);
  const onClick = () => press(place, element, {}, href);
  return html`<${Pressable} place=${place} element=${element}>
    ${(shared) => html`<button
      type="button"
      class=${`button${style}${href ? " button-link" : ""}`}
      aria-label=${element.accessibility_label ? text(element.accessibility_label) : undefined}
      onClick=${onClick}
      ...${shared}
    >${plain(element.text)}</button>`}
  <//>`;
}

/** Slack's option objects as a menu's options. */
function optionsOf(options) {
  return list(options).map((option) => ({
    value: text(option.value),
    label: plain(option.text),
    description: option.description ? plain(option.description) : "",
    href: safeLink(option.url),
  }));
}

function groupsOf(element, people) {
  const whole = (options) => [{ label: "", options }];
  const named = (kind, sign) =>
    whole(people[kind].map(({ id, name }) => ({ value: id, label: sign + name })));
  if (element.type.endsWith("users_select")) return named("users", "");
  if (/(channels|conversations)_select$/.test(element.type)) return named("channels", "# ");
  const groups = list(element.option_groups).map((group) => ({
    label: plain(group.label),
    options: optionsOf(group.options),
  }));
  return groups.length ? groups : whole(optionsOf(element.options));
}

function initialOf(element) {
  const one = element.initial_option?.value ?? element.initial_user ?? element.initial_channel;
  const single = one ?? element.initial_conversation;
  if (single !== undefined) return [text(single)];
  const many = element.initial_options?.map?.((option) => option?.value);
  return (many ?? element.initial_users ?? element.initial_channels ?? []).map(text);
}

function Select({ place, element }) {
  const [chosen, setChosen] = useState(() => initialOf(element));
  const multiple = element.type.startsWith("multi_");
  const groups = groupsOf(element, place.people);
  const all = groups.flatMap((group) => group.options);
  const labels = all.filter((option) => chosen.includes(option.value)).map((o) => o.label);
  const placeholder = plain(element.placeholder) || "Choose one";
  const onPick = async ({ value }) => {
    const toggled = chosen.includes(value) ? chosen.filter((v) => v !== value) : [...chosen, value];
    const next = multiple ? toggled : [value];
    setChosen(next);
    const pressed = await press(place, element, { value: multiple ? next : value });
    if (!pressed) setChosen(chosen);
  };
  const shown = labels.length ? labels.join(", ") : placeholder;
  return html`<${Pressable} place=${place} element=${element}>
    ${(shared) => html`<${MenuButton}
      kind="listbox"
      class="button select"
      label=${html`<span class="select-label">${shown}</span>`}
      name=${labels.length && element.placeholder ? `${placeholder}: ${shown}` : shown}
      groups=${groups}
      chosen=${chosen}
      multiple=${multiple}
      onPick=${onPick}
      ...${shared}
    />`}
  <//>`;
}

function Overflow({ place, element }) {
  const groups = [{ label: "", options: optionsOf(element.options) }];
  const onPick = ({ value, href }) => press(place, element, { value }, href);
  return html`<${Pressable} place=${place} element=${element}>
    ${(shared) => html`<${MenuButton}
      kind="menu"
      class="button overflow"
      label=${html`<span aria-hidden="true">⋯</span>`}
      name="More actions"
      groups=${groups}
      onPick=${onPick}
      ...${shared}
    />`}
  <//>`;
}

/** Checkboxes and radio buttons. */
function Choices({ place, element }) {
  const multiple = element.type === "checkboxes";
  const [chosen, setChosen] = useState(() => initialOf(element));
  const name = useId();
  const onChange = async (value, checked) => {
    const without = chosen.filter((other) => other !== value);
    const next = multiple ? (checked ? [...without, value] : without) : [value];
    setChosen(next);
    const pressed = await press(place, element, { value: multiple ? next : value });
    if (!pressed) setChosen(chosen);
  };
  const choices = keyed(list(element.options), (option) => option.value).map(([key, option]) => {
    const value = text(option.value);
    return html`<label key=${key} class="choice">
      <input
        type=${multiple ? "checkbox" : "radio"}
        name=${name}
        checked=${chosen.includes(value)}
        onChange=${(event) => onChange(value, event.currentTarget.checked)}
      />
      <span>
        <${Label} value=${option.text} people=${place.people} />
        ${option.description &&
        html`<span class="choice-description">
          <${Label} value=${option.description} people=${place.people} />
        </span>`}
      </span>
    </label>`;
  });
  return html`<${Pressable} place=${place} element=${element}>
    ${(shared) => html`<span class="choices" role=${multiple ? "group" : "radiogroup"}
      aria-label=${place.label ?? (multiple ? "Options" : "Choices")} ...${shared}>${choices}</span>`}
  <//>`;
}

function Label({ value, people }) {
  if (value?.type === "mrkdwn") return html`<${Mrkdwn} source=${value.text} people=${people} />`;
  return plain(value);
}

const DATE_FIELDS = {
  datepicker: { type: "date", initial: "initial_date", name: "Date" },
  timepicker: { type: "time", initial: "initial_time", name: "Time" },
  datetimepicker: { type: "datetime-local", initial: "initial_date_time", name: "Date and time" },
};

function DateField({ place, element }) {
  const field = DATE_FIELDS[element.type];
  const initial = fromSlack(element, text(element[field.initial]));
  const sent = useRef(initial);
  const settling = useRef(0);
  const send = async (input) => {
    clearTimeout(settling.current);
    const { value } = input;
    if (!value || value === sent.current) return;
    const before = sent.current;
    sent.current = value;
    if (await press(place, element, { value: toSlack(element, value) })) return;
    sent.current = before;
    input.value = before;
  };
  const onChange = ({ currentTarget }) => {
    clearTimeout(settling.current);
    settling.current = setTimeout(() => send(currentTarget), SETTLE_MS);
  };
  return html`<${Pressable} place=${place} element=${element}>
    ${(shared) => html`<input
      class="field field-date"
      type=${field.type}
      defaultValue=${initial}
      aria-label=${place.label ?? (plain(element.placeholder) || field.name)}
      onChange=${onChange}
      onBlur=${(event) => send(event.currentTarget)}
      onKeyDown=${(event) => event.key === "Enter" && send(event.currentTarget)}
      ...${shared}
    />`}
  <//>`;
}

function fromSlack(element, value) {
  if (element.type !== "datetimepicker" || !value) return value;
  const date = new Date(Number(value) * 1000);
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

function toSlack(element, value) {
  return element.type === "datetimepicker" ? String(Math.floor(new Date(value) / 1000)) : value;
}

const TEXT_FIELDS = {
  plain_text_input: "text",
  email_text_input: "email",
  url_text_input: "url",
  number_input: "text",
};

/** A text field. It tells the app on Enter if its block says so (`dispatch_action`). */
function TextField({ place, element }) {
  const tag = element.multiline ? "textarea" : "input";
  const onKeyDown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || !place.dispatches) return;
    event.preventDefault();
    press(place, element, { value: event.currentTarget.value });
  };
  return html`<${Pressable} place=${place} element=${element}>
    ${(shared) => html`<${tag}
      class="field"
      type=${element.multiline ? undefined : TEXT_FIELDS[element.type]}
      inputmode=${element.type === "number_input" ? "decimal" : undefined}
      defaultValue=${text(element.initial_value)}
      placeholder=${plain(element.placeholder)}
      aria-label=${place.label ?? (plain(element.placeholder) || "Text")}
      onKeyDown=${onKeyDown}
      ...${shared}
    />`}
  <//>`;
}

const KINDS = {
  __proto__: null, // a type named "constructor" is no type
  button: Button,
  workflow_button: Button,
  overflow: Overflow,
  static_select: Select,
  users_select: Select,
  channels_select: Select,
  conversations_select: Select,
  multi_static_select: Select,
  multi_users_select: Select,
  multi_channels_select: Select,
  multi_conversations_select: Select,
  checkboxes: Choices,
  radio_buttons: Choices,
  datepicker: DateField,
  timepicker: DateField,
  datetimepicker: DateField,
  plain_text_input: TextField,
  email_text_input: TextField,
  url_text_input: TextField,
  number_input: TextField,
};

/** One interactive element where it stands, or a plain word about it if the page cannot draw it. */
export function Element({ place, element }) {
  const Kind = KINDS[element?.type];
  if (Kind) return html`<${Kind} place=${place} element=${element} />`;
  return html`<span class="undrawn">${text(element?.type) || "element"} (not drawn here)</span>`;
}
