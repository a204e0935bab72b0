// A form that was sent says so until the answer is there, and a second click does not send it again.

import { announce } from "./voice.js";

// Fast answers flicker nothing; and where no answer comes at all, it can be sent again some time.
const AT_ONCE = 150;
const GIVEN_UP = 15_000;
const underWay = new Map();

/** Lets a button say that its form was sent. Returns what takes that back. */
export function busy(button) {
  const words = button.dataset.busy && [...button.childNodes];
  button.setAttribute("aria-busy", "true");
  if (!words) return () => button.removeAttribute("aria-busy");
  button.textContent = button.dataset.busy;
  announce(button.dataset.busy);
  return () => {
    button.removeAttribute("aria-busy");
    button.replaceChildren(...words);
  };
}

/** The button that shows that a form was sent: Enter presses one that nobody sees. */
export function shownOf(form, submitter) {
  return submitter?.matches(".sr-only") ? form.querySelector(".btn-primary, .btn-danger") : submitter;
}

function release(form) {
  const { timers, undo } = underWay.get(form) ?? {};
  timers?.forEach(clearTimeout);
  undo?.();
  underWay.delete(form);
}

// At the window, after everybody who sends a form in another way.
addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || form.getAttribute("method")?.toLowerCase() !== "post") return;
  // A file that comes is no other page: this one stays, and what stands on it can be sent.
  if (submitter?.hasAttribute("data-download")) return;
  if (underWay.has(form)) {
    event.preventDefault();
    announce("This is under way already.");
    return;
  }
  const button = shownOf(form, submitter);
  const sent = { timers: [setTimeout(release, GIVEN_UP, form)] };
  underWay.set(form, sent);
  if (!button) return;
  const say = () => {
    sent.undo = busy(button);
  };
  if (button.dataset.busy) say();
  else sent.timers.push(setTimeout(say, AT_ONCE));
});
// The back button may bring the page as it was left.
addEventListener("pageshow", () => [...underWay.keys()].forEach(release));
