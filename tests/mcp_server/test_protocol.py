"""The official client over standard input and output, with tools on this machine."""

from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from tests.acceptance.command import COMMAND
from tests.acceptance.songs import encode, read, sung

from .calls import called, refused

SIX = {"vocals", "drums", "bass", "guitar", "piano", "other"}


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    folder.mkdir()
    encode(folder / "Lied.wav", sung(44_100), 44_100, "pcm_s16le")
    encode(tmp_path / "private.wav", sung(8_000, 1, 8_000), 8_000, "pcm_s16le")
    (folder / "link.wav").symlink_to(tmp_path / "private.wav")
    return folder


def test_stdio_on_this_machine(songs: Path, tmp_path: Path) -> None:
    environment = {"STEMSPLITTER_OFFLINE": "1", "STEMSPLITTER_CACHE_DIR": str(tmp_path / "cache")}
    parameters = StdioServerParameters(command=str(COMMAND), args=["mcp", str(songs)], env=environment)

    async def main() -> None:
        async with Client(parameters, mode="legacy") as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert {"split", "analyze", "change_pitch", "change_speed", "isolate_voice"} <= set(tools)
            assert set(tools["split"].input_schema["required"]) == {"song"}

            assert await called(client, "list_songs", text="LIED") == [str(songs / "Lied.wav")]
            steps: list[float] = []

            async def on_progress(progress: float, total: float | None, message: str | None) -> None:
                steps.append(progress)

            result = await client.call_tool(
                "split",
                {"song": "Lied.wav", "format": "flac", "wait_seconds": 120},
                progress_callback=on_progress,
            )
            done = result.structured_content
            assert done["status"] == "succeeded", done
            assert steps and steps == sorted(steps)
            assert set(done["files"]) == SIX
            stems = [read(Path(path))[0] for path in done["files"].values()]
            assert all(stem.shape == (2, 44_100) for stem in stems)
            assert {Path(path).parent for path in done["files"].values()} == {
                songs / "stems" / "Lied (split)"
            }

            pitch = await called(client, "change_pitch", song="Lied.wav", semitones=3, format="wav")
            assert read(Path(pitch["files"]["pitch"]))[0].shape == (2, 44_100)
            again = await called(client, "change_pitch", song="Lied.wav", semitones=3, format="wav")
            assert Path(again["files"]["pitch"]).parent.name == "Lied (pitch 2)"
            slow = await called(client, "slow_with_reverb", song="Lied.wav", rate=0.8)
            assert slow["details"]["seconds"] > 1.25
            fast = await called(client, "change_speed", song="Lied.wav", rate=2, format="wav", wait_seconds=0)
            fast = await called(client, "get_result", id=fast["id"])
            assert read(Path(fast["files"]["speed"]))[0].shape == (2, 22_050)
            analysis = await called(client, "analyze", song=str(songs / "Lied.wav"))
            assert analysis["details"]["seconds"] == 1
            assert len(await called(client, "list_results")) == 6

            for outside in (
                "../private.wav",
                str(tmp_path / "private.wav"),
                "link.wav",
                "https://a.test/b.mp3",
                "a\0",
            ):
                assert "is not a file in the folders" in await refused(client, "split", song=outside)
            assert "deepfilternet3" in await refused(client, "isolate_voice", song="Lied.wav")
            assert not (songs / "stems" / "Lied (voice isolator)").exists()
            assert "no result" in await refused(client, "cancel", id="job_0")

    anyio.run(main)
