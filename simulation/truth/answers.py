"""The truth of a scan, computed image by image so that it never has to be in memory as a whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.protocol.dynamics import State, states
from smug_recon.simulation.protocol.layout import middle
from smug_recon.simulation.receiver.coils import unit_norm
from smug_recon.simulation.receiver.scene import Scene
from smug_recon.simulation.truth.truth import COUNTERS, Allocate


def fill_truth(
    scene: Scene,
    mask_zy: NDArray[np.bool_],
    covariance_cc: NDArray[np.complex128],
    noise_scan_covariance_cc: NDArray[np.complex128],
    allocate: Allocate,
) -> None:
    """Fill the arrays of :class:`~smug_recon.simulation.truth.truth.Truth`; ``allocate`` makes room for each."""
    settings, layout = scene.settings, scene.layout
    x, y = layout.matrix_xy[0], layout.lines_y
    inverse_cc = _inverse(covariance_cc)
    combination = _Combination(scene, inverse_cc)
    count = scene.locations * len(list(states(settings)))
    recon_yx = layout.recon_xy[::-1]
    image_syx = allocate("image_syx", (count, *recon_yx), np.complex64)
    whitened_syx = allocate("whitened_syx", (count, *recon_yx), np.complex64)
    maps_scyx = allocate("maps_scyx", (scene.locations, settings.coils, y, x), np.complex64)
    inside_syx = allocate("inside_syx", (scene.locations, y, x), np.float32)
    for location in range(scene.locations):
        maps_scyx[location] = combination.maps(location)[0]
        inside_syx[location] = np.minimum(middle(scene.folded(scene.inside(location)), x), 1)
    counters = {name: allocate(f"{name}_s", (count,), np.int64) for name in COUNTERS}
    number = 0
    for state in states(settings):
        for location in range(scene.locations):
            image_yx, shaded_yx = combination.image(location, state)
            image_syx[number], whitened_syx[number] = layout.delivered(image_yx), layout.delivered(shaded_yx)
            where = (0, location) if settings.three_dimensional else (location, 0)
            found = (*where, state.contrast, state.phase, state.repetition, state.set)
            for name, value in zip(COUNTERS, found, strict=True):
                counters[name][number] = value
            number += 1
    for name, array in (
        ("mask_y", mask_zy.any(0)),
        ("covariance_cc", covariance_cc),
        ("noise_scan_covariance_cc", noise_scan_covariance_cc),
        ("mask_zy", mask_zy),
    ):
        allocate(name, array.shape, array.dtype)[...] = array


def _inverse(covariance_cc: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return the inverse over the coils that record anything; the identity where there is no noise."""
    live = np.diag(covariance_cc).real > 0
    if not live.any():
        return np.eye(len(covariance_cc), dtype=np.complex128)
    inverse_cc = np.zeros_like(covariance_cc)
    inverse_cc[np.ix_(live, live)] = np.linalg.inv(covariance_cc[np.ix_(live, live)])
    return inverse_cc


class _Combination:
    """Combination of the coil images with unit-norm maps, or by root-sum-of-squares where they fold."""

    def __init__(self, scene: Scene, inverse_cc: NDArray[np.complex128]) -> None:
        self._scene, self._inverse_cc = scene, inverse_cc
        gain_syx = np.stack([self._gain(self.maps(location)[0]) for location in range(scene.locations)])
        self._level = np.sqrt((gain_syx**2).mean())
        self._gain_syx = gain_syx / self._level

    def maps(self, location: int) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Return unit-norm maps (c, y, x) and the root-sum-of-squares (y, x) over the field of view."""
        layout = self._scene.layout
        maps_cyx = middle(middle(self._scene.maps(location), layout.matrix_xy[0]), layout.lines_y, -2)
        return unit_norm(maps_cyx)

    def image(self, location: int, state: State) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
        """Return the combined image (y, x) and the same after prewhitening."""
        scene, width = self._scene, self._scene.layout.matrix_xy[0]
        unit_cyx, shade_yx = self.maps(location)
        image_yx = scene.image(location, state)
        if len(image_yx) == scene.layout.lines_y:
            truth_yx = (middle(image_yx, width) * shade_yx).astype(np.complex64)
            return truth_yx, (truth_yx * self._gain_syx[location]).astype(np.complex64)
        coil_cyx = middle(scene.coil_images(location, image_yx), width)
        folded_cyx, rss_yx = unit_norm(coil_cyx)
        phase_yx = np.exp(1j * np.angle((unit_cyx.conj() * coil_cyx).sum(0)))
        truth_yx = (rss_yx * phase_yx).astype(np.complex64)
        return truth_yx, (truth_yx * self._gain(folded_cyx) / self._level).astype(np.complex64)

    def _gain(self, unit_cyx: NDArray[np.complex64]) -> NDArray[np.float64]:
        """Return ``sqrt(S^H C^-1 S)`` of unit-norm maps."""
        square = np.einsum("cyx,cd,dyx->yx", unit_cyx.conj(), self._inverse_cc, unit_cyx).real
        return np.sqrt(square)
