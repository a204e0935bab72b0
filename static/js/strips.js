// Narrow screens: the current place in a strip that scrolls sideways.

for (const strip of document.querySelectorAll(".sidebar, .tabs")) {
  const current = strip.querySelector("[aria-current]");
  if (current) strip.scrollLeft = current.offsetLeft - strip.offsetLeft - 48;
}
