// What a form says at its fields already is not said again in the preview below it.

const words = (element) => element.textContent.trim().replace(/\s+/g, " ");

document.addEventListener("htmx:afterSwap", () => {
  const line = document.querySelector("#preview > [data-else]");
  const said = line ? document.querySelectorAll("main :is(.error-summary li, .field-error p, .error)") : [];
  if ([...said].some((error) => words(error) === words(line))) {
    line.textContent = line.dataset.else;
  }
});
