// Long work that a plain form starts: its button says so until the answer is there.

import { announce } from "./voice.js";

const underWay = new Map();

document.addEventListener("submit", ({ submitter, defaultPrevented }) => {
  if (defaultPrevented || !submitter?.dataset.busy || underWay.has(submitter)) return;
  underWay.set(submitter, [...submitter.childNodes]);
  submitter.setAttribute("aria-busy", "true");
  submitter.textContent = submitter.dataset.busy;
  announce(submitter.dataset.busy);
});
// The back button may bring the page as it was left.
addEventListener("pageshow", () => {
  for (const [button, words] of underWay) {
    button.removeAttribute("aria-busy");
    button.replaceChildren(...words);
  }
  underWay.clear();
});
