// Confirmations in the page's dialog.

import { $ } from "./dom.js";

// Who selects text and lets go outside of the dialog has not pressed its backdrop.
let pressed = null;

document.addEventListener(
  "pointerdown",
  ({ target }) => {
    pressed = target;
  },
  { capture: true },
);

/** Whether this click on a dialog is one beside it. */
export function pressedBackdrop(target) {
  return target instanceof HTMLDialogElement && target === pressed;
}

/** What htmx has put into the dialog, shown; `closed` is called when it closes, before the focus goes `back`. */
export function showSwapped(dialog, back, closed) {
  dialog.showModal();
  emptyWhenClosed(dialog, () => {
    closed();
    back?.focus();
  });
}

/** A confirmation is a page of its own; here it only comes nearer. Whatever goes wrong, the page still works. */
export async function openDialog(link) {
  const dialog = $("dialog");
  // A second click while the first is under way.
  if (link.ariaBusy) return;
  link.ariaBusy = "true";
  try {
    const answer = await fetch(link.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const content = page.getElementById("confirm");
    if (!answer.ok || !content || !dialog) throw new Error("not a confirmation");
    dialog.replaceChildren(document.importNode(content, true));
    window.htmx?.process(dialog);
    dialog.showModal();
    // Removed from a menu, the link itself cannot take the focus back.
    const back = link.closest("details.menu")?.querySelector("summary") ?? link;
    emptyWhenClosed(dialog, () => back.focus());
  } catch {
    location.assign(link.href);
  } finally {
    link.ariaBusy = null;
  }
}

function emptyWhenClosed(dialog, then) {
  dialog.addEventListener(
    "close",
    () => {
      dialog.replaceChildren();
      then();
    },
    { once: true },
  );
}
