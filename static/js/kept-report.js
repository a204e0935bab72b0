// The report of a log stays in this tab. The panel keeps nothing of it, and yet the way back from a packet test, or from a
// new rule, leads to it again.

import { announce } from "./voice.js";

const KEY = "karenpanel.report";
const LONGEST = 2_000_000;

const { person } = document.body.dataset;
const here = location.pathname;
const [arrival] = performance.getEntriesByType("navigation");

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

function forget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // A browser that forbids storage has kept nothing.
  }
}

/** A page's part with a report, as it came. */
export function keepReport(part) {
  forget();
  if (part.length > LONGEST) return;
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ person, here, part, at: Date.now() }));
  } catch {
    // No more room: the log can be replayed again.
  }
}

function bringBack(region, { part, at }) {
  const fresh = document.importNode(new DOMParser().parseFromString(part, "text/html").getElementById(region.id), true);
  for (const field of fresh.querySelectorAll("[name=csrfmiddlewaretoken], [name=once]"))
    field.value = region.querySelector(`[name=${field.name}]`)?.value ?? "";
  const note = fresh.querySelector("[data-report-of]");
  note.hidden = false;
  note.querySelector("span").textContent = new Date(at).toLocaleTimeString("en-GB", { timeStyle: "short" });
  region.replaceWith(fresh);
  window.htmx?.process(fresh);
}

const kept = read();
// Whoever signs in at this tab next finds nothing of others.
if (kept && person && kept.person !== person) forget();
const region = kept?.person === person && kept?.here === here ? document.getElementById("replay") : null;
if (region?.querySelector("[data-progress]")) {
  const offer = region.querySelector("[data-kept-report]");
  if (["back_forward", "reload"].includes(arrival?.type)) bringBack(region, kept);
  else if (offer) {
    offer.hidden = false;
    offer.addEventListener("click", () => {
      bringBack(region, kept);
      document.getElementById("report-title").focus();
      announce("This is the report as it was.");
    });
  }
}

addEventListener("submit", ({ target }) => {
  if (target.getAttribute("action") === "/sign-out/") forget();
});
