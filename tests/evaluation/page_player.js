// Runs the script of the page, given as a file, on a song with two rows: [mixture] and [truth, estimate].
// Prints for each key: the chosen sound, the playing sounds, and the position of the chosen sound.
"use strict";
const made = [];

class Audio {
  constructor(src) {
    Object.assign(this, {src, currentTime: 0, paused: true});
    made.push(this);
  }
  addEventListener() {}
  play() { this.paused = false; }
  pause() { this.paused = true; }
}

function element(more) {
  return {value: "0", max: "9", setAttribute() {}, addEventListener() {}, focus() {}, matches: () => false, ...more};
}

const buttons = ["mixture", "truth", "estimate"].map(name => element({dataset: {sound: name, name}}));
const rows = [buttons.slice(0, 1), buttons.slice(1)].map(inRow => {
  const row = {cells: [{querySelector: () => null}]};
  for (const button of inRow) {
    const cell = {cellIndex: row.cells.length, parentElement: row, querySelector: () => button, closest: () => ({rows})};
    button.closest = () => cell;
    row.cells.push(cell);
  }
  return row;
});
const parts = {".play": element(), input: element(), output: element()};
const section = {querySelectorAll: () => buttons, querySelector: name => parts[name]};
const handlers = {};
const document = {
  querySelectorAll: () => [section],
  addEventListener(event, handler) { handlers[event] = handler; },
};
const script = require("node:fs").readFileSync(process.argv[2], "utf8");
const song = new Function("document", "Audio", "setInterval", `${script}; return active;`)(document, Audio, () => {});

const log = [];
for (const key of process.argv.slice(3)) {
  handlers.keydown({key, target: buttons[0], preventDefault() {}});
  const playing = made.filter(audio => !audio.paused);
  const chosen = made.find(audio => audio.src === song.current.dataset.sound);
  log.push([chosen.src, playing.map(audio => audio.src), chosen.currentTime]);
  for (const audio of playing) audio.currentTime += 1;
}
console.log(JSON.stringify(log));
