// What script adds to pages that already work without it. No framework: htmx moves the parts, this keeps focus and voice.
// Each module listens on the document, because parts of the page come and go.

import "./voice.js";
import "./swaps.js";
import "./refusals.js";
import "./said-once.js";
import "./typed-meanwhile.js";
import "./in-turn.js";
import "./progress.js";
import "./under-way.js";
import "./signed-out.js";
import "./keep-typed.js";
import "./shown-once.js";
import "./clicks.js";
import "./commas.js";
import "./inactive.js";
import "./strips.js";
import "./keyboard.js";
import "./selection.js";
import "./picked.js";
import "./drag.js";
import "./rule-rows.js";
import "./rule-form.js";
import "./passkeys.js";
import "./idle.js";
import "./zone.js";
