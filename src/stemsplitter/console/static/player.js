// The player. All settings are fields of the form, so that the server renders the mix that is heard.
// Tests read the engine from the form: form.engine.positions().
import { toast } from "./app.js";
import { Chords } from "./chords.js";
import { AHEAD, SoundError } from "./engine.js";
import { Faders } from "./faders.js";
import { within } from "./loading.js";
import { Loop } from "./loop.js";
import { connectMedia, showMedia } from "./media.js";
import { Metronome, countIn } from "./metronome.js";
import { Opening } from "./opening.js";
import { Practice } from "./practice.js";
import { readSaved, save } from "./saved.js";
import { saveFrom } from "./saving.js";
import { View } from "./view.js";
import { clock } from "./waveform.js";
import { Waves } from "./waves.js";
import { _, count } from "./texts.js";

const STEP = 5; // seconds per press of an arrow key
const CLIPPING_SECONDS = 2;
const LOWEST_DB = -48; // of a meter
const SOUND_TRIES = 3; // to start the sound, each with a new audio context
const SLOW = 1000; // milliseconds after which the player says that it waits
const STUCK = 4000; // milliseconds without progress of a clock that runs
const TEMPO = 3; // seconds in which the sound waits for the script of other speeds

const form = document.querySelector("[data-player]");
const help = document.getElementById("keys");
const find = (name, root = form) => root.querySelector(`[data-${name}]`);
const lanes = [...form.querySelectorAll("[data-stem]")];
const urls = new Map(lanes.map((lane) => [lane.dataset.stem, lane.dataset.url]));
const faders = new Faders([...urls.keys()]);
const duration = Number(form.dataset.seconds);
const beats = form.dataset.beats?.split(" ").map(Number) ?? [];
const metronome = new Metronome(beats);
const view = new View(length, showView);
const chords = new Chords(form, view);
const waves = new Waves(lanes, view, beats, form.dataset.fine);
const loop = new Loop(form, { lanes, view, position: () => position(), seek, changed: changeLoop });
const opening = new Opening({
  previews: form.dataset.previews,
  urls,
  isDecoded: "decoded" in form.dataset,
  faders,
  tell: (text) => showMessage(text),
  sampleRate: () => waves.sampleRate,
  length,
});
let engine = null;
let isStarting = false; // from Play until sound is on its way
let clockSeen = { time: 0, at: 0 }; // of the audio context, and when it got there
let restarts = 0; // because it had stopped, since Play was pressed
let waitsSince = null; // when the player began to wait for sound
let resting = 0; // position in seconds before the engine exists
let clippingUntil = 0;
let isRestored = false;
let wasPlaying = false;
const practice = new Practice(form, changeTempo);

function length() {
  return engine?.duration ?? waves.duration ?? duration;
}

const position = () => engine?.position ?? resting;

// ---- faders, read from the form's inputs ----

function panText(pan) {
  if (pan === 0) return _("center");
  const percent = Math.round(Math.abs(pan) * 100);
  return pan < 0 ? _("{number} % left", { number: percent }) : _("{number} % right", { number: percent });
}

function readLane(lane) {
  const gain = Number(find("gain", lane).value);
  const pan = Number(find("pan", lane).value);
  const texts = { gain: `${gain > 0 ? "+" : ""}${count(gain)} dB`, pan: panText(pan) };
  for (const [name, text] of Object.entries(texts)) find(name, lane).setAttribute("aria-valuetext", text);
  lane.querySelector("output").value = texts.gain;
  find("pan-text", lane).textContent = texts.pan;
  faders.set(lane.dataset.stem, {
    gain,
    pan,
    muted: find("mute", lane).checked,
    solo: find("solo", lane).checked,
  });
}

function readAll() {
  lanes.forEach(readLane);
  for (const lane of lanes) lane.classList.toggle("silent", !faders.isHeard(lane.dataset.stem));
  engine?.apply();
  keep();
}

