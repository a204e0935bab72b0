// Find: a field over the page, and the list that it moves through. The field keeps the focus; what is chosen is marked.

import { $ } from "./dom.js";
import { announce } from "./voice.js";

export const isMac = /Mac|iP(hone|ad)/.test(navigator.platform);

const palette = $("palette");
const field = $("palette-field");
const list = $("palette-list");
// What the list was found for. Who presses Enter sooner than it is there means what it will be.
let shown = null;
let entered = false;

if (isMac) for (const key of document.querySelectorAll("[data-palette] kbd")) key.textContent = "⌘ K";

/** Opens Find; a click that wants another tab, and a page without it, keep their link. */
export function openPalette(_, event) {
  const elsewhere = event.type === "click" && (event.ctrlKey || event.metaKey || event.shiftKey);
  if (!palette || !window.htmx || elsewhere) return;
  event.preventDefault();
  if (!palette.open) palette.showModal();
  field.focus();
  field.select();
  window.htmx.trigger(field, "find");
}

const options = () => [...list.querySelectorAll("a[role=option]")];
const chosen = () => list.querySelector("[aria-selected=true]");

function choose(option) {
  chosen()?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) field.setAttribute("aria-activedescendant", option.id);
  else field.removeAttribute("aria-activedescendant");
}

function step(by) {
  const all = options();
  if (all.length) choose(all[(all.indexOf(chosen()) + by + all.length) % all.length]);
}

function go() {
  const option = chosen();
  entered = false;
  if (option) option.click();
  else field.form.submit();
}

function enter() {
  if (shown === field.value) return go();
  entered = true;
  window.htmx.trigger(field, "find");
}

const KEYS = { ArrowDown: () => step(1), ArrowUp: () => step(-1), Enter: enter };

field?.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
field?.addEventListener("input", () => {
  entered = false;
});
field?.addEventListener("htmx:beforeSend", ({ detail }) => {
  detail.xhr.soughtFor = field.value;
});
list?.addEventListener("htmx:afterSwap", ({ detail }) => {
  shown = detail.xhr.soughtFor;
  list.scrollTop = 0;
  choose(options()[0]);
  const number = options().length;
  announce(number ? `${number} found` : "Nothing found");
  if (entered && shown === field.value) go();
});
// Without an answer, the page of the same address has one or says why not.
for (const trouble of ["htmx:sendError", "htmx:responseError"])
  field?.addEventListener(trouble, () => {
    if (entered) field.form.submit();
  });
palette?.addEventListener("close", () => {
  entered = false;
});
