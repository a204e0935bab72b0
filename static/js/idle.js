// After the time without a click that ends a session, no page goes on showing what belongs to it.

import { keepTyped } from "./keep-typed.js";
import { store, stored } from "./memory.js";

const page = document.querySelector("body[data-idle]");
const KEY = "karenpanel.used";
let last = Date.now();

// All tabs of a browser are one session: what is done in one keeps the others.
function used() {
  last = Date.now();
  store(KEY, String(last));
}

function look(milliseconds) {
  const left = Math.max(last, Number(stored(KEY))) + milliseconds - Date.now();
  if (left <= 0) {
    keepTyped();
    location.reload();
  } else setTimeout(() => look(milliseconds), left);
}

if (page) {
  used();
  document.addEventListener("htmx:afterRequest", used);
  // A moment later than the server, so that it agrees.
  look((Number(page.dataset.idle) + 5) * 1000);
}
