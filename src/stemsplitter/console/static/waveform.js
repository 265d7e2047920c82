// Waveforms from the peaks that the worker measured while it wrote the stems.

/** The peaks of a split: seconds per point, and for each stem lowest and highest in turn, -127 to 127. */
export async function fetchPeaks(url) {
  const answer = await fetch(url);
  if (!answer.ok) return null; // made before peaks were: the player does without
  const { sampleRate, samples, samplesPerPoint, stems } = await answer.json();
  const points = Object.fromEntries(Object.entries(stems).map(([name, text]) => [name, decode(text)]));
  return { sampleRate, duration: samples / sampleRate, secondsPerPoint: samplesPerPoint / sampleRate, points };
}

function decode(text) {
  return Int8Array.from(atob(text), (character) => (character.charCodeAt(0) << 24) >> 24);
}

/** Draw `points` over the whole width of `canvas`, in its own text colour. */
export function drawWaveform(canvas, points) {
  const scale = devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = Math.max(1, Math.round(canvas.clientHeight * scale));
  Object.assign(canvas, { width, height });
  const brush = canvas.getContext("2d");
  brush.fillStyle = getComputedStyle(canvas).color;
  const middle = height / 2;
  const count = points.length / 2;
  for (let x = 0; x < width; x += 1) {
    const first = Math.floor((x * count) / width);
    const last = Math.max(first + 1, Math.floor(((x + 1) * count) / width));
    let low = 127;
    let high = -127;
    for (let point = first; point < last && point < count; point += 1) {
      low = Math.min(low, points[2 * point]);
      high = Math.max(high, points[2 * point + 1]);
    }
    const top = middle - (Math.max(high, low) / 127) * middle;
    const bottom = middle - (Math.min(low, high) / 127) * middle;
    brush.fillRect(x, top, 1, Math.max(scale, bottom - top)); // silence is a line
  }
}
