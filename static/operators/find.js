// Ctrl-K and / lead to Find, as in the panel: into its field where the page has it, else to its page.

import { stored } from "../js/memory.js";
import { isMac } from "../js/palette.js";

function asks(event) {
  const { key, altKey, ctrlKey, metaKey, shiftKey, target } = event;
  if (key.toLowerCase() === "k" && !altKey && !shiftKey) return isMac ? metaKey : ctrlKey;
  const typing = target.closest?.("input, select, textarea, [contenteditable]");
  return key === "/" && !typing && !ctrlKey && !metaKey && !altKey && stored("shortcuts") !== "off";
}

document.addEventListener("keydown", (event) => {
  const link = document.querySelector("[data-find]");
  if (!link || !asks(event) || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  const field = document.querySelector("form.find [name=q]");
  if (!field) return link.click();
  field.focus();
  field.select();
});
