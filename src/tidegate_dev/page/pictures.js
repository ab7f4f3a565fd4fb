// Pictures in messages, be they blocks, small parts of blocks, or files. A picture whose size is
// known takes its room before it is there, so that nothing moves when it comes.
import { html, text, useState } from "./dom.js";

const WIDEST = 384;
const HIGHEST = 352;
const PICTURE_SCHEMES = /^(https?:|data:image\/)/i;

/** Where the picture is: at the workspace's own address, or where its block says. */
function addressOf({ picture, image_url }) {
  if (picture?.src) return text(picture.src);
  const address = text(image_url);
  return PICTURE_SCHEMES.test(address) ? address : null;
}

/** The room that a picture of this size takes, or nothing if its size is not known. */
export function roomFor(width, height) {
  if (!(width > 0 && height > 0)) return {};
  const scale = Math.min(1, WIDEST / width, HIGHEST / height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** A picture, or a frame with its description where there is none. */
export function Picture({ image, small = false }) {
  const address = addressOf(image);
  const [failed, setFailed] = useState(null);
  const description = text(image.alt_text);
  if (!address || failed === address) return html`<${Broken} description=${description} small=${small} />`;
  const shown = html`<img
    class=${small ? "picture-small" : "picture"}
    src=${address}
    alt=${description}
    loading="lazy"
    referrerpolicy="no-referrer"
    onError=${() => setFailed(address)}
    ...${small ? {} : roomFor(image.picture?.width, image.picture?.height)}
  />`;
  if (small || !image.picture?.src) return shown;
  return html`<${Whole} address=${address} description=${description}>${shown}<//>`;
}

/** A link around a picture that opens it in full. */
function Whole({ address, description, children }) {
  return html`<a
    class="whole"
    href=${address}
    target="_blank"
    rel="noopener noreferrer"
    aria-label=${description ? `${description} (opens in full)` : "Open the picture in full"}
  >${children}</a>`;
}

function Broken({ description, small }) {
  const size = small ? "picture-broken picture-small" : "picture-broken";
  return html`<span class=${size} role="img" aria-label=${`${description} (cannot be shown)`}>
    <span class="broken-sign" aria-hidden="true">⊘</span>
    ${!small && html`<span><b>This picture cannot be shown.</b> ${description}</span>`}
  </span>`;
}
