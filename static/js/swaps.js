// What htmx swaps in: busy marks while it is on its way, then the focus where it was or where it is needed.

import { showSwapped } from "./dialog.js";
import { $ } from "./dom.js";
import { takeDragBack } from "./drag.js";
import { refreshSelection } from "./selection.js";
import { messages } from "./voice.js";

// How to find again what had the focus before a swap, null where nothing known had it. What stands in a row of the rules
// is known by its place there, so that rows need no ids for it.
let wayBack = null;

function wayBackTo(element) {
  if (element?.id) return () => $(element.id);
  const row = element?.closest("[data-row]")?.id;
  const controls = () => [...($(row)?.querySelectorAll("input, button, a, summary") ?? [])];
  const nth = row ? controls().indexOf(element) : -1;
  return nth < 0 ? null : () => controls()[nth];
}

document.addEventListener("htmx:beforeRequest", (event) => event.detail.target?.setAttribute("aria-busy", "true"));
document.addEventListener("htmx:afterRequest", (event) => event.detail.target?.removeAttribute("aria-busy"));
document.addEventListener("htmx:beforeSwap", () => {
  wayBack = wayBackTo(document.activeElement);
});
document.addEventListener("htmx:afterSettle", (event) => {
  const region = event.detail.elt;
  if (region.id === "dialog" && !region.open) showSwapped(region, wayBack?.(), takeDragBack);
  const summary = region.querySelector?.(".error-summary");
  if (summary) focusErrors(summary);
  else if (document.activeElement === document.body && wayBack && !messages?.contains(region)) {
    // The control is gone (a deleted row): stay near it instead of starting again at the top of the page.
    const next = wayBack() ?? region;
    if (next === region) region.tabIndex = -1;
    next.focus({ preventScroll: true });
  }
  if (!document.querySelector(".error-summary")) document.title = document.title.replace(/^Error: /, "");
  refreshSelection();
});

export function focusErrors(summary) {
  if (!document.title.startsWith("Error:")) document.title = `Error: ${document.title}`;
  summary.focus();
}

// A page that was loaded whole may have errors too.
const firstErrors = document.querySelector(".error-summary");
if (firstErrors) focusErrors(firstErrors);
