// The drawer that shows what lies in the private bucket. It opens nothing: what may leave the
// bucket leaves it through the gateway.
import { Time, html, keyed, list, memo, text } from "./dom.js";
import { bytes, signOf } from "./files.js";
import { useSlice } from "./stream.js";

/** The objects as they are now, and how a file becomes one. */
export function Bucket() {
  const bucket = useSlice((state) => state.bucket);
  const objects = keyed(list(bucket?.objects), (one) => one.key);
  const left = Number(bucket?.count) - objects.length;
  return html`<section id="drawer" class="drawer" aria-labelledby="bucket-title">
    <div class="drawer-head">
      <h2 id="bucket-title">Bucket</h2>
      <span class="faint">${text(bucket?.name)}</span>
    </div>
    ${bucket?.folder &&
    html`<p class="drawer-help">
      Drop a file into <code>${text(bucket.folder)}</code> and it is here at once.
      ${" "}<code>/share NAME</code> uploads it to a channel. Size and type are checked, and
      ${" "}${scanned(text(bucket.clamd))}
    </p>`}
    ${objects.length === 0 && html`<p class="empty">The bucket is empty.</p>`}
    <ul class="objects" aria-label="Objects">
      ${objects.map(([key, object]) => html`<${Row} key=${key} object=${object} />`)}
    </ul>
    ${left > 0 && html`<p class="faint">… and ${left} more.</p>`}
  </section>`;
}

function scanned(clamd) {
  if (clamd) return html`clamd at <code>${clamd}</code> looks for malware.`;
  return "a scanner looks for malware; the one here knows the EICAR test file alone.";
}

const Row = memo(({ object }) => {
  const key = text(object.key);
  const name = key.split("/").at(-1);
  const folder = key.slice(0, key.length - name.length);
  const version = text(object.version);
  return html`<li class="object">
    <span class="file-sign object-sign" aria-hidden="true">${signOf({ name })}</span>
    <span class="object-words">
      <span class="object-key"><span class="faint">${folder}</span>${name}</span>
      <span class="faint">
        ${text(object.type)} · ${bytes(object.size)}
        ${version && html` · <span title=${`Version ${version}`}>version ${version.slice(0, 7)}</span>`}
      </span>
    </span>
    <span class="faint object-time"><${Time} at=${object.at} /></span>
  </li>`;
});
