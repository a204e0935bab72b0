// A list that its own buttons draw anew (data-in-turn): what is clicked while the first answer is on its way would be lost
// with the control that was hit, or undo what came before. So it waits, and is done to the same thing wherever that stands then.

import { $ } from "./dom.js";

const ASKED = "[data-in-turn][aria-busy=true] button[type=submit]";
const CHOSEN = "[data-in-turn][aria-busy=true] select";
let asking = null;
let waiting = [];

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.target?.matches("[data-in-turn]")) asking = detail.elt;
});

function keepFor(event, control, act) {
  event.preventDefault();
  event.stopPropagation();
  // A select has the id of its place, where the focus stays; the key is that of what is chosen in it.
  const { key } = control.dataset;
  const same = key ? `[data-key="${key}"]` : `#${control.id}`;
  waiting.push({ list: control.closest("[data-in-turn]").id, same, act });
}

function chooseAgain(select, value) {
  select.value = value;
  select.dispatchEvent(new Event("change", { bubbles: true }));
}

// Before htmx, which listens on the controls themselves.
addEventListener(
  "click",
  (event) => {
    const button = event.target.closest?.(ASKED);
    if (button) keepFor(event, button, (found) => found.click());
  },
  { capture: true },
);
addEventListener(
  "change",
  (event) => {
    const select = event.target.closest?.(CHOSEN);
    // Who thinks better of what they chose: it takes the place of the first.
    if (!select || select === asking) return;
    const { value } = select;
    keepFor(event, select, (found) => chooseAgain(found, value));
  },
  { capture: true },
);

function goOn(list) {
  // What is gone, or can go no further up, is passed over.
  while (waiting[0]?.list === list && !$(list).ariaBusy) {
    const { same, act } = waiting.shift();
    const found = $(list).querySelector(same);
    if (found) act(found);
  }
}

document.addEventListener("htmx:afterSettle", ({ detail }) => goOn(detail.elt.id));
// Without an answer the list stands as it was, and nothing is done behind somebody's back.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (!detail.successful) waiting = waiting.filter(({ list }) => list !== detail.target?.id);
});
