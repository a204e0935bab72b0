// What script adds to pages that already work without it. No framework: htmx moves the parts, this keeps focus and voice.

const $ = (id) => document.getElementById(id);

// ---- voice: messages and announcements ----

function announce(text) {
  $("live").textContent = "";
  // Emptied first and filled later, so that the same sentence is read out twice when it happens twice.
  setTimeout(() => ($("live").textContent = text), 50);
}

function showError(text) {
  // An open modal dialog makes everything behind it inert, messages too.
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  const message = document.createElement("div");
  message.className = "message error";
  const words = document.createElement("p");
  words.textContent = text;
  const close = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-small", textContent: "Dismiss" });
  close.dataset.dismiss = "";
  message.append(words, close);
  $("messages").append(message);
}

function watchMessages(region) {
  region.querySelectorAll(".message:not([data-stay], .error, [data-timed])").forEach((message) => {
    message.dataset.timed = "";
    const leave = () => (message.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : message.remove());
    setTimeout(leave, 8000);
  });
}

const messages = $("messages");
if (messages) {
  // Screen readers read what changes in a live region, not what it is born with: put the first messages in again.
  if (messages.children.length) setTimeout(() => messages.replaceChildren(...messages.children), 150);
  new MutationObserver(() => watchMessages(messages)).observe(messages, { childList: true });
}

// The server says {"announce": "…"} in the HX-Trigger header.
document.addEventListener("announce", (event) => announce(event.detail.value));

// ---- htmx: busy marks, focus, errors ----

let focusedId = "";

document.addEventListener("htmx:beforeRequest", (event) => event.detail.target?.setAttribute("aria-busy", "true"));
document.addEventListener("htmx:afterRequest", (event) => event.detail.target?.removeAttribute("aria-busy"));
document.addEventListener("htmx:beforeSwap", () => (focusedId = document.activeElement?.id ?? ""));
document.addEventListener("htmx:afterSettle", (event) => {
  const region = event.detail.elt;
  if (region.id === "dialog" && !region.open) {
    const back = $(focusedId);
    region.showModal();
    region.addEventListener("close", () => (region.replaceChildren(), takeDragBack(), back?.focus()), { once: true });
  }
  const summary = region.querySelector?.(".error-summary");
  if (summary) focusErrors(summary);
  else if (document.activeElement === document.body && focusedId && !messages?.contains(region)) {
    // The control is gone (a deleted row): stay near it instead of starting again at the top of the page.
    const next = $(focusedId) ?? region;
    if (next === region) region.tabIndex = -1;
    next.focus({ preventScroll: true });
  }
  if (!document.querySelector(".error-summary")) document.title = document.title.replace(/^Error: /, "");
  refreshSelection();
});

// The answer cannot know what was typed while it was on its way, so that is put into it again.
let typedMeanwhile = [];

document.addEventListener("input", ({ target }) => {
  const region = target.closest('[aria-busy="true"]')?.id;
  if (region && target.name) typedMeanwhile.push({ region, name: target.name, value: target.value, checked: target.checked });
});
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  // This request takes along all that was typed before it.
  typedMeanwhile = typedMeanwhile.filter(({ region }) => region !== detail.target?.id);
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  const id = detail.target?.id;
  const typed = typedMeanwhile.filter(({ region }) => region === id);
  typedMeanwhile = typedMeanwhile.filter(({ region }) => region !== id);
  for (const { name, value, checked } of typed) {
    const named = [...($(id)?.querySelectorAll(`[name="${CSS.escape(name)}"]`) ?? [])];
    const boxes = named.filter((input) => ["checkbox", "radio"].includes(input.type));
    const input = boxes.length ? boxes.find((box) => box.value === value) : named.length === 1 && named[0];
    if (!input || (boxes.length ? input.checked === checked : input.value === value)) continue;
    if (boxes.length) input.checked = checked;
    else input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
});

function focusErrors(summary) {
  if (!document.title.startsWith("Error:")) document.title = `Error: ${document.title}`;
  summary.focus();
}

// Long work that a plain form starts: its button says so until the answer is there.
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
  underWay.forEach((words, button) => (button.removeAttribute("aria-busy"), button.replaceChildren(...words)));
  underWay.clear();
});

