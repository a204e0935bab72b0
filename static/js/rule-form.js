// A form with a preview: what is sent is what was previewed, whenever its button or Enter is pressed.

import { shownOf } from "./under-way.js";

const WAITS = 3000;
// Per form: whether something was typed since the last preview was asked for, and what waits for the preview.
const typed = new WeakSet();
const asking = new WeakSet();
const held = new WeakMap();

function formOf(element) {
  const form = element?.closest?.("form");
  return form?.querySelector(".preview-region [hx-post]") ? form : null;
}

function go(form) {
  const { submitter, timer } = held.get(form);
  clearTimeout(timer);
  held.delete(form);
  typed.delete(form);
  asking.delete(form);
  shownOf(form, submitter)?.removeAttribute("aria-busy");
  if (form.isConnected) form.requestSubmit(submitter?.isConnected ? submitter : null);
}

// A field that is left tells of a change once more, all of which it has told of while it was typed into.
const toldBefore = ({ type, target }) =>
  type === "change" && target.matches("textarea, input:not([type=checkbox], [type=radio], [type=file])");

for (const name of ["input", "change"]) {
  document.addEventListener(name, (event) => {
    const form = formOf(event.target);
    if (form && !toldBefore(event)) typed.add(form);
  });
}
document.addEventListener("htmx:confirm", (event) => {
  const { target, triggeringEvent } = event.detail;
  if (target?.id !== "preview" || !triggeringEvent || typed.has(formOf(target))) return;
  if (toldBefore(triggeringEvent)) event.preventDefault();
});
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  const form = detail.target?.id === "preview" && formOf(detail.target);
  if (!form) return;
  typed.delete(form);
  asking.add(form);
});
for (const name of ["htmx:afterSettle", "htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, ({ detail }) => {
    const region = detail.target?.isConnected ? detail.target : document.getElementById("preview");
    const form = region?.id === "preview" && formOf(region);
    if (!form) return;
    asking.delete(form);
    if (held.has(form) && !typed.has(form)) go(form);
  });
}
// Pressed before the preview is there, it waits for it: the same happens as a moment later. What the preview warns of is
// asked about in any case.
document.addEventListener(
  "submit",
  (event) => {
    const { target: form, submitter } = event;
    if (!window.htmx || !formOf(form) || submitter?.formNoValidate || submitter?.name === "rules") return;
    if (!typed.has(form) && !asking.has(form)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (held.has(form)) return;
    held.set(form, { submitter, timer: setTimeout(() => go(form), WAITS) });
    shownOf(form, submitter)?.setAttribute("aria-busy", "true");
  },
  { capture: true },
);

// The server says what the button does: "Add 3 rules".
document.addEventListener("deed", ({ detail }) => {
  for (const button of document.querySelectorAll("[data-deed]")) button.textContent = detail.value;
});

// Lines that are pasted stay apart: a field of one line would run them together.
document.addEventListener("paste", (event) => {
  const field = event.target.closest?.(".rule-grid input.mono");
  const lines = event.clipboardData
    ?.getData("text")
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter(Boolean);
  if (!field || !lines || lines.length < 2) return;
  event.preventDefault();
  field.setRangeText(lines.join(", "), field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
});
