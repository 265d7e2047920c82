"""demucs' own code with the fastest settings: bf16 autocast, and a malloc that retains its memory.

``python -m benchmarks.peers.torch_bf16 CHECKPOINT SONG FOLDER``, with MALLOC_SETTINGS in the environment.
"""

import sys
from pathlib import Path

MALLOC_SETTINGS = {
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "500000000",
}


def main(checkpoint: Path, song: Path, folder: Path) -> None:
    """Separate a song into WAV files."""
    import torch
    from demucs.apply import apply_model
    from demucs.audio import AudioFile, save_audio

    from benchmarks.checkpoints import load

    model = load(checkpoint)
    mixture = AudioFile(song).read(streams=0, samplerate=model.samplerate, channels=2)
    reference = mixture.mean(0)
    mixture = (mixture - reference.mean()) / reference.std()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        stems = apply_model(model, mixture[None], shifts=0, overlap=0.25)[0].float()
    stems = stems * reference.std() + reference.mean()
    folder.mkdir(parents=True, exist_ok=True)
    for name, stem in zip(model.sources, stems, strict=True):
        save_audio(stem, folder / f"{name}.wav", model.samplerate)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