/** Keep the settings for a reload, once those of the last visit are restored. */
function keep() {
  if (!isRestored) return;
  const stems = Object.fromEntries(faders.names.map((name) => [name, { ...faders.get(name) }]));
  const { start, end, isOn } = loop;
  const { speed, semitones } = practice;
  const practiced = { speed, semitones, metronome: metronome.isOn, countsIn: isPressed("count-in") };
  save({ stems, volume: find("volume").value, loop: { start, end, isOn }, position: position(), ...practiced });
}

/** Show the settings that are kept, then read all inputs: after Back, a browser restores some of them, too. */
function restore() {
  const saved = readSaved();
  for (const lane of lanes) {
    const kept = saved.stems?.[lane.dataset.stem];
    if (!kept) continue;
    find("gain", lane).value = kept.gain;
    find("pan", lane).value = kept.pan;
    find("mute", lane).checked = kept.muted;
    find("solo", lane).checked = kept.solo;
  }
  find("volume").value = saved.volume ?? 100;
  if (saved.loop) Object.assign(loop, saved.loop);
  if (!engine) resting = Math.min(saved.position ?? 0, length());
  practice.set(saved.speed ?? 1, saved.semitones ?? 0);
  press("metronome", Boolean(saved.metronome));
  press("count-in", Boolean(saved.countsIn));
  isRestored = true;
  changeVolume();
  readAll();
  loop.show();
}

function changeVolume() {
  engine?.setVolume(find("volume").value / 100);
  keep();
}

async function changeTempo() {
  keep();
  chords.transpose(practice.semitones);
  try {
    await engine?.setTempo(practice.speed, practice.semitones);
  } catch (error) {
    practice.disable();
    showMessage(error.message);
  }
}

const isPressed = (name) => find(name)?.getAttribute("aria-pressed") === "true";

/** Turn the metronome or the count-in on or off; songs without beats have neither. */
function press(name, isOn = !isPressed(name)) {
  const button = find(name);
  button?.setAttribute("aria-pressed", String(isOn && !button.disabled));
  metronome.isOn = isPressed("metronome");
  keep();
}

function changeLoop() {
  engine?.setLoop(loop.wanted);
  keep();
}

function toggle(lane, name) {
  const box = find(name, lane);
  box.checked = !box.checked;
  readAll();
  const texts = { mute: [_("mute off"), _("mute on")], solo: [_("solo off"), _("solo on")] };
  toast(`${lane.querySelector("h2").textContent}: ${texts[name][Number(box.checked)]}`);
}

// ---- playback ----

function showMessage(text, place = "message") {
  const message = document.querySelector(`[data-${place}]`);
  message.hidden = !text;
  message.textContent = text;
}

const WAITING = _("Loading …");

/** Open the engine at the position of the player. */
async function load() {
  const opened = await opening.engine();
  engine = opened;
  form.engine = opened;
  showMessage("");
  opened.addEventListener("change", show);
  opened.addEventListener("end", show);
  opened.addEventListener("error", ({ detail }) => showMessage(detail.message));
  opened.addEventListener("unstretchable", () => {
    practice.disable();
    showMessage(_("This browser cannot change the speed or the pitch."));
  });
  opened.context.addEventListener("statechange", () => {
    if (opened.context.state !== "running" && opened.playing) opened.pause(); // a call, or the device was removed
  });
  opened.seek(resting);
  opened.setLoop(loop.wanted);
  changeVolume();
  if (opened.canStretch) {
    metronome.follow(opened);
    await within(TEMPO, changeTempo(), null).catch(() => {}); // until it is there, the song has its own speed
    return;
  }
  practice.disable();
  for (const name of beats.length ? ["metronome", "count-in"] : []) {
    find(name).disabled = true;
    press(name, false);
  }
}

/** Forget an engine that does not sound: the next one has another audio context, and the previews that are loaded. */
function dropEngine() {
  resting = position();
  engine.pause();
  engine.context.close();
  engine = null;
  form.engine = null;
}

