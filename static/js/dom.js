/** The element with this id, or null. */
export const $ = (id) => document.getElementById(id);