const REFUSALS = {
  403: "You may not do this. Nothing was changed.",
  404: "This does not exist any more. Nothing was changed. Reload the page to see what does.",
  413: "This is too much at once. Nothing was changed. Shorten it, or split it.",
  429: "Too many requests. Nothing was changed. Wait a minute, then try again.",
};
document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  takeDragBack();
  showError(REFUSALS[status] ?? "The panel could not answer. Nothing was changed. Try again; if it happens again, tell support.");
});
// A request without an answer may still have arrived, so this one must not promise anything.
for (const name of ["htmx:sendError", "htmx:timeout"])
  document.addEventListener(name, () => {
    takeDragBack();
    showError("No connection to the panel. Reload the page to see what is stored, then try again.");
  });

const firstErrors = document.querySelector(".error-summary");
if (firstErrors) focusErrors(firstErrors);

// ---- clicks, all in one place because parts of the page come and go ----

document.addEventListener("click", (event) => {
  const closest = (selector) => event.target.closest(selector);
  const inMenu = closest("details.menu");
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    const chosen = menu === inMenu && closest(".menu-items :is(a, button)");
    if (menu !== inMenu || chosen) menu.open = false;
    // What was chosen is hidden now and would drop the focus to the top of the page.
    if (chosen) menu.querySelector("summary").focus();
  });

  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  let found;
  if ((found = closest("[data-dismiss]"))) found.closest(".message").remove();
  else if ((found = closest("[data-theme-choice]"))) setTheme(found.dataset.themeChoice);
  else if ((found = closest("[data-open]"))) $(found.dataset.open).showModal();
  else if ((found = closest("[data-copy], [data-copy-from]"))) copy(found);
  else if ((found = closest("[data-fill]"))) fill(event, found);
  else if ((found = closest("dialog [data-close]"))) {
    event.preventDefault();
    found.closest("dialog").close();
  } else if (plain && (found = closest("a[data-dialog]"))) {
    event.preventDefault();
    openDialog(found);
  } else if (event.target instanceof HTMLDialogElement && event.target === pressed) event.target.close(); // The backdrop.
});
// Who selects text and lets go outside of the dialog has not pressed its backdrop.
let pressed = null;
document.addEventListener("pointerdown", ({ target }) => (pressed = target), { capture: true });
// htmx listens on the element itself, so an inactive button must be stopped before the click reaches it.
document.addEventListener("click", (event) => {
  if (event.target.closest('[aria-disabled="true"]')) {
    event.preventDefault();
    event.stopPropagation();
  }
}, { capture: true });

// A confirmation is a page of its own; here it only comes nearer. Whatever goes wrong, the page still works.
async function openDialog(link) {
  const dialog = $("dialog");
  try {
    const answer = await fetch(link.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const content = page.getElementById("confirm");
    if (!answer.ok || !content || !dialog) throw new Error("not a confirmation");
    dialog.replaceChildren(document.importNode(content, true));
    window.htmx?.process(dialog);
    dialog.showModal();
    // Removed from a menu, the link itself cannot take the focus back.
    const back = link.closest("details.menu")?.querySelector("summary") ?? link;
    dialog.addEventListener("close", () => (dialog.replaceChildren(), back.focus()), { once: true });
  } catch {
    location.assign(link.href);
  }
}

async function copy(button) {
  const source = button.dataset.copyFrom && $(button.dataset.copyFrom);
  const text = source ? (source.value ?? source.textContent) : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied");
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  } catch {
    announce("Copying is not allowed here. Select the text instead.");
    if (source) getSelection().selectAllChildren(source);
  }
}

function fill(event, button) {
  const input = $(button.dataset.fill);
  if (!input) return;
  event.preventDefault();
  input.value = button.dataset.value;
  input.removeAttribute("aria-invalid");
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.focus();
  announce(`${button.dataset.value} filled in`);
}

// ---- narrow screens: the current place in a strip that scrolls sideways ----

for (const strip of document.querySelectorAll(".sidebar, .tabs")) {
  const current = strip.querySelector("[aria-current]");
  if (current) strip.scrollLeft = current.offsetLeft - strip.offsetLeft - 48;
}

// ---- theme ----

