// A form with a long file says how far it has come: how much of the file is sent, then how much of it is read.
// It is asked for lines of JSON, the last of which has the part of the page that the form stands in. Where anything else
// comes, the form is sent as it would be without script, and whatever is to be said is said by a page.

import { keepReport } from "./kept-report.js";
import { focusErrors } from "./swaps.js";
import { busy } from "./under-way.js";
import { announce, showError } from "./voice.js";

const LINES = "application/x-ndjson";
const BROKEN =
  "The reading broke off before its end. Nothing was changed. Try again; if it happens again, tell support.";
const SILENCE = "No connection to the panel. Nothing was changed. Try again when it is back.";
const MIB = 2 ** 20;
const numbers = new Intl.NumberFormat("en");
const sizes = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const underWay = new Map();

const ofSize = (done, size) => `${sizes.format(done / MIB)} of ${sizes.format(size / MIB)} MiB`;

class Shown {
  /** The bar of a form and the words beside it, instead of what else stands there. */
  constructor(form) {
    this.form = form;
    this.region = form.querySelector("[data-progress-shown]");
    this.rest = form.querySelector("[data-progress-rest]");
    this.bar = this.region.querySelector("progress");
    this.words = this.bar.nextElementSibling;
    this.release = busy(form.querySelector("[type=submit][data-busy]"));
    this.region.hidden = false;
    this.rest.hidden = true;
  }

  say(done, size, words) {
    if (size) Object.assign(this.bar, { value: Math.min(done, size), max: size });
    else this.bar.removeAttribute("value");
    this.words.textContent = words;
    this.bar.setAttribute("aria-valuetext", words);
  }

  end() {
    this.region.hidden = true;
    this.rest.hidden = false;
    this.release();
  }
}

function linesOf(text) {
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter(Boolean);
}

function showRead(shown, text) {
  const newest = linesOf(text).at(-1);
  const { records, taken, size } = newest ? JSON.parse(newest) : {};
  if (!records) return;
  shown.say(taken, size, `Reading: ${numbers.format(records)} records, ${ofSize(taken, size)}`);
}

function showPart(form, part) {
  const region = form.parentElement;
  const page = new DOMParser().parseFromString(part, "text/html");
  const fresh = document.importNode(page.getElementById(region.id), true);
  const errors = fresh.querySelector(".error-summary");
  // What was refused can be sent again with another field: the file is still the chosen one.
  if (errors)
    for (const input of form.querySelectorAll("[type=file]")) fresh.querySelector(`#${input.id}`).files = input.files;
  region.replaceWith(fresh);
  window.htmx?.process(fresh);
  document.title = document.title.trim().replace(/^Error: /, "");
  if (errors) focusErrors(errors);
  else fresh.querySelector("[tabindex='-1']")?.focus();
}

function finish(form, request) {
  underWay.get(form).shown.end();
  underWay.delete(form);
  if (!request.getResponseHeader("Content-Type")?.startsWith(LINES)) {
    HTMLFormElement.prototype.submit.call(form);
    return;
  }
  const last = linesOf(request.responseText).at(-1);
  const { part, status } = last ? JSON.parse(last) : {};
  if (part && status === 200) keepReport(part);
  if (part) showPart(form, part);
  else showError(BROKEN);
}

function fail(form, words) {
  underWay.get(form)?.shown.end();
  underWay.delete(form);
  if (words) showError(words);
}

function send(form) {
  const request = new XMLHttpRequest();
  const shown = new Shown(form);
  underWay.set(form, { request, shown });
  shown.say(0, 0, "Sending…");
  request.upload.onprogress = ({ loaded, total }) => shown.say(loaded, total, `Sending: ${ofSize(loaded, total)}`);
  request.upload.onload = () => {
    shown.say(0, 0, "Reading…");
    announce("The log has been sent and is being read.");
  };
  request.onprogress = () => {
    if (request.getResponseHeader("Content-Type")?.startsWith(LINES)) showRead(shown, request.responseText);
  };
  request.onload = () => finish(form, request);
  // What has begun and broken off is no silence.
  request.onerror = () => fail(form, request.responseText ? BROKEN : SILENCE);
  request.onabort = () => fail(form);
  request.open("POST", form.getAttribute("action"));
  request.setRequestHeader("Accept", LINES);
  request.send(new FormData(form));
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.matches("[data-progress]")) return;
  if (underWay.has(form)) {
    event.preventDefault();
    announce("This is under way already.");
  } else if ([...form.querySelectorAll("[type=file]")].some((input) => input.files.length)) {
    event.preventDefault();
    send(form);
  }
});

document.addEventListener("click", ({ target }) => {
  const form = target.closest("[data-progress-cancel]")?.closest("form");
  if (!underWay.has(form)) return;
  underWay.get(form).request.abort();
  form.querySelector("[type=submit][data-busy]").focus();
  announce("Stopped. Nothing was kept.");
});
