// What htmx swaps in: busy marks while it is on its way, then the focus where it was or where it is needed.

import { showSwapped } from "./dialog.js";
import { $ } from "./dom.js";
import { takeDragBack } from "./drag.js";
import { refreshSelection } from "./selection.js";
import { messages } from "./voice.js";

let focusedId = "";

document.addEventListener("htmx:beforeRequest", (event) => event.detail.target?.setAttribute("aria-busy", "true"));
document.addEventListener("htmx:afterRequest", (event) => event.detail.target?.removeAttribute("aria-busy"));
document.addEventListener("htmx:beforeSwap", () => {
  focusedId = document.activeElement?.id ?? "";
});
document.addEventListener("htmx:afterSettle", (event) => {
  const region = event.detail.elt;
  if (region.id === "dialog" && !region.open) showSwapped(region, $(focusedId), takeDragBack);
  const summary = region.querySelector?.(".error-summary");
  if (summary) focusErrors(summary);
  else if (document.activeElement === document.body && focusedId && !messages?.contains(region)) {
    // The control is gone (a deleted row): stay near it instead of starting again at the top of the page.
    const next = $(focusedId) ?? region;
    if (next === region) region.tabIndex = -1;
    next.focus({ preventScroll: true });
  }
  if (!document.querySelector(".error-summary")) document.title = document.title.replace(/^Error: /, "");
  refreshSelection();
});

function focusErrors(summary) {
  if (!document.title.startsWith("Error:")) document.title = `Error: ${document.title}`;
  summary.focus();
}

// A page that was loaded whole may have errors too.
const firstErrors = document.querySelector(".error-summary");
if (firstErrors) focusErrors(firstErrors);
