// As much of the Web Audio API as the player needs, on a clock that only the test moves.

class Parameter {
  constructor(value) {
    this.value = value;
  }

  setTargetAtTime(value) {
    this.value = value;
  }
}

class Node {
  constructor(context, options = {}) {
    Object.assign(this, options);
    this.context = context;
    context.nodes.push(this);
    this.outputs = [];
  }

  connect(other) {
    this.outputs.push(other);
    return other;
  }

  disconnect() {
    this.outputs = [];
  }
}

export class AudioContext {
  currentTime = 0;
  state = "running";
  destination = {};
  nodes = [];

  /** The stems that sound, or are about to. */
  get sources() {
    return this.nodes.filter((node) => node instanceof AudioBufferSourceNode && node.started && !node.stopped);
  }

  /** Let time go by, and stems end. */
  wait(seconds) {
    this.currentTime += seconds;
    for (const { buffer, loop, started, onended } of this.sources) {
      if (!loop && this.currentTime >= started.when + buffer.duration - started.offset) onended?.();
    }
  }
}

class AudioBufferSourceNode extends Node {
  start(when, offset) {
    this.started = { when, offset };
  }

  /** Stop now, or at a time of the clock. */
  stop(when) {
    if (when === undefined) this.stopped = true;
    else this.stoppedAt = when;
  }
}

class GainNode extends Node {
  constructor(context, { gain = 1 } = {}) {
    super(context);
    this.gain = new Parameter(gain);
  }
}

class StereoPannerNode extends Node {
  constructor(context, { pan, ...options }) {
    super(context, options);
    this.pan = new Parameter(pan);
  }
}

class AnalyserNode extends Node {}

Object.assign(globalThis, { AudioContext, AudioBufferSourceNode, GainNode, StereoPannerNode, AnalyserNode });
