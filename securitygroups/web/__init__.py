"""The panel in the browser: screens, and the ways from a click to a change."""
