// Escape closes menus; single keys do nothing while somebody types, and can be switched off. Ctrl-K opens Find anywhere.

import { $ } from "./dom.js";
import { store, stored } from "./memory.js";
import { isMac, openPalette } from "./palette.js";

const shortcutsOn = $("shortcuts-on");

if (shortcutsOn) {
  shortcutsOn.checked = stored("shortcuts") !== "off";
  shortcutsOn.addEventListener("change", () => store("shortcuts", shortcutsOn.checked ? null : "off"));
}

function closeMenu() {
  const menu = document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
}

/** What a key stands for on this page, or null. */
function meant(key) {
  if (key === "/") return $("palette");
  if (key === "f") return document.querySelector("[data-search]");
  if (key === "?") return $("shortcuts");
  return document.querySelector(`[data-shortcut="${CSS.escape(key)}"]`);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return closeMenu();
  const find =
    (isMac ? event.metaKey : event.ctrlKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k";
  if (find && (!document.querySelector("dialog[open]") || $("palette")?.open)) return openPalette($("palette"), event);
  const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (!shortcutsOn?.checked || document.querySelector("dialog[open]")) return;
  const target = meant(event.key);
  if (!target) return;
  if (target.id === "palette") return openPalette(target, event);
  event.preventDefault();
  if (target instanceof HTMLDialogElement) target.showModal();
  else if (target.matches("[data-search]")) {
    target.focus();
    target.select();
  } else target.click();
});
