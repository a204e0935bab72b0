// The answer cannot know what was typed while it was on its way, so that is put into it again.

import { $ } from "./dom.js";

let typedMeanwhile = [];

document.addEventListener("input", ({ target }) => {
  const region = target.closest('[aria-busy="true"]')?.id;
  if (!region || !target.name) return;
  typedMeanwhile.push({ region, name: target.name, value: target.value, checked: target.checked });
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
