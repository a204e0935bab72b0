// The frame's list is longer than many windows: the line of the page that is open is in sight.

const here = document.querySelector(".operators [aria-current]");
const list = here?.closest("div");
if (list) list.scrollTop += Math.max(0, here.getBoundingClientRect().bottom + 12 - list.getBoundingClientRect().bottom);
