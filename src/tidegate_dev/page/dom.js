// What every part of the page draws with. Everything that came from outside reaches the DOM as a
// text node or a checked attribute; nothing here or elsewhere sets innerHTML.
import { Component, Fragment, h, render } from "./vendor/preact.js";
import {
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
} from "./vendor/hooks.js";
import htm from "./vendor/htm.js";

export { Component, Fragment, h, render };
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useReducer, useRef, useState };

export const html = htm.bind(h);

/** Two property bags hold the same values. */
function same(left, right) {
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length && keys.every((key) => left[key] === right[key])
  );
}

/** The component is drawn again only when one of its properties is another value. */
export function memo(draw) {
  return class extends Component {
    shouldComponentUpdate(next) {
      return !same(this.props, next);
    }

    render(props) {
      return h(draw, props);
    }
  };
}

/** Anything from outside as text: never an object that the renderer would take for an element. */
export function text(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : typeof value === "object" ? "" : String(value);
}

/** A list from outside; anything else is an empty one. */
export function list(value) {
  return Array.isArray(value) ? value.filter((item) => item && typeof item === "object") : [];
}

/** Keys for siblings, kept unique: Slack's ids where there are some, the position otherwise. */
export function keyed(items, idOf) {
  const seen = new Map();
  return items.map((item, index) => {
    const id = text(idOf(item)) || `#${index}`;
    const times = seen.get(id) ?? 0;
    seen.set(id, times + 1);
    return [times === 0 ? id : `${id}#${times}`, item];
  });
}

const LINK_SCHEMES = new Set(["http:", "https:", "mailto:"]);

/** The address if a link may lead there, else null: `javascript:` and its kin never become links. */
export function safeLink(address) {
  try {
    const url = new URL(text(address));
    return LINK_SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Epoch seconds or an ISO time as a Date, or null. */
export function instant(value) {
  if (value === null || value === undefined || value === "") return null;
  const number = Number(value);
  const date = new Date(Number.isFinite(number) ? number * 1000 : value);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** A time of day that tells the full moment when pointed at. */
export function Time({ at }) {
  const date = instant(at);
  if (!date) return null;
  return html`<time datetime=${date.toISOString()} title=${EXACT.format(date)}
    >${CLOCK.format(date)}</time
  >`;
}

/** A span in milliseconds, as short as it can be read. */
export function milliseconds(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "";
  if (value >= 10_000) return `${(value / 1000).toFixed(0)} s`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ms`;
}