async function playOrPause() {
  if (engine?.playing) {
    engine.pause();
    showMessage("");
  } else if (!isStarting) {
    restarts = 0;
    await play();
  }
}

async function play() {
  isStarting = true;
  showMessage("");
  requestAnimationFrame(follow);
  try {
    for (let tries = SOUND_TRIES; !engine?.playing; tries -= 1) await tryPlaying(tries === 1);
  } catch (error) {
    showMessage(error.message);
  }
  isStarting = false;
}

async function tryPlaying(isLast) {
  try {
    if (!engine) await load();
    await engine.play(isPressed("count-in") ? countFour() : 0);
  } catch (error) {
    if (!(error instanceof SoundError) || isLast) throw error;
    dropEngine();
  }
}

/** Click four times. Returns the time of the clock at which the song starts. */
function countFour() {
  const times = countIn(beats, position(), practice.speed);
  const start = engine.context.currentTime + AHEAD + times[0];
  metronome.click(engine, times.map((time) => start - time));
  return start;
}

function seek(seconds) {
  const at = Math.min(Math.max(seconds, 0), length());
  resting = at;
  engine?.seek(at);
  show();
}

function follow() {
  const isPlaying = Boolean(engine?.playing);
  tellWaiting(isStarting || (isPlaying && engine.waiting));
  if (!isStarting && !isPlaying) return;
  if (isPlaying) {
    if (engine.level() > 1) clippingUntil = engine.context.currentTime + CLIPPING_SECONDS;
    if (isStuck(engine.context.currentTime)) restart();
  }
  show();
  requestAnimationFrame(follow);
}

/** Say that the player waits, unless it says more already. */
function tellWaiting(waits) {
  const isShown = document.querySelector("[data-message]").textContent === WAITING;
  if (!waits) waitsSince = null;
  else waitsSince ??= performance.now();
  if (waits && performance.now() - waitsSince > SLOW) {
    if (document.querySelector("[data-message]").hidden) showMessage(WAITING);
  } else if (!waits && isShown) showMessage("");
}

/** Whether the clock of the audio context has stopped although it runs, as after a fault of the sound output. */
function isStuck(time) {
  const now = performance.now();
  if (time !== clockSeen.time || now - clockSeen.at > 2 * STUCK) clockSeen = { time, at: now };
  return now - clockSeen.at > STUCK;
}

function restart() {
  dropEngine();
  restarts += 1;
  if (restarts < SOUND_TRIES) play();
  else showMessage(new SoundError().message);
}

function show() {
  const at = position();
  resting = at;
  find("now").textContent = clock(at);
  const isPlaying = Boolean(engine?.playing);
  find("play-label").textContent = isPlaying ? _("Pause") : _("Play");
  find("play").classList.toggle("playing", isPlaying);
  if (isPlaying !== wasPlaying) {
    wasPlaying = isPlaying;
    showMedia(isPlaying, length(), at);
    keep();
  }
  find("clipping").hidden = !engine || engine.context.currentTime >= clippingUntil;
  const slider = find("seek");
  slider.max = length();
  slider.value = at;
  slider.setAttribute("aria-valuetext", _("{time} of {length}", { time: clock(at), length: clock(length()) }));
  view.follow(at, isPlaying);
  chords.show(at);
  for (const lane of lanes) {
    const head = lane.querySelector(".head");
    head.hidden = view.share(at) < 0 || view.share(at) > 1;
    head.style.left = `${100 * view.share(at)}%`;
    find("meter", lane).style.transform = `scaleX(${isPlaying ? meterShare(engine.level(lane.dataset.stem)) : 0})`;
  }
}

function showView() {
  find("zoom-text").textContent = `${count(Math.round(10 * view.factor) / 10)}×`;
  find("zoom-out").disabled = view.isWhole;
  loop.show();
  chords.change();
  show();
  waves.change();
}

