"""Films of what moves."""

from __future__ import annotations

import ismrmrd
import numpy as np
from PIL import Image as Picture

from smug_recon.replay.results.animation import write_animations


def images(slices=1, phases=1, repetitions=1, ticks=16):
    made = []
    for repetition in range(repetitions):
        for phase in range(phases):
            for number in range(slices):
                pixels_yx = np.zeros((8, 8), np.uint16)
                pixels_yx[1 + phase + repetition, 2 + number] = 900
                image = ismrmrd.Image.from_array(
                    pixels_yx,
                    transpose=False,
                    field_of_view=(8.0, 8.0, 2.0),
                    position=(0.0, 0.0, 2.0 * number),
                    read_dir=(1.0, 0.0, 0.0),
                    phase_dir=(0.0, 1.0, 0.0),
                    slice_dir=(0.0, 0.0, 1.0),
                )
                image.phase, image.slice, image.repetition = phase, number, repetition
                image.physiology_time_stamp[0] = ticks * phase
                image.meta = ismrmrd.Meta({"WindowCenter": "450", "WindowWidth": "900"})
                made.append(image)
    return made


def shown(path):
    """Where the bright spot is in every picture of a film, and how long each stays."""
    with Picture.open(path) as film:
        places, times = [], []
        for number in range(film.n_frames):
            film.seek(number)
            grey = np.array(film.convert("L"))
            places.append(tuple(int(each) for each in np.argwhere(grey == grey.max())[0]))
            times.append(film.info["duration"])
    return places, times


def test_every_slice_of_a_cine_is_a_film_at_the_speed_of_the_heart(tmp_path):
    files = write_animations(images(slices=2, phases=4), tmp_path, "images_1")
    assert [path.name for path in files] == ["images_1_slice_001.gif", "images_1_slice_002.gif"]
    places, times = shown(files[1])
    assert places == [(1, 3), (2, 3), (3, 3), (4, 3)] and set(times) == {40}  # 16 ticks of 2.5 ms


def test_without_movement_the_film_walks_through_the_stack(tmp_path):
    (path,) = write_animations(images(slices=3), tmp_path, "images_1")
    assert path.name == "images_1_stack.gif" and shown(path)[0] == [(1, 2), (1, 3), (1, 4)]
    assert write_animations(images(slices=3), tmp_path / "none", "images_1", stack=False) == []
    assert write_animations(images(), tmp_path / "one", "images_1") == []
