// Reading peaks and drawing waveforms.
import assert from "node:assert/strict";
import { test } from "node:test";

const { drawWaveform, fetchPeaks } = await import(`${process.env.STATIC}/waveform.js`);

const encode = (...bytes) => Buffer.from(Int8Array.from(bytes).buffer).toString("base64");
const address = (stems) => {
  const described = { sampleRate: 8000, samples: 400, samplesPerPoint: 160, stems };
  return `data:application/json,${encodeURIComponent(JSON.stringify(described))}`;
};

test("peaks are decoded with the level of the loudest", async () => {
  const peaks = await fetchPeaks(address({ vocals: encode(-127, 5, -1, 0), drums: encode(0, 64, -10, 127) }));
  assert.deepEqual([...peaks.points.vocals], [-127, 5, -1, 0]);
  assert.deepEqual([peaks.sampleRate, peaks.duration, peaks.loudest], [8000, 0.05, 127]);
});

test("the loudest level of silence is positive", async () => {
  assert.ok((await fetchPeaks(address({ vocals: encode(0, 0) }))).loudest > 0);
});

test("a column shows all of its points", () => {
  const drawn = [];
  const brush = { fillRect: (x, y, width, height) => drawn.push([x, y, height]) };
  const canvas = { clientWidth: 2, clientHeight: 100, getContext: () => brush };
  Object.assign(globalThis, { devicePixelRatio: 1, getComputedStyle: () => ({ color: "red" }) });
  drawWaveform(canvas, Int8Array.from([-10, 20, -50, 5, 0, 0, 0, 0]), 50);
  assert.equal(brush.fillStyle, "red");
  assert.deepEqual([canvas.width, canvas.height], [2, 100]);
  assert.deepEqual(drawn, [[0, 30, 70], [1, 50, 1]]);
});

test("points repeat if there are more columns", () => {
  const drawn = [];
  const canvas = { clientWidth: 4, clientHeight: 2, getContext: () => ({ fillRect: (x) => drawn.push(x) }) };
  drawWaveform(canvas, Int8Array.from([-1, 1]), 1);
  assert.deepEqual(drawn, [0, 1, 2, 3]);
});
