"""What a person would see at once and no checker of rules tells: words in pieces, and things too small to hit."""

WIDTHS = (1280, 1024, 760, 700, 640, 360, 320)

# What is settled: colours fade, if only for a millisecond.
SETTLED = """
new Promise(requestAnimationFrame)
  .then(() => Promise.all(document.getAnimations().map((each) => each.finished.catch(() => null))))
  .then(() => null)
"""

# Elements that reach too far to the right, but for what is scrolled, for the message.
WIDEST = """
[...document.body.querySelectorAll("*")]
  .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .filter((e) => !e.closest(".sidebar ul, .tabs > *, pre > *"))
  .slice(0, 5).map((e) => e.outerHTML.slice(0, 120)).join(" … ")
"""

# Words that stand on more than one line though a line has room for them: broken in their midst, where no hyphen and no
# dash is. Names, addresses and what is typed (bdi, code) break nowhere. What is longer than a phone is wide may break.
BROKEN_WORDS = r"""
(() => {
  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let text; (text = texts.nextNode()); ) {
    const within = text.parentElement;
    if (!within?.checkVisibility({ visibilityProperty: true })) continue;
    if (within.closest("script, style, option, pre, svg, textarea, .sr-only")) continue;
    if (within.offsetWidth < 2 && within.offsetHeight < 2) continue;
    const name = within.closest("bdi, code");
    const whole = name && !/\s/.test(name.textContent) && !name.querySelector("wbr");
    const words = whole ? /\S{4,24}/g : /[^\s\-‐-―/?&=,;…]{4,24}/g;
    for (const { 0: word, index } of text.data.matchAll(words)) {
      const [before, after] = [text.data.charAt(index - 1), text.data.charAt(index + word.length)];
      // A piece of something longer.
      if ((whole ? /\S/ : /[\w/:.-]/).test(before) || (whole ? /\S/ : /[\w/-]/).test(after)) continue;
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      const rows = new Set([...range.getClientRects()].filter((r) => r.width > 0.5).map((r) => Math.round(r.bottom)));
      if (rows.size > 1) found.add(`“${word}” is broken in ${within.outerHTML.slice(0, 80)}`);
    }
  }
  return [...found].slice(0, 5);
})()
"""

# What is pressed and smaller than a fingertip or a shaky hand needs, but for links in a sentence.
SMALL_TARGETS = """
[...document.querySelectorAll("a, button, summary, select, textarea, input:not([type=hidden])")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter((e) => !e.closest(".sr-only") && getComputedStyle(e).display !== "inline")
  .map((e) => (e.matches("[type=checkbox], [type=radio]") && e.closest("label")) || e)
  .filter((e) => {
    const { width, height } = e.getBoundingClientRect();
    return width > 2 && (width < 23.5 || height < 23.5);
  })
  .slice(0, 5).map((e) => `${e.outerHTML.slice(0, 120)} is a small target`)
"""

# What was opened and does not lie on the page whole: what sticks out on the left cannot be scrolled to.
OUTSIDE = """
[...document.querySelectorAll("details[open] > .menu-items")]
  .filter((e) => e.getBoundingClientRect().left < 0 || e.getBoundingClientRect().right > innerWidth)
  .map((e) => `${e.outerHTML.slice(0, 120)} sticks out`)
"""

# All of it, in one go: what is asked of a page piece by piece takes most of its time on the way there and back.
UNSOUND = f"""
(async (width) => {{
  // Nothing lies below the page's head, which stays where it is.
  scrollTo(0, 0);
  let wide;
  // A page that is resized takes a moment; one that is too wide stays so.
  for (let turn = 0; turn < 10; turn++) {{
    await {SETTLED.strip()};
    wide = document.scrollingElement.scrollWidth;
    if (wide <= width) break;
    await new Promise((go) => setTimeout(go, 200));
  }}
  return [
    ...(wide > width ? [`is ${{wide}} px wide: ${{{WIDEST.strip()}}}`] : []),
    ...{BROKEN_WORDS.strip()},
    ...{OUTSIDE.strip()},
    ...{SMALL_TARGETS.strip()},
  ];
}})
"""
