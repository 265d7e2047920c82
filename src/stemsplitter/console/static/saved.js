// The settings of a player, kept in the tab: they survive a reload and Back.

const KEY = `player ${location.pathname}`;

/** The settings kept for this page; an empty object if there are none. */
export function readSaved() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // no storage in this browser
  }
}

export function save(settings) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // they are lost on a reload
  }
}
