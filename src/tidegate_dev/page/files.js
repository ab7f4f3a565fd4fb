// Files that a message carries: pictures as pictures, everything else as a card to download.
import { html, keyed, list, memo, text } from "./dom.js";
import { Picture } from "./pictures.js";

const UNITS = ["bytes", "KB", "MB", "GB"];

/** A size as people say it. */
export function bytes(value) {
  const size = Number(value);
  if (!(size >= 0)) return "";
  if (size === 1) return "1 byte";
  const power = size < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(size) / 10));
  const amount = size / 1024 ** power;
  return `${power && amount < 10 ? amount.toFixed(1) : Math.floor(amount)} ${UNITS[power]}`;
}

/** What a file is called in a sentence. */
export function titleOf(file) {
  return text(file.title) || text(file.name) || "a file";
}

/** A message's files, one below the other. Redrawn only for other files or another person. */
export const Files = memo(({ files, me }) => html`<div class="files">
  ${keyed(list(files), (file) => file.id).map(
    ([key, file]) => html`<${OneFile} key=${key} file=${file} me=${me} />`,
  )}
</div>`);

function OneFile({ file, me }) {
  if (!file.seen_by?.includes?.(me)) return html`<${Closed} />`;
  return file.is_picture ? html`<${PictureFile} file=${file} />` : html`<${Card} file=${file} />`;
}

/** What there is to see of a file in a channel that one is not in. */
function Closed() {
  return html`<div class="file-card" role="group" aria-label="A file">
    <span class="file-sign" aria-hidden="true">?</span>
    <span class="file-words"><span class="faint">A file for the members of this channel.</span></span>
  </div>`;
}

function PictureFile({ file }) {
  const { src, width, height } = file;
  const description = text(file.alt_text) || titleOf(file);
  return html`<figure class="file-picture" aria-label=${titleOf(file)}>
    <figcaption>
      <span class="file-name">${titleOf(file)}</span>
      <span class="faint">${bytes(file.size)}</span>
      <${Download} file=${file} />
    </figcaption>
    <${Picture} image=${{ picture: { src, width, height }, alt_text: description }} />
  </figure>`;
}

function Card({ file }) {
  const kind = text(file.type) || "File";
  return html`<div class="file-card" role="group" aria-label=${titleOf(file)}>
    <span class="file-sign" aria-hidden="true">${signOf(file)}</span>
    <span class="file-words">
      <span class="file-name">${titleOf(file)}</span>
      <span class="faint">${kind} · ${bytes(file.size)}</span>
    </span>
    <${Download} file=${file} />
  </div>`;
}

/** Up to four letters that say what kind of file it is. */
export function signOf(file) {
  const suffix = /\.([a-z0-9]{1,4})$/i.exec(text(file.name))?.[1];
  return (suffix ?? "file").toUpperCase();
}

function Download({ file }) {
  return html`<a
    class="button button-small file-download"
    href=${text(file.download)}
    download=${text(file.name)}
    aria-label=${`Download ${titleOf(file)}`}
  >Download</a>`;
}
