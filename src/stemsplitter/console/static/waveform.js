// Waveforms, drawn from the peaks that the worker stores with the stems.
import { loadJson } from "./loading.js";

/**
 * The peaks of a split: minimum and maximum in turn for each stem, -127 to 127, and the `loudest` of all. `null` if they
 * cannot be loaded, so that there are no waveforms.
 */
export async function fetchPeaks(url) {
  const found = await loadJson(url).catch(() => null);
  if (!found) return null;
  const { sampleRate, samples, stems } = found;
  const points = Object.fromEntries(Object.entries(stems).map(([name, text]) => [name, decode(text)]));
  const loudest = Math.max(1, ...Object.values(points).map((values) => values.reduce(larger, 0)));
  return { sampleRate, duration: samples / sampleRate, points, loudest };
}

const larger = (most, value) => Math.max(most, Math.abs(value));

function decode(text) {
  return Int8Array.from(atob(text), (character) => (character.charCodeAt(0) << 24) >> 24);
}

/**
 * Draw `points` over the whole of `canvas`, in its text color; `loudest` reaches the edges. Only the share of the song
 * from `from` to `to` is drawn. `lines` are shares of the canvas, where beats are.
 */
export function drawWaveform(canvas, points, loudest, { from = 0, to = 1, lines = [] } = {}) {
  const scale = devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = Math.max(1, Math.round(canvas.clientHeight * scale));
  Object.assign(canvas, { width, height });
  const brush = canvas.getContext("2d");
  brush.fillStyle = getComputedStyle(canvas).color;
  const middle = height / 2;
  const count = points.length / 2;
  const at = (x) => Math.floor((from + (x / width) * (to - from)) * count + 1e-9);
  for (let x = 0; x < width; x += 1) {
    const first = at(x);
    const last = Math.max(first + 1, at(x + 1));
    let low = loudest;
    let high = -loudest;
    for (let point = first; point < last && point < count; point += 1) {
      low = Math.min(low, points[2 * point]);
      high = Math.max(high, points[2 * point + 1]);
    }
    const top = middle - (high / loudest) * middle;
    const bottom = middle - (low / loudest) * middle;
    brush.fillRect(x, top, 1, Math.max(scale, bottom - top)); // silence is a line
  }
  if (!lines.length) return;
  brush.fillStyle = getComputedStyle(document.body).color;
  brush.globalAlpha = 0.5;
  for (const line of lines) brush.fillRect(Math.round(line * width), 0, Math.ceil(scale), height);
}

/** `3:07`, `1:02:03`, or with tenths `3:07.5`. */
export function clock(seconds, digits = 0) {
  const scale = 10 ** digits;
  const whole = Math.floor(seconds * scale) / scale;
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  const two = (number) => String(number).padStart(2, "0");
  const rest = (whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${two(minutes % 60)}:${rest}` : `${minutes}:${rest}`;
}
