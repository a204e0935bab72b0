// Clicks, all in one place: the first that fits is the one that acts.

import { copy, fill } from "./copy-fill.js";
import { openDialog, pressedBackdrop } from "./dialog.js";
import { $ } from "./dom.js";
import { openPalette } from "./palette.js";
import { setTheme } from "./theme-choice.js";

const ACTIONS = [
  ["[data-dismiss]", (button) => button.closest(".message").remove()],
  ["[data-theme-choice]", (button) => setTheme(button.dataset.themeChoice)],
  ["[data-open]", (button) => $(button.dataset.open).showModal()],
  ["[data-palette]", openPalette],
  ["[data-copy], [data-copy-from]", copy],
  ["[data-fill]", fill],
  ["[data-print]", () => window.print()],
  ["dialog [data-close]", closeAround],
];

function closeAround(button, event) {
  event.preventDefault();
  button.closest("dialog").close();
}

function closeMenus({ target }) {
  const inMenu = target.closest("details.menu");
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    const chosen = menu === inMenu && target.closest(".menu-items :is(a, button)");
    if (menu !== inMenu || chosen) menu.open = false;
    // What was chosen is hidden now and would drop the focus to the top of the page.
    if (chosen) menu.querySelector("summary").focus();
  }
}

document.addEventListener("click", (event) => {
  closeMenus(event);
  const { target } = event;
  for (const [selector, act] of ACTIONS) {
    const found = target.closest(selector);
    if (found) return act(found, event);
  }
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  const link = plain && target.closest("a[data-dialog]");
  if (link) {
    event.preventDefault();
    openDialog(link);
  } else if (pressedBackdrop(target)) target.close();
});
