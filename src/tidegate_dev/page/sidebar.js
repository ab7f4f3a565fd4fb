// The left side: the channels, and who the person at the browser is.
import { html, text } from "./dom.js";
import { Avatar, signOf } from "./messages.js";
import { actAs, openChannel, useSlice } from "./stream.js";

/** Channels above, people below. */
export function Sidebar() {
  const workspace = useSlice((state) => state.workspace);
  return html`<div class="sidebar">
    <div class="workspace">
      <img src="/page/mark.svg" alt="" />
      <span>${text(workspace.name)}</span>
    </div>
    <${Channels} />
    <${People} />
  </div>`;
}

function Channels() {
  const channels = useSlice((state) => state.channels);
  const open = useSlice((state) => state.channel);
  return html`<nav aria-labelledby="channels-title">
    <h2 id="channels-title">Channels</h2>
    <ul class="channels">
      ${channels.map(({ id, name, unread }) => {
        const isUnread = unread > 0 && id !== open;
        return html`<li key=${id}>
          <button
            type="button"
            class=${isUnread ? "channel channel-unread" : "channel"}
            aria-current=${id === open ? "page" : undefined}
            onClick=${() => openChannel(id)}
          >
            <span class="hash" aria-hidden="true">${signOf(id)}</span>
            <span class="channel-name">${text(name)}</span>
            ${isUnread &&
            html`<span class="unread"><span class="unseen">, </span>${unread > 99 ? "99+" : unread}<span class="unseen"> unread</span></span>`}
          </button>
        </li>`;
      })}
    </ul>
  </nav>`;
}

function People() {
  const users = useSlice((state) => state.users);
  const me = useSlice((state) => state.me);
  return html`<fieldset class="people">
    <legend>You are</legend>
    ${users.map(
      (user) => html`<label key=${user.id} class="person">
        <input type="radio" name="me" value=${user.id} checked=${user.id === me} onChange=${() => actAs(user.id)} />
        <${Avatar} author=${user} small=${true} />
        <span class="person-words">
          <span class="person-name">${text(user.name)}</span>
          ${user.role && html` <span class="person-role">${text(user.role)}</span>`}
        </span>
      </label>`,
    )}
  </fieldset>`;
}
