"""Songs held out are played by instruments and sung by people that no song of training has."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("fluidsynth")
pytest.importorskip("pyworld")

import soundfile

from training.composer.styles import STYLES
from training.instruments import choice, performances, recordings, soundfonts
from training.instruments.catalogue import LIBRARIES, SPLITS
from training.instruments.drumsets import SOURCES, drum_sets, piece_of
from training.instruments.programs import DRUMS, HELD_OUT, presets
from training.voices import spoken

PARTS = [
    ("bass", "line"),
    *product(["guitar"], ["strum", "riff", "arpeggio", "lead", "skank"]),
    *product(["piano"], ["chords", "arpeggio", "melody"]),
    *product(["other"], ["pad", "stabs", "arpeggio", "melody", "riff"]),
]


@pytest.mark.parametrize("stem", ["bass", "guitar", "piano", "other", "vocals"])
def test_every_stem_has_libraries_in_both_splits(stem: str) -> None:
    libraries = [each for each in LIBRARIES.values() if each.stem == stem]
    assert {each.held_out for each in libraries} == {True, False}


def test_no_recording_is_in_both_splits() -> None:
    training, held_out = (
        [each for each in LIBRARIES.values() if each.held_out == out] for out in (False, True)
    )
    for one, other in product(training, held_out):
        assert one.folder != other.folder or (one.only and other.only and one.only != other.only)


@pytest.mark.parametrize(("stem", "role"), PARTS)
def test_soundfonts_have_programs_of_either_split_and_none_of_both(stem: str, role: str) -> None:
    for style in STYLES:
        known = {(each.bank, each.program) for each, _ in presets(stem, role, style)}
        assert known - HELD_OUT[stem]
    for seed in range(20):
        random = np.random.default_rng(seed)
        training, held_out = (soundfonts.choose(stem, role, "pop", random, split) for split in SPLITS)
        assert training is not None and (training.bank, training.program) not in HELD_OUT[stem]
        assert held_out is not None and (held_out.bank, held_out.program) in HELD_OUT[stem]


def test_held_out_parts_have_neither_synthesis_nor_performances(tmp_path: Path) -> None:
    path = tmp_path / "ishizaka-bach-piano" / "aria.wav"
    path.parent.mkdir()
    soundfile.write(path, np.zeros(4800), 48_000)
    random = np.random.default_rng(0)
    assert performances.choose("piano", "chords", random, tmp_path, "training") is not None
    assert performances.choose("piano", "chords", random, tmp_path, "held-out") is None
    for (stem, role), _ in product(PARTS, range(10)):
        player = choice.choose(stem, role, "electronic", random, tmp_path, "held-out")
        assert isinstance(player, soundfonts.SoundFontPlayer) and player.bank != DRUMS


def test_drums_of_debian_are_for_training_alone(tmp_path: Path) -> None:
    for seed in range(10):
        assert (
            recordings.choose("drums", "kit", "rock", np.random.default_rng(seed), tmp_path, "held-out")
            is None
        )


def test_a_drum_set_is_in_one_split(tmp_path: Path) -> None:
    for name in ("web-audio-drums/R8_kick", "web-audio-drums/LINN_kick", "pearl-master-studio/kick-01"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.opus").touch()
    assert [each.name for each in drum_sets(tmp_path, "training")] == ["LINN"]
    assert [each.name for each in drum_sets(tmp_path, "held-out")] == ["pearl-master-studio", "R8"]


@pytest.mark.parametrize(
    ("folder", "word", "piece"),
    [
        ("muldjordkit", "KdrumL", "kick"),
        ("muldjordkit", "RideLBell", "bell"),
        ("muldjordkit", "SnareRest", ""),
        ("gogodze-phu-ii", "ht", "closed"),
        ("uzu-drumkit", "ht", "tom high"),
        ("uzu-drumkit", "brk", ""),
        ("drum-machines", "conga-hh", "hand high"),
        ("drum-machines", "tom-ll", "tom low"),
        ("drum-machines", "DT_Cowbell", "cowbell"),
        ("drum-machines", "univox-oh", "open"),
        ("pearl-master-studio", "tom-02", "tom middle"),
        ("body-percussion", "stomp_l", "hand low"),
    ],
)
def test_names_tell_the_piece(folder: str, word: str, piece: str) -> None:
    assert folder in {source.folder for source in SOURCES}
    assert piece_of(folder, word) == piece


def test_a_drums_hits_are_in_the_order_of_their_loudness(tmp_path: Path) -> None:
    (tmp_path / "muldjordkit").mkdir()
    for hit in (10, 2, 1):
        (tmp_path / "muldjordkit" / f"Tom1_Tom1_v{hit}.opus").touch()
    (kit,) = drum_sets(tmp_path, "training")
    (drum,) = kit.pieces["tom high"]
    assert [Path(path).stem for path in drum] == ["Tom1_Tom1_v1", "Tom1_Tom1_v2", "Tom1_Tom1_v10"]


def test_speakers_are_in_one_split(tmp_path: Path) -> None:
    names = ("F_103-1240-0000", "M_1116-1-0000", "F_198-209-0000")
    for name in names:
        path = tmp_path / "librispeech-voices" / f"{name}.opus"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    training, held_out = (set(spoken.speakers(tmp_path, split)) for split in SPLITS)
    assert training == {"F_103"} and held_out == {"M_1116", "F_198"}
    assert spoken.speaker_of("librispeech_198-209-0000") == "F_librispeech_198"
    assert spoken.speaker_of("singing-female") is None
