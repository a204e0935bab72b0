// Narrow screens: the current place in a strip that scrolls sideways, also once a phone was turned.

const show = ([{ target: strip }]) => {
  const current = strip.querySelector("[aria-current]");
  if (current) strip.scrollLeft = current.offsetLeft - strip.offsetLeft - 48;
};

for (const strip of document.querySelectorAll(".sidebar, .tabs")) new ResizeObserver(show).observe(strip);
