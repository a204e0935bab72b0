// A list with commas in one field: what is offered for it goes behind what stands there already.

function behind(field) {
  const before = field.value.slice(0, field.value.lastIndexOf(",") + 1);
  for (const option of field.list?.options ?? []) {
    option.dataset.word ??= option.value;
    option.value = before ? `${before} ${option.dataset.word}` : option.dataset.word;
  }
}

document.addEventListener("input", ({ target }) => {
  if (target.matches?.("[data-commas]")) behind(target);
});
// What is offered came after what was typed.
document.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
  if (target.id) for (const field of document.querySelectorAll(`[data-commas][list="${target.id}"]`)) behind(field);
});
