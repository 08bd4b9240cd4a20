"""Pins: a node gives what came, blocks what did not, and decodes nothing that nobody asked for."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api importable)
from _clips import pictures, tone, with_codec, write_clip
from comfy_execution.graph_utils import ExecutionBlocker
from PIL import Image
from skyport.engine.base.errors import BadResult
from skyport.engine.base.types import Kind, MissingResult, Result, ResultFile
from skyport.engine.media.notes import collected
from skyport.nodes._base import node_outputs
from skyport.nodes._media.decode import FramesTooLarge

ALL = node_outputs.ALL
FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(node_outputs.folder_paths, "get_output_directory", lambda: str(tmp_path))
    return tmp_path


def result_of(path: Path, kind: Kind, task: str = "7", url: str = "https://x/y") -> Result:
    file = ResultFile(path, kind, f"{kind.value}/x", path.stat().st_size, "", url)
    return Result(task, (file,))


def picture(path: Path, width: int = 4, height: int = 3, mode: str = "RGB") -> Path:
    bands = len(mode)
    pixels = np.arange(width * height * bands, dtype=np.uint8).reshape(height, width, bands)
    Image.fromarray(pixels).save(path)
    return path


def outputs(results: list[Result], *linked: str) -> dict:
    made = node_outputs.deliver(ALL, results, linked, "HaiYi")
    return dict(zip(ALL, made.args, strict=True))


def test_frames_and_sound_are_decoded_only_when_linked(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", pictures(5, 32, 16), sound=tone(2, 0.5))
    unlinked = outputs([result_of(clip, Kind.VIDEO)])
    assert isinstance(unlinked["frames"], ExecutionBlocker)
    assert isinstance(unlinked["audio"], ExecutionBlocker)
    assert unlinked["frames"].message is None  # nobody is told off for what nobody asked for
    linked = outputs([result_of(clip, Kind.VIDEO)], "frames", "audio")
    assert list(linked["frames"][0].shape) == [5, 16, 32, 3]
    assert linked["audio"][0]["sample_rate"] == 44100


def test_a_picture_that_cannot_be_read_is_told_with_its_task(tmp_path: Path) -> None:
    path = picture(tmp_path / "cut.png", width=64, height=64)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadResult, match=r"HaiYi task 7: cut\.png.*at no charge"):
        outputs([result_of(path, Kind.IMAGE)])


def test_pictures_of_one_size_are_one_batch_and_others_an_item_a_run(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{n}.png", width=w) for n, w in enumerate((4, 4, 5, 4))]
    made = outputs([result_of(path, Kind.IMAGE) for path in paths])["images"]
    assert [list(batch.shape) for batch in made] == [[2, 3, 4, 3], [1, 3, 5, 3], [1, 3, 4, 3]]


def test_alpha_is_kept_as_it_was_sent(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", mode="RGBA")
    (batch,) = outputs([result_of(path, Kind.IMAGE)])["images"]
    assert batch.shape[-1] == 4


def test_what_did_not_come_is_blocked_with_a_reason(tmp_path: Path) -> None:
    made = outputs([result_of(picture(tmp_path / "a.png"), Kind.IMAGE, url="")], "frames", "audio")
    for name in ("video", "frames", "audio", "text", "urls"):
        assert "HaiYi sent no" in made[name].message


def test_texts_and_urls_come_in_order(tmp_path: Path) -> None:
    first = result_of(picture(tmp_path / "a.png"), Kind.IMAGE, url="https://x/1")
    second = Result("8", texts=("a poem",))
    made = outputs([first, second])
    assert made["urls"] == ["https://x/1"]
    assert made["text"] == ["a poem"]


def test_the_node_shows_a_player_rather_than_pictures(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", pictures(2, 32, 16))
    results = [result_of(picture(tmp_path / "a.png"), Kind.IMAGE), result_of(clip, Kind.VIDEO)]
    shown = node_outputs.deliver(ALL, results, (), "HaiYi").ui
    assert shown["images"] == [{"filename": "a.mp4", "subfolder": "", "type": "output"}]
    assert shown["animated"] == (True,)


def test_a_result_outside_the_output_folder_is_shown_from_temp(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    temp, elsewhere = tmp_path_factory.mktemp("temp"), tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr(node_outputs.folder_paths, "get_temp_directory", lambda: str(temp))
    path = picture(elsewhere / "b.png")
    (shown,) = node_outputs.deliver(ALL, [result_of(path, Kind.IMAGE)], (), "HaiYi").ui["images"]
    assert shown["type"] == "temp"
    copy = temp / shown["subfolder"] / shown["filename"]
    assert copy.read_bytes() == path.read_bytes()


def test_results_of_one_name_outside_the_output_folder_are_shown_each_by_itself(
    tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform may number its tasks anew, and what was deleted may be fetched again."""
    output, temp = tmp_path / "output", tmp_path / "temp"
    monkeypatch.setattr(node_outputs.folder_paths, "get_output_directory", lambda: str(output))
    monkeypatch.setattr(node_outputs.folder_paths, "get_temp_directory", lambda: str(temp))
    days = [tmp_path / day for day in ("monday", "tuesday")]
    for number, day in enumerate(days):
        day.mkdir()
        picture(day / "a.png", width=4 + number)
    shown = []
    for day in (*days, days[0]):
        (one,) = node_outputs.node_ui([result_of(day / "a.png", Kind.IMAGE)])["images"]
        shown.append((temp / one["subfolder"] / one["filename"]).read_bytes())
    assert shown == [(day / "a.png").read_bytes() for day in (*days, days[0])]