const zoom = (by) => view.zoom(by, position());

const meterShare = (peak) => Math.min(Math.max(1 - (20 * Math.log10(Math.max(peak, 1e-6))) / LOWEST_DB, 0), 1);

// ---- buttons and keys ----

const actions = {
  " ": () => playOrPause(),
  ArrowLeft: (shift) => seek(position() - (shift ? 1 : STEP)),
  ArrowRight: (shift) => seek(position() + (shift ? 1 : STEP)),
  Home: () => seek(0),
  "[": () => loop.mark("start"),
  "]": () => loop.mark("end"),
  l: () => loop.toggle(),
  c: () => loop.clear(),
  s: () => practice.step({ speed: -1 }),
  f: () => practice.step({ speed: 1 }),
  d: () => practice.step({ semitones: -1 }),
  u: () => practice.step({ semitones: 1 }),
  r: () => practice.reset(),
  m: () => beats.length && press("metronome"),
  i: () => beats.length && press("count-in"),
  "+": () => zoom(2),
  "=": () => zoom(2),
  "-": () => zoom(0.5),
  "?": () => help.showModal(),
};

/** True if the element handles the key itself. */
function isTaken(element, key) {
  if (element === find("seek")) return false; // its own steps are hundredths of a second
  if (element.matches("input[type=range]")) return /^(Arrow|Page|Home|End)/.test(key);
  if (element.closest("input:not([type=checkbox]), select, textarea, dialog, [contenteditable]")) return true;
  return key === " " && element.closest("button, a, summary, input") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
  const lane = digit && lanes[digit - 1];
  const action = lane ? () => toggle(lane, event.shiftKey ? "solo" : "mute") : actions[event.key] ?? actions[event.key.toLowerCase()];
  if (!action || isTaken(event.target, event.key)) return;
  event.preventDefault();
  action(event.shiftKey);
});

form.addEventListener("input", (event) => {
  if (event.target === find("seek")) seek(Number(event.target.value));
  else if (event.target === find("volume")) changeVolume();
  else if (event.target.closest("[data-practice]")) practice.set(practice.speed, practice.semitones);
  else if (event.target.closest("[data-stem]")) readAll();
});
form.addEventListener("dblclick", (event) => {
  if (event.target.matches("[data-speed], [data-semitones]")) practice.reset();
  if (!event.target.matches("[data-gain], [data-pan]")) return;
  event.target.value = 0;
  readAll();
});
// after a click the space bar plays; keyboard users keep the focus
form.addEventListener("click", (event) => {
  const isPointer = event.detail > 0;
  if (isPointer) event.target.closest("input, button, summary")?.blur();
});
find("play").addEventListener("click", playOrPause);
find("restart").addEventListener("click", () => seek(0));
find("zoom-in").addEventListener("click", () => zoom(2));
find("zoom-out").addEventListener("click", () => zoom(0.5));
find("metronome")?.addEventListener("click", () => press("metronome"));
find("count-in")?.addEventListener("click", () => press("count-in"));
find("help").addEventListener("click", () => help.showModal());
addEventListener("pageshow", restore);
addEventListener("pagehide", keep);
connectMedia(form.dataset.title, form.dataset.cover, {
  play: () => !engine?.playing && playOrPause(),
  pause: () => engine?.pause(),
  seek,
  position,
});

restore();
form.classList.add("ready"); // keys and buttons work from now on
// the first page stays small: the sound is loaded when the reader comes near the player
const preload = () => opening.preload().catch(() => {}); // Play tries again, and tells
if ("lazy" in form.dataset) for (const kind of ["pointerover", "focusin"]) form.addEventListener(kind, preload, { once: true });
else preload();
saveFrom(form, (text) => showMessage(text, "mix-message"));
await waves.load(form.dataset.peaks);
show();
const draw = () => waves.draw();
draw();
new ResizeObserver(draw).observe(find("lanes"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
document.addEventListener("theme", draw);
