// Dragging a row: an extra for pointers; the buttons do the same for everyone.

import { $ } from "./dom.js";

// Puts the rows back where they were when the question that a drop leads to is cancelled.
let undoDrag = () => {};

export function takeDragBack() {
  undoDrag();
  undoDrag = () => {};
}

document.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest("[data-sortable] > [data-row] > .number");
  const list = handle?.closest("[data-sortable]");
  if (!list || event.button !== 0) return;
  event.preventDefault();
  drag(handle.closest("[data-row]"), list);
});

function drag(row, list) {
  const before = [...list.children];
  const moving = withNotes(row);
  const stop = new AbortController();
  const on = (name, act) => document.addEventListener(name, act, { signal: stop.signal });
  row.classList.add("dragging");

  const end = (keep) => {
    stop.abort();
    row.classList.remove("dragging");
    const place = rowsOf(list).indexOf(row);
    if (place === before.filter((other) => other.matches("[data-row]")).indexOf(row)) return;
    const putBack = () => list.append(...before);
    if (!keep) return putBack();
    undoDrag = putBack;
    const form = $(list.dataset.sortable);
    form.elements.rule.value = row.id.replace("rule-", "");
    form.elements.position.value = place + Number(list.dataset.first ?? 1);
    form.requestSubmit();
  };
  on("pointermove", ({ clientY }) => moveTo(clientY, row, moving, list));
  on("pointerup", () => end(true));
  on("pointercancel", () => end(false));
  on("keydown", ({ key }) => key === "Escape" && end(false));
}

function moveTo(y, row, moving, list) {
  if (y < 80) scrollBy(0, -12);
  else if (y > innerHeight - 80) scrollBy(0, 12);
  const rows = rowsOf(list);
  const over = rows.find((other) => {
    const box = other.getBoundingClientRect();
    return other !== row && y >= box.top && y < box.bottom;
  });
  if (!over) return;
  const box = over.getBoundingClientRect();
  const middle = box.top + box.height / 2;
  const down = rows.indexOf(over) > rows.indexOf(row);
  // Only past the middle: rows of different height would otherwise swap back and forth under a still pointer.
  const overNotes = withNotes(over);
  if (down && y > middle) overNotes.at(-1).after(...moving);
  else if (!down && y < middle) over.before(...moving);
}

function rowsOf(list) {
  return [...list.querySelectorAll(":scope > [data-row]")];
}

/** What is said about a rule stands in a row of its own below it and moves with it. */
function withNotes(row) {
  return [row, row.nextElementSibling].filter((part) => part === row || part?.matches(".notes-row"));
}
