// The preview of an effect on the page of its tool: plays the chosen file with the values of the form.
// Tests read the engine from the form: form.engine.
import { DecodedSong, RATE } from "./decoded.js";
import { Faders } from "./faders.js";
import { PieceEngine } from "./pieces.js";
import { clock } from "./waveform.js";
import { _ } from "./texts.js";

const PRE_DELAY = 0.02; // seconds until the reverb begins
const [LOW, HIGH] = [0.1, 0.9]; // of the noise of the reverb that is kept from one sample to the next: it gets darker

const form = document.querySelector("[data-effect]");
const find = (name) => form.querySelector(`[data-${name}]`);
const value = (name) => Number(form.elements[name].value);
let file = null;
let engine = null;
let loading = false;
let room = null; // the reverb: { convolver, wet, decay }

/** Speed and semitones; without "Keep the pitch" both change together, which is plain resampling. */
function tempo() {
  const { effect, rates } = form.dataset;
  if (effect === "pitch") return [1, value("semitones")];
  const rate = (effect === "speed" && JSON.parse(rates)[form.elements.preset.value]) || value("rate");
  return [rate, form.elements.keepPitch?.checked ? 0 : 12 * Math.log2(rate)];
}

function response(context, seconds) {
  const length = Math.round((seconds + PRE_DELAY) * RATE);
  const buffer = new AudioBuffer({ length, numberOfChannels: 2, sampleRate: RATE });
  for (const channel of [0, 1]) {
    const samples = buffer.getChannelData(channel);
    let kept = 0;
    let energy = 0;
    for (let at = Math.round(PRE_DELAY * RATE); at < length; at += 1) {
      const share = at / length;
      const dark = LOW + (HIGH - LOW) * share;
      kept = dark * kept + (1 - dark) * (2 * Math.random() - 1);
      samples[at] = kept * 10 ** (-3 * share); // 60 dB
      energy += samples[at] ** 2;
    }
    for (let at = 0; at < length; at += 1) samples[at] /= Math.sqrt(energy);
  }
  return buffer;
}

function addReverb() {
  const { context } = engine;
  const [decay, wet] = [value("decay"), value("wet") / 100];
  if (!room) {
    room = { convolver: new ConvolverNode(context, { disableNormalization: true }), wet: new GainNode(context) };
    engine.master.connect(room.convolver).connect(room.wet).connect(context.destination);
  }
  if (room.decay !== decay) room.convolver.buffer = response(context, decay);
  room.decay = decay;
  room.wet.gain.value = wet;
  engine.setVolume(1 - wet);
}

async function apply() {
  if (!engine || !form.checkValidity()) return;
  try {
    if (form.dataset.effect === "slowed_reverb") addReverb();
    await engine.setTempo(...tempo());
  } catch (error) {
    showMessage(error.message);
  }
}

function showMessage(text) {
  find("preview-message").textContent = text;
}

async function open() {
  loading = true;
  showMessage(_("Reading the file …"));
  try {
    const song = await DecodedSong.decode(await file.arrayBuffer());
    engine = new PieceEngine(new AudioContext({ sampleRate: RATE }), song, new Faders(song.names));
    form.engine = engine;
    engine.addEventListener("change", show);
    engine.addEventListener("end", show);
    engine.seek(0);
    showMessage("");
  } catch (error) {
    showMessage(error.name === "EncodingError" ? _("This browser cannot play this file. It can still be changed.") : error.message);
  }
  loading = false;
}

async function playOrPause() {
  if (loading) return;
  if (!engine) await open();
  if (!engine) return;
  if (engine.playing) {
    engine.pause();
    return;
  }
  await apply();
  try {
    await engine.play();
  } catch (error) {
    showMessage(error.message);
    return;
  }
  requestAnimationFrame(follow);
}

function follow() {
  show();
  if (engine?.playing) requestAnimationFrame(follow);
}

function show() {
  const at = engine?.position ?? 0;
  const duration = engine?.duration ?? 0;
  find("play").classList.toggle("playing", Boolean(engine?.playing));
  find("play-label").textContent = engine?.playing ? _("Pause") : _("Play");
  find("now").textContent = clock(at);
  find("seek").max = duration;
  find("seek").value = at;
  find("seek").setAttribute("aria-valuetext", _("{time} of {length}", { time: clock(at), length: clock(duration) }));
}

form.addEventListener("chosen", ({ detail }) => {
  engine?.pause();
  engine?.context.close();
  [engine, room] = [null, null];
  [file] = detail;
  find("preview").hidden = !file;
  showMessage("");
  show();
});
form.addEventListener("input", (event) => {
  if (event.target === find("seek")) engine?.seek(Number(event.target.value));
  else if (!event.target.matches("input[type=file], input[type=url]")) apply();
});
form.addEventListener("submit", () => engine?.pause());
find("play").addEventListener("click", playOrPause);
