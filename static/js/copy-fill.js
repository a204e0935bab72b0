// Buttons that copy a text, and buttons that fill a field.

import { $ } from "./dom.js";
import { announce } from "./voice.js";

export async function copy(button) {
  const source = button.dataset.copyFrom && $(button.dataset.copyFrom);
  const text = source ? (source.value ?? source.textContent) : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied");
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  } catch {
    announce("Copying is not allowed here. Select the text instead.");
    if (source?.select) source.select();
    else if (source) getSelection().selectAllChildren(source);
  }
}

// A button that adds puts its word behind what stands there already, once.
function added(text, { dataset }) {
  const words = text.split(",").map((word) => word.trim());
  if (!("add" in dataset)) return dataset.value;
  return words.includes(dataset.value) ? text : [...words.filter(Boolean), dataset.value].join(", ");
}

export function fill(button, event) {
  const input = $(button.dataset.fill);
  if (!input) return;
  event.preventDefault();
  input.value = added(input.value, button);
  input.removeAttribute("aria-invalid");
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.focus();
  announce(`${button.dataset.value} filled in`);
}
