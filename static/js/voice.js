// Messages and announcements: what people see, and what screen readers say.

import { $ } from "./dom.js";

/** The region for messages; null on pages without one. */
export const messages = $("messages");

export function announce(text) {
  $("live").textContent = "";
  // Emptied first and filled later, so that the same sentence is read out twice when it happens twice.
  setTimeout(() => {
    $("live").textContent = text;
  }, 50);
}

/** `link`: where to go for help, in another tab. */
export function showError(text, keep = false, link = null) {
  // An open modal dialog makes everything behind it inert, messages too: it goes, or has the message with what was typed.
  const open = keep && document.querySelector("dialog[open]");
  if (!open) for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  const message = document.createElement("div");
  message.className = "message error";
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  Object.assign(close, { type: "button", className: "btn btn-small", textContent: "Dismiss" });
  close.dataset.dismiss = "";
  message.append(words);
  if (link) {
    const way = document.createElement("a");
    Object.assign(way, {
      href: link.href,
      textContent: link.text,
      target: "_blank",
      className: "btn btn-small btn-primary",
    });
    message.append(way);
  }
  message.append(close);
  // Said once, however often a form that is typed into asks for its preview.
  for (const said of document.querySelectorAll(".message.error")) {
    if (said.querySelector("p")?.textContent === text) said.remove();
  }
  if (open) message.role = "alert";
  if (open) open.prepend(message);
  else messages.append(message);
}

/** What was changed is scrolled from under the messages that tell of it: the row that has the focus, or that the address names. */
function uncover() {
  const place = messages.getBoundingClientRect();
  for (const changed of [document.activeElement?.closest("tr, li"), document.querySelector(":target")]) {
    const { bottom, top, left, right } = changed?.getBoundingClientRect() ?? {};
    const hidden = top < place.bottom && bottom > place.top && left < place.right && right > place.left;
    if (hidden && !messages.contains(changed)) scrollBy({ top: bottom - place.top + 8 });
  }
}

function watchMessages() {
  if (messages.children.length) requestAnimationFrame(uncover);
  for (const message of messages.querySelectorAll(".message:not([data-stay], .error, [data-timed])")) {
    message.dataset.timed = "";
    const leave = () => {
      if (message.matches(":hover, :focus-within")) setTimeout(leave, 2000);
      else message.remove();
    };
    setTimeout(leave, 8000);
  }
}

if (messages) {
  // Screen readers read what changes in a live region, not what it is born with: put the first messages in again.
  if (messages.children.length) setTimeout(() => messages.replaceChildren(...messages.children), 150);
  new MutationObserver(watchMessages).observe(messages, { childList: true });
}

// The server says {"announce": "…"} in the HX-Trigger header.
document.addEventListener("announce", (event) => announce(event.detail.value));