def test_a_result_that_cannot_be_shown_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temp folder may be full, or belong to another user."""
    taken = tmp_path / "temp"
    taken.write_bytes(b"")
    monkeypatch.setattr(node_outputs.folder_paths, "get_output_directory", lambda: str(taken))
    monkeypatch.setattr(node_outputs.folder_paths, "get_temp_directory", lambda: str(taken))
    made = node_outputs.deliver(
        ALL, [result_of(picture(tmp_path / "a.png"), Kind.IMAGE)], (), "HaiYi"
    )
    assert [list(batch.shape) for batch in made.args[0]] == [[1, 3, 4, 3]]
    assert "images" not in made.ui


def test_a_picture_that_does_not_fit_blocks_its_output_alone(tmp_path: Path) -> None:
    """A PNG of a few bytes that says it is 100000 pixels a side."""
    path = tmp_path / "huge.png"
    picture(path)
    data = bytearray(path.read_bytes())
    struct.pack_into(">II", data, 16, 100_000, 100_000)
    struct.pack_into(">I", data, 29, crc32(data[12:29]))
    path.write_bytes(data)
    made = outputs([result_of(path, Kind.IMAGE)])
    assert isinstance(made["images"], ExecutionBlocker)
    assert "100000 x 100000 pixels" in made["images"].message
    assert made["urls"] == ["https://x/y"]
    assert path.read_bytes() == data


def test_a_picture_without_a_decoder_blocks_its_output_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    made = outputs([result_of(path, Kind.IMAGE)])
    assert "HEIC pictures are not decoded here" in made["images"].message
    assert made["urls"] == ["https://x/y"]


# -- one that cannot be decoded --------------------------------------------------------------------


def noise(path: Path) -> Path:
    """A file that says what it is, and holds nothing that can be decoded."""
    path.write_bytes(path.read_bytes()[:16] + bytes(200))
    return path


def test_a_picture_that_cannot_be_decoded_withholds_no_other(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{n}.png", width=4 + n // 2) for n in range(4)]
    noise(paths[1])
    files = [result_of(path, Kind.IMAGE).files[0] for path in paths]
    made = node_outputs.deliver(ALL, [Result("7", tuple(files))], (), "HaiYi")
    assert [list(batch.shape) for batch in made.args[0]] == [[1, 3, 4, 3], [2, 3, 5, 3]]
    assert list(made.unreadable) == [paths[1]]
    assert "1.png cannot be read" in made.unreadable[paths[1]]
    assert [one["filename"] for one in made.ui["images"]] == ["0.png", "2.png", "3.png"]


def cut_gif(path: Path) -> bytes:
    """A GIF that ends within the header of its second frame: Pillow raises IndexError."""
    picture(path)
    return path.read_bytes()[:-1] + struct.pack("<c4HB", b",", 0, 0, 4, 3, 0)


def damaged_avif(path: Path) -> bytes:
    """Its picture is no picture: the decoder raises RuntimeError."""
    picture(path, 40, 30)
    return path.read_bytes().replace(b"av01", b"av99", 2)


@pytest.mark.parametrize(("name", "damage"), [("a.gif", cut_gif), ("a.avif", damaged_avif)])
def test_no_error_of_a_decoder_withholds_another_picture(
    tmp_path: Path, name: str, damage: Callable[[Path], bytes]
) -> None:
    good, bad = picture(tmp_path / "good.png"), tmp_path / name
    bad.write_bytes(damage(bad))
    files = [result_of(path, Kind.IMAGE).files[0] for path in (bad, good)]
    made = node_outputs.deliver(ALL, [Result("7", tuple(files))], (), "HaiYi")
    assert [list(batch.shape) for batch in made.args[0]] == [[1, 3, 4, 3]]
    assert name in made.unreadable[bad]


def test_a_picture_beyond_its_decoders_limit_withholds_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer Pillows look at a TIFF's tiles only when they decode it."""
    paths = [picture(tmp_path / "good.png"), picture(tmp_path / "large.tif", 40, 30)]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    files = [result_of(path, Kind.IMAGE).files[0] for path in paths]
    made = node_outputs.deliver(ALL, [Result("7", tuple(files))], (), "HaiYi")
    assert [1, 3, 4, 3] in [list(batch.shape) for batch in made.args[0]]
    assert not made.unreadable


