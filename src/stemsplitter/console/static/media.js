// The keys and the lock screen of the device control the player.

/** `player`: { play(), pause(), seek(seconds), position() }. `cover`: the URL of a JPEG, if there is one. */
export function connectMedia(title, cover, player) {
  const media = navigator.mediaSession;
  if (!media) return;
  media.metadata = new MediaMetadata({
    title,
    artist: "Stem Splitter",
    artwork: cover ? [{ src: cover, type: "image/jpeg" }] : [],
  });
  const step = (event, sign) => player.seek(player.position() + sign * (event.seekOffset ?? 5));
  const actions = {
    play: () => player.play(),
    pause: () => player.pause(),
    seekbackward: (event) => step(event, -1),
    seekforward: (event) => step(event, 1),
    seekto: (event) => player.seek(event.seekTime),
    previoustrack: () => player.seek(0),
  };
  for (const [name, action] of Object.entries(actions)) media.setActionHandler(name, action);
}

export function showMedia(isPlaying, duration, position) {
  const media = navigator.mediaSession;
  if (!media) return;
  media.playbackState = isPlaying ? "playing" : "paused";
  media.setPositionState?.({ duration, position: Math.min(position, duration) });
}
