// The list of rules: addresses stand in its rows, what is done with them stands here.

import { $ } from "./dom.js";

// A row's button names where it goes; without script the form is sent there, with it the list alone is drawn anew.
document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (form.id !== "rules-form" || !submitter?.hasAttribute("formaction") || !window.htmx) return;
  event.preventDefault();
  // A second click while the first is on its way would name places that are gone.
  if ($("rules").ariaBusy) return;
  window.htmx.ajax("POST", submitter.formAction, { source: submitter, target: "#rules", swap: "outerHTML" });
});

// A menu fetches its items when it is opened first. Until then, and where that fails, it holds a link to them.
document.addEventListener(
  "toggle",
  ({ target: menu }) => {
    const link = menu.open && menu.querySelector("[data-menu]");
    if (!link || !window.htmx) return;
    // When the focus has moved on to it, it stays near after the link is gone.
    link.id = `${menu.closest("tr").id}-menu`;
    window.htmx.ajax("GET", link.href, { source: menu, target: link.parentElement, swap: "innerHTML" });
  },
  { capture: true },
);
