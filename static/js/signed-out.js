// A session that ends while a page is open: the page stays as it is, one signs in beside it, and goes on.

import { $ } from "./dom.js";
import { announce, showError } from "./voice.js";

const AGAIN = 10_000;
const { person } = document.body.dataset;
let away = false;
let renewed = 0;

/** What was asked for has no answer, because nobody is signed in. */
export function signedOut(words, signIn) {
  away = true;
  showError(words, true, { href: signIn, text: "Sign in in a new tab" });
}

/** The form was drawn for another session of this person: its token is exchanged, and the person sends it again. */
export async function stale(words, isPreview) {
  // What only looks asks again by itself, but not for ever.
  const again = isPreview && Date.now() - renewed > AGAIN;
  const good = await renew();
  if (good && again) goOn();
  else showError(good ? `${words} What you typed is still here: click once more.` : words, true);
}

/** Take over the session that there is now. False where there is none, or where it is somebody else's. */
async function renew() {
  const answer = await fetch("/signed-in/").catch(() => null);
  if (!answer?.ok) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const token = page.querySelector("input[name=csrfmiddlewaretoken]")?.value;
  if (!page.body.dataset.person || !token) return false;
  if (page.body.dataset.person !== person) {
    showError("Somebody else has signed in at this browser. Copy what you typed, then reload this page.", true);
    return false;
  }
  for (const input of document.querySelectorAll("input[name=csrfmiddlewaretoken]")) input.value = token;
  renewed = Date.now();
  return true;
}

function goOn() {
  document.body.dispatchEvent(new Event("fields-changed")); // the preview follows
}

async function isBack() {
  if (!away || !(await renew())) return !away;
  away = false;
  for (const notice of document.querySelectorAll(".message [target=_blank]")) notice.closest(".message").remove();
  announce("You are signed in again. Go on.");
  goOn();
  return true;
}

addEventListener("focus", isBack);
document.addEventListener("visibilitychange", () => document.hidden || isBack());
// Whoever sends the form while nobody is signed in keeps it: the answer would be another page.
document.addEventListener(
  "submit",
  async (event) => {
    const { target: form, submitter } = event;
    if (!away || form.getAttribute("method")?.toLowerCase() !== "post") return;
    event.preventDefault();
    event.stopPropagation();
    if (await isBack()) form.requestSubmit(submitter);
    else $("messages")?.querySelector("[target=_blank]")?.focus();
  },
  { capture: true },
);