function markTheme() {
  const theme = document.documentElement.dataset.theme ?? "system";
  document.querySelectorAll("[data-theme-choice]").forEach((button) => (button.ariaPressed = String(button.dataset.themeChoice === theme)));
}

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  store("theme", theme === "system" ? null : theme);
  markTheme();
}

function store(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // A browser that forbids storage forgets the choice with the page.
  }
}

function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

markTheme();

// ---- keyboard ----

const shortcutsOn = $("shortcuts-on");
if (shortcutsOn) {
  shortcutsOn.checked = stored("shortcuts") !== "off";
  shortcutsOn.addEventListener("change", () => store("shortcuts", shortcutsOn.checked ? null : "off"));
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = document.querySelector("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    return;
  }
  const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (!shortcutsOn?.checked || document.querySelector("dialog[open]")) return;
  const actions = {
    "/": () => document.querySelector("[data-search]"),
    "?": () => $("shortcuts"),
  };
  const target = actions[event.key]?.() ?? document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  if (target instanceof HTMLDialogElement) target.showModal();
  else if (target.matches("[data-search]")) target.focus(), target.select();
  else target.click();
});

// ---- selection ----

function refreshSelection() {
  document.querySelectorAll("[data-select-all]").forEach((all) => {
    const boxes = [...all.form.querySelectorAll("tbody input[type=checkbox]")];
    const count = boxes.filter((box) => box.checked).length;
    all.checked = count > 0 && count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
    all.form.querySelectorAll("[data-selected-count]").forEach((words) => (words.textContent = `${count} selected`));
  });
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-select-all]"))
    target.form.querySelectorAll("tbody input[type=checkbox]").forEach((box) => (box.checked = target.checked));
  if (target.matches(".bulk input[type=checkbox]")) refreshSelection();
});
refreshSelection(); // A reload or the back button may bring ticked boxes with it.

// ---- drag a row: an extra for pointers; the buttons do the same for everyone ----

// Puts the rows back where they were when the question that a drop leads to is cancelled.
let undoDrag = () => {};

function takeDragBack() {
  undoDrag();
  undoDrag = () => {};
}

document.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest("[data-drag-handle]");
  const list = handle?.closest("[data-sortable]");
  if (!list || event.button !== 0) return;
  event.preventDefault();
  const row = handle.closest("[data-row]");
  const before = [...list.children];
  // What is said about a rule stands in a row of its own below it and moves with it.
  const withNotes = (one) => [one, one.nextElementSibling].filter((part) => part === one || part?.matches(".notes-row"));
  const moving = withNotes(row);
  const stop = new AbortController();
  const on = (name, act) => document.addEventListener(name, act, { signal: stop.signal });
  row.classList.add("dragging");

  on("pointermove", ({ clientY }) => {
    if (clientY < 80) scrollBy(0, -12);
    else if (clientY > innerHeight - 80) scrollBy(0, 12);
    const rows = [...list.querySelectorAll(":scope > [data-row]")];
    const over = rows.find((other) => {
      const box = other.getBoundingClientRect();
      return other !== row && clientY >= box.top && clientY < box.bottom;
    });
    if (!over) return;
    const box = over.getBoundingClientRect();
    const down = rows.indexOf(over) > rows.indexOf(row);
    // Only past the middle: rows of different height would otherwise swap back and forth under a still pointer.
    if (down && clientY > box.top + box.height / 2) withNotes(over).at(-1).after(...moving);
    else if (!down && clientY < box.top + box.height / 2) over.before(...moving);
  });

  const end = (keep) => {
    stop.abort();
    row.classList.remove("dragging");
    const place = [...list.querySelectorAll(":scope > [data-row]")].indexOf(row);
    if (place === before.filter((other) => other.matches("[data-row]")).indexOf(row)) return;
    if (!keep) return list.append(...before);
    undoDrag = () => list.append(...before);
    const form = $(list.dataset.sortable);
    form.elements.rule.value = row.dataset.row;
    form.elements.position.value = place + Number(list.dataset.first ?? 1);
    form.requestSubmit();
  };
  on("pointerup", () => end(true));
  on("pointercancel", () => end(false));
  on("keydown", ({ key }) => key === "Escape" && end(false));
});
