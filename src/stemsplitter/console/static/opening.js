// Opens the engine of the player: that of the previews, or that of the stems where there are none.
import { toast } from "./app.js";
import { BufferEngine, ElementEngine, decodeStems } from "./engine.js";
import { LoadError, pause } from "./loading.js";
import { PieceEngine } from "./pieces.js";
import { Previews, previewCodec } from "./previews.js";
import { _ } from "./texts.js";

const PREVIEW_RATE = 48000;
const PREVIEW_TRIES = 180; // while the server makes them

export class Opening {
  #song;
  #previews = null; // a promise
  #isWanted = false;

  /**
   * `song`: { previews: the URL of their folder, urls: those of the stems, isDecoded: whether stems are short enough to
   * be decoded at once, faders, tell(message), sampleRate(): that of the stems, length(): of the song in seconds }.
   */
  constructor(song) {
    this.#song = song;
  }

  /** Begin to load the previews; a later call tries again if this failed. */
  preload() {
    this.#previews ??= this.#open();
    this.#previews.catch(() => (this.#previews = null));
    return this.#previews;
  }

  /** The engine. Call it in a click: browsers start sound for nothing else. */
  async engine() {
    const context = new AudioContext({ sampleRate: PREVIEW_RATE });
    context.resume().catch(() => {}); // the engine tries again, and tells
    this.#isWanted = true;
    let previews = null;
    try {
      previews = await this.preload();
      if (previews) return new PieceEngine(context, previews, this.#song.faders);
    } finally {
      this.#isWanted = false;
      if (!previews) context.close();
    }
    return this.#ofStems();
  }

  /** The previews with their first piece, which shows that this browser decodes them; `null` if there are none. */
  async #open() {
    const decoder = new OfflineAudioContext(1, 1, PREVIEW_RATE);
    const codecs = [...new Set([previewCodec(), "aac"])];
    for (let tries = 0; codecs.length && tries < PREVIEW_TRIES; tries += 1) {
      try {
        const previews = await Previews.open(`${this.#song.previews}/${codecs[0]}`, decoder);
        previews.want(0, 2);
        await previews.piece(0);
        return previews;
      } catch (error) {
        if (error.isPending) {
          if (this.#isWanted) this.#song.tell(_("Preparing playback …"));
          await pause(error.retry);
        } else if (error instanceof LoadError && !error.isMissing) throw error;
        else codecs.shift(); // missing, or not decoded by this browser
      }
    }
    return null;
  }

  async #ofStems() {
    const { faders, urls, tell } = this.#song;
    if (!urls.get(faders.names[0])) throw new LoadError(_("This browser cannot play the song."));
    const sampleRate = this.#song.sampleRate(); // of the stems, so that they are not resampled
    const context = new AudioContext(sampleRate ? { sampleRate } : {});
    if (this.#song.isDecoded) {
      try {
        const count = (done) => tell(_("Loading stems: {done} of {total} …", { done, total: urls.size }));
        count(0);
        return new BufferEngine(context, await decodeStems(context, urls, count), faders);
      } catch (error) {
        if (error instanceof LoadError) {
          context.close();
          throw error;
        }
        toast(_("This browser cannot decode all stems at once. They are streamed instead and can be slightly out of sync."));
      }
    }
    document.querySelector("[data-streamed]")?.removeAttribute("hidden");
    return new ElementEngine(context, urls, faders, this.#song.length());
  }
}
