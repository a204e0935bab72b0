// The menu that chooses the theme. The chosen one is put on before the first paint, by ../theme.js.

import { store } from "./memory.js";

function markTheme() {
  const theme = document.documentElement.dataset.theme ?? "system";
  for (const button of document.querySelectorAll("[data-theme-choice]"))
    button.ariaPressed = String(button.dataset.themeChoice === theme);
}

export function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  store("theme", theme === "system" ? null : theme);
  markTheme();
}

markTheme();
