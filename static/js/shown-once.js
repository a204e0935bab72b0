// A secret that is shown once is not there any more for who comes back to its page.

const selector = "[data-shown-once]";

addEventListener("pagehide", () => {
  const shown = document.querySelector(selector);
  if (!shown) return;
  for (const field of shown.querySelectorAll("input")) field.value = "";
  for (const text of shown.querySelectorAll("pre")) text.textContent = "";
});
// A browser that has kept the page all the same leads on to where what it belongs to is listed.
addEventListener("pageshow", ({ persisted }) => {
  const shown = persisted && document.querySelector(selector);
  if (shown) location.replace(shown.dataset.shownOnce);
});