def test_of_several_tasks_one_of_which_nothing_can_be_decoded_is_an_error(tmp_path: Path) -> None:
    good, bad = picture(tmp_path / "good.png"), noise(picture(tmp_path / "bad.png"))
    results = [result_of(good, Kind.IMAGE, "7"), result_of(bad, Kind.IMAGE, "8")]
    with pytest.raises(BadResult, match=r"HaiYi task 8: bad\.png") as caught:
        outputs(results)
    assert list(caught.value.unreadable) == [bad]


def test_a_video_that_cannot_be_opened_withholds_no_other(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / f"{n}.mp4", pictures(5, 32, 16)) for n in range(2)]
    noise(clips[0])
    files = [result_of(path, Kind.VIDEO).files[0] for path in clips]
    made = node_outputs.deliver(ALL, [Result("7", tuple(files))], ("frames",), "HaiYi")
    video, frames = made.args[1:3]
    assert (len(video), [list(each.shape) for each in frames]) == (1, [[5, 16, 32, 3]])
    assert list(made.unreadable) == [clips[0]]


def test_frames_of_a_codec_without_a_decoder_are_noted_beside_those_of_others(
    tmp_path: Path,
) -> None:
    clips = [write_clip(tmp_path / f"{n}.mp4", pictures(5, 32, 16)) for n in range(2)]
    files = [
        result_of(path, Kind.VIDEO).files[0] for path in (with_codec(clips[0], b"xq77"), clips[1])
    ]
    with collected() as notes:
        made = node_outputs.deliver(ALL, [Result("7", tuple(files))], ("frames",), "HaiYi")
    video, frames = made.args[1:3]
    assert (len(video), len(frames)) == (2, 1)
    assert "xq77" in notes[0]
    assert not made.unreadable  # the video itself is delivered


def test_what_does_not_fit_in_memory_is_noted_beside_what_does(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{n}.png") for n in range(2)]

    def decode_one(path: Path) -> str:
        if path == paths[0]:
            raise FramesTooLarge("It is too large.", needed=2, free=1)
        return path.name

    files = [result_of(path, Kind.IMAGE).files[0] for path in paths]
    with collected() as notes:
        assert node_outputs.FileReader().each(files, decode_one) == ["1.png"]
    assert notes == ["It is too large."]


def test_a_sound_that_cannot_be_decoded_withholds_no_other(tmp_path: Path) -> None:
    clips = [
        write_clip(tmp_path / f"{n}.mp4", pictures(5, 32, 16), sound=tone(2, 0.5)) for n in (0, 1)
    ]
    noise(clips[1])
    files = [result_of(path, Kind.AUDIO).files[0] for path in clips]
    made = node_outputs.deliver(ALL, [Result("7", tuple(files))], ("audio",), "HaiYi")
    assert [one["sample_rate"] for one in made.args[3]] == [44100]
    assert list(made.unreadable) == [clips[1]]


def test_a_video_whose_sound_track_is_empty_gives_its_picture(tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    clip.write_bytes((FIXTURES / "empty_sound_track.mp4").read_bytes())
    made = node_outputs.deliver(ALL, [result_of(clip, Kind.VIDEO)], ("frames", "audio"), "HaiYi")
    video, frames, audio = made.args[1:4]
    assert (len(video), len(frames), frames[0].shape[0]) == (1, 1, 10)
    assert isinstance(audio, ExecutionBlocker)
    assert audio.message
    assert not made.unreadable  # nothing of it has to be fetched again


def test_files_are_paths_of_what_is_no_medium(tmp_path: Path) -> None:
    mesh = tmp_path / "mesh.glb"
    mesh.write_bytes(b"glTF")
    results = [result_of(picture(tmp_path / "a.png"), Kind.IMAGE), result_of(mesh, Kind.FILE)]
    made = outputs(results)
    assert made["files"] == [str(mesh)]
    assert made["urls"] == ["https://x/y", "https://x/y"]
    assert "HaiYi sent no file" in outputs(results[:1])["files"].message


def test_what_is_blocked_says_why_it_has_not_come(tmp_path: Path) -> None:
    missing = MissingResult(2, "https://x/b.mp4", "it is gone")
    result = replace(result_of(picture(tmp_path / "a.png"), Kind.IMAGE), missing=(missing,))
    assert "it is gone" in outputs([result])["video"].message
