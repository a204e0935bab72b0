// What was typed stays in this tab: going back to a form brings it as it was left, and so does signing in again.
// The page itself is kept by nobody, so it comes empty, and is drawn again with what was typed; nothing is sent on.

import { announce } from "./voice.js";

const TYPED = "karenpanel.typed";
const SENT = "karenpanel.sent";
const MOST = 5;
const LONGEST = 2_000_000;
// What belongs to one page or one click. Passwords and files are not in here, for such forms are never kept.
const PASSING = ["csrfmiddlewaretoken", "once", "sure", "seen", "onto", "preview", "back"];

const here = location.pathname + location.search;
const { person, drawsAgain } = document.body.dataset;
const [arrival] = performance.getEntriesByType("navigation");
let touched = false;

function read(key, otherwise) {
  try {
    return JSON.parse(sessionStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function write(key, value) {
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    // A browser that forbids storage, or has no more room, brings the form back empty.
  }
}

/** The page's own form, as far as it is one that is drawn again; not the question that follows it. */
function ownForm() {
  if (drawsAgain === undefined) return undefined;
  return [...document.querySelectorAll("main form[method=post]")].find((form) => {
    const { pathname, search } = new URL(form.getAttribute("action") ?? "", location.href);
    return pathname + search === here && !form.querySelector("[name=sure], [type=password]");
  });
}

function keep(wanted = false) {
  const form = ownForm();
  if (!form) return;
  const fields = [...new FormData(form)].filter(
    ([name, value]) => typeof value === "string" && !PASSING.includes(name),
  );
  if (fields.reduce((sum, [, value]) => sum + value.length, 0) > LONGEST) return;
  const { [here]: _, ...others } = read(TYPED, {});
  const newest = Object.entries(others).slice(1 - MOST);
  write(TYPED, Object.fromEntries([...newest, [here, { person, fields, wanted }]]));
}

/** Before the page goes because the session has ended. */
export function keepTyped() {
  if (touched) keep(true);
  touched = false; // it is kept already when the page is left
}

async function bringBack(form, fields) {
  const body = new URLSearchParams([...fields, ["back", "1"]]);
  for (const name of ["csrfmiddlewaretoken", "once"]) body.append(name, form.querySelector(`[name=${name}]`).value);
  const answer = await fetch(here, { method: "POST", body });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = document.querySelector("main");
  // Who has begun to type in the meantime is not interrupted.
  if (touched || !answer.ok || answer.redirected || !page.querySelector("main")) return;
  main.replaceChildren(...document.importNode(page.querySelector("main"), true).childNodes);
  window.htmx?.process(main);
  touched = true;
  announce("The form is as you left it.");
}

/** What became of the form that was sent last: done, still asked about, or stopped by a session that had ended. */
function settle() {
  const sent = read(SENT, "");
  const typed = read(TYPED, {});
  if (document.querySelector("[data-kept]")) for (const each of Object.values(typed)) each.wanted = false;
  else if (!person && typed[sent] && arrival?.redirectCount) typed[sent].wanted = true;
  else if (person && sent !== here && arrival?.redirectCount) delete typed[sent];
  // Whoever signs in at this tab next finds nothing of others.
  const own = Object.entries(typed).filter(([, each]) => !person || each.person === person);
  write(TYPED, Object.fromEntries(own));
  if (sent !== here) write(SENT, "");
}

settle();
const left = read(TYPED, {})[here];
const form = person && left && (left.wanted || arrival?.type === "back_forward") && ownForm();
if (form) bringBack(form, left.fields).catch(() => {});

document.addEventListener("input", () => {
  touched = true;
});
/** Who signs out is done with it: at a shared computer the next person could read it off the tab. */
function forget() {
  touched = false;
  write(TYPED, {});
  write(SENT, "");
}

addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  if (event.target.getAttribute("action") === "/sign-out/") forget();
  if (event.target !== ownForm()) return;
  keep();
  write(SENT, here);
});
// A browser that has kept the page all the same shows it as it was, and others may have changed what stands there. But what
// a form has led to is asked for by sending it, which nobody has done.
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted || document.querySelector("[name=sure], .error-summary, [data-shown-once]")) return;
  keepTyped();
  location.reload();
});
addEventListener("pagehide", () => {
  if (touched) keep();
});
