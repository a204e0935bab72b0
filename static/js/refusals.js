// Answers that bring no part of a page, said in words.

import { takeDragBack } from "./drag.js";
import { signedOut, stale } from "./signed-out.js";
import { showError } from "./voice.js";

const REFUSALS = {
  403: "You may not do this. Nothing was changed.",
  404: "This does not exist any more. Nothing was changed. Reload the page to see what does.",
  413: "This is too much at once. Nothing was changed. Shorten it, or split it.",
  429: "These were too many requests. Nothing was changed. Wait a little, then try again.",
  503: "The panel has no time for this right now. Nothing was changed. Try again in a few seconds.",
};
const OTHER = "The panel could not answer. Nothing was changed. Try again; if it happens again, tell support.";
const SILENCE = "No connection to the panel. Reload the page to see what is stored, then try again.";

function refuse(words, keep = false) {
  takeDragBack();
  showError(words, keep);
}

// What cannot be taken just now is said by the panel itself, as text, and the form stays as it is.
function saidByThePanel(xhr) {
  return (
    [429, 503].includes(xhr.status) &&
    xhr.getResponseHeader("Content-Type")?.startsWith("text/plain") &&
    xhr.responseText
  );
}

document.addEventListener("htmx:responseError", ({ detail: { xhr, requestConfig } }) => {
  const signIn = xhr.getResponseHeader("Sign-In");
  if (signIn || xhr.getResponseHeader("Stale-Form")) {
    takeDragBack();
    if (signIn) signedOut(xhr.responseText, signIn);
    else stale(xhr.responseText, Boolean(requestConfig.parameters.preview));
    return;
  }
  const words = saidByThePanel(xhr);
  refuse(words || REFUSALS[xhr.status] || OTHER, Boolean(words));
});
// A request without an answer may still have arrived, so this one must not promise anything.
document.addEventListener("htmx:sendError", () => refuse(SILENCE));
document.addEventListener("htmx:timeout", () => refuse(SILENCE));
