// The list of rules: addresses stand in its rows, what is done with them stands here.

import { $ } from "./dom.js";

const ACTS = new Set(["up", "down", "on", "off", "do"]);

// A row's button, and one of the bar, says what it does; without script the form is sent as ever, with it the list alone
// is drawn anew. What asks for more is a page.
document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (form.id !== "rules-form" || !ACTS.has(submitter?.name) || !window.htmx) return;
  event.preventDefault();
  // A second click while the first is on its way would name places that are gone.
  if ($("rules").ariaBusy) return;
  const values = { [submitter.name]: submitter.value };
  window.htmx.ajax("POST", form.action, { source: submitter, target: "#rules", swap: "outerHTML", values });
});

// A rule is edited in its row, and its copy is made below it. Without script their links lead to pages.
let formAt = "";

function openInList(link) {
  const uid = link.closest("[data-row]").id.slice("rule-".length);
  const query = new URL(link.href).searchParams;
  if (!query.has("copy")) query.set("edit", uid);
  formAt = uid;
  window.htmx.ajax("GET", `${location.pathname}?${query}`, { source: link, target: "#rules", swap: "outerHTML" });
}

function leaveForm(link) {
  window.htmx.ajax("GET", link.href.split("#")[0], { source: link, target: "#rules", swap: "outerHTML" });
}

document.addEventListener("click", (event) => {
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  const link = plain && window.htmx && event.target.closest("#rules :is([data-row] .buttons > a, [data-row-cancel])");
  if (!link || link.closest(".menu")) return;
  event.preventDefault();
  if (link.matches("[data-row-cancel]")) leaveForm(link);
  else openInList(link);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
  event.target.closest?.("[data-form-row]")?.querySelector("[data-row-cancel]").click();
});
// Back from the form, the focus is at the row again.
document.addEventListener("htmx:afterSettle", () => {
  if (!formAt || document.querySelector("[data-form-row]")) return;
  $(`rule-${formAt}`)?.querySelector(".buttons > a")?.focus();
  formAt = "";
});

// A menu fetches its items when it is opened first. Until then, and where that fails, it holds a link to them.
function fetchItems(menu) {
  const link = menu.open && menu.querySelector('[data-row] .menu-items > a[href*="/menu/"]');
  if (!link || !window.htmx) return;
  // When the focus has moved on to it, it stays near after the link is gone.
  link.id = `${menu.closest("tr").id}-menu`;
  window.htmx.ajax("GET", link.href, { source: menu, target: link.parentElement, swap: "innerHTML" });
}

document.addEventListener("toggle", ({ target }) => fetchItems(target), { capture: true });
// Who was quicker than this script has one open already.
document.querySelectorAll("details.menu[open]").forEach(fetchItems);
