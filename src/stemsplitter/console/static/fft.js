// The fast Fourier transform of complex signals, in place: two stages of radix 2 at once.

export class Fft {
  #swaps = []; // pairs of places in bit-reversed order
  #stages = []; // { half, turns }: for each place of a half, the cosines and sines of three angles

  /** `size` is a power of two. */
  constructor(size) {
    this.size = size;
    const bits = Math.log2(size);
    for (let at = 0; at < size; at += 1) {
      let other = 0;
      for (let bit = 0; bit < bits; bit += 1) other |= ((at >> bit) & 1) << (bits - 1 - bit);
      if (other > at) this.#swaps.push(at, other);
    }
    this.#swaps = Uint32Array.from(this.#swaps);
    for (let half = bits % 2 ? 2 : 4; half < size; half *= 4) {
      const turns = Float32Array.from({ length: 6 * half }, (_, at) => {
        const angle = (Math.PI * Math.floor(at / 6) * [1, 0.5, 1.5][(at >> 1) % 3]) / half;
        return at % 2 ? Math.sin(angle) : Math.cos(angle);
      });
      this.#stages.push({ half, turns });
    }
  }

  /** Transform `re` + i `im`, Float32Arrays. */
  forward(re, im) {
    this.#swap(re, im);
    if (Math.log2(this.size) % 2) pairs(re, im);
    else fours(re, im);
    for (const { half, turns } of this.#stages) quads(re, im, half, turns);
  }

  /** Transform back, without the factor 1 / size. */
  backward(re, im) {
    this.forward(im, re); // with the parts exchanged, the angles turn the other way
  }

  #swap(re, im) {
    const swaps = this.#swaps;
    for (let pair = 0; pair < swaps.length; pair += 2) {
      const one = swaps[pair];
      const other = swaps[pair + 1];
      let kept = re[one];
      re[one] = re[other];
      re[other] = kept;
      kept = im[one];
      im[one] = im[other];
      im[other] = kept;
    }
  }
}

function pairs(re, im) {
  for (let at = 0; at < re.length; at += 2) {
    const real = re[at + 1];
    const imaginary = im[at + 1];
    re[at + 1] = re[at] - real;
    im[at + 1] = im[at] - imaginary;
    re[at] += real;
    im[at] += imaginary;
  }
}

function fours(re, im) {
  for (let a = 0; a < re.length; a += 4) {
    const er = re[a] + re[a + 1];
    const ei = im[a] + im[a + 1];
    const fr = re[a] - re[a + 1];
    const fi = im[a] - im[a + 1];
    const gr = re[a + 2] + re[a + 3];
    const gi = im[a + 2] + im[a + 3];
    const hr = re[a + 2] - re[a + 3];
    const hi = im[a + 2] - im[a + 3];
    re[a] = er + gr;
    im[a] = ei + gi;
    re[a + 1] = fr + hi;
    im[a + 1] = fi - hr;
    re[a + 2] = er - gr;
    im[a + 2] = ei - gi;
    re[a + 3] = fr - hi;
    im[a + 3] = fi + hr;
  }
}

function quads(re, im, half, turns) {
  const size = re.length;
  for (let start = 0; start < size; start += 4 * half) {
    for (let place = 0; place < half; place += 1) {
      const a = start + place;
      const b = a + half;
      const c = b + half;
      const d = c + half;
      const turn = 6 * place;
      const br = re[b] * turns[turn] + im[b] * turns[turn + 1];
      const bi = im[b] * turns[turn] - re[b] * turns[turn + 1];
      const cr = re[c] * turns[turn + 2] + im[c] * turns[turn + 3];
      const ci = im[c] * turns[turn + 2] - re[c] * turns[turn + 3];
      const dr = re[d] * turns[turn + 4] + im[d] * turns[turn + 5];
      const di = im[d] * turns[turn + 4] - re[d] * turns[turn + 5];
      const er = re[a] + br;
      const ei = im[a] + bi;
      const fr = re[a] - br;
      const fi = im[a] - bi;
      const gr = cr + dr;
      const gi = ci + di;
      const hr = cr - dr;
      const hi = ci - di;
      re[a] = er + gr;
      im[a] = ei + gi;
      re[b] = fr + hi;
      im[b] = fi - hr;
      re[c] = er - gr;
      im[c] = ei - gi;
      re[d] = fr - hi;
      im[d] = fi + hr;
    }
  }
}
