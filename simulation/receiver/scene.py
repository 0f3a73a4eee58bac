"""What lies in the receive array: magnetisation of every slice or partition, sensitivities of the coils."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.anatomy.head import Head
from smug_recon.simulation.protocol.dwell import dwell_us
from smug_recon.simulation.protocol.dynamics import State, gain, levels, moved
from smug_recon.simulation.protocol.geometry import Stack
from smug_recon.simulation.protocol.layout import Layout, middle
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.receiver.coils import head_array
from smug_recon.simulation.receiver.render import FINE, render_slice

ARRAY_UNIT_MM = 280.0  # the unit in which the array is placed around the head
MAPS_BYTES = 128 * 2**20  # sensitivities beyond this are computed again when they are needed
SLAB_EDGE = 0.15  # share of a slab over which its excitation rises from nothing


class Scene:
    """The head in the array, over the field of view of two readouts; a location is a slice or a partition.

    Where the field of view is smaller than the head, twice as many lines are rendered and
    :meth:`folded` adds what the phase encoding cannot tell apart.
    """

    def __init__(self, settings: ScanSettings, layout: Layout, place: Stack) -> None:
        self.settings, self.layout, self.place = settings, layout, place
        self.locations = len(place.positions_mm)
        rows = layout.lines_y * (2 if settings.fov < 1 else 1)
        self._shape_yx = (rows, 2 * settings.matrix_xy[0])
        self._images: list[list[NDArray[np.complex64]]] = []
        self._inside: list[NDArray[np.float32]] = []
        self._maps: dict[int, NDArray[np.complex64]] = {}
        self._level = np.float32(1)
        self._render()

    @property
    def width_x(self) -> int:
        """Samples over which the scene is received: two readouts, or one without oversampling."""
        return self.settings.matrix_xy[0] * self.settings.oversampling

    def image(self, location: int, state: State) -> NDArray[np.complex64]:
        """Return the magnetisation (y, x) of a location in a state of the scan."""
        images, settings = self._images[location], self.settings
        image = images[state.contrast]
        if settings.changes:
            more = gain(state, settings.phases)
            image = image + np.complex64(more) * images[settings.contrasts + state.contrast]
            image = moved(image, state.phase, settings.phases)
        return image

    def reference(self, location: int) -> NDArray[np.complex64]:
        """Return the magnetisation (y, x) that the external reference scan sees."""
        return self._images[location][-1]

    def inside(self, location: int) -> NDArray[np.float32]:
        """Return the share of each pixel (y, x) that lies in the head in the first state."""
        return self._inside[location]

    def maps(self, location: int) -> NDArray[np.complex64]:
        """Return the sensitivities (c, y, x) of a location; their mean in the head is 1 over the coils."""
        found = self._maps.get(location)
        if found is None:
            found = middle(self._raw_maps(location), self.width_x) / self._level
            if sum(maps.nbytes for maps in self._maps.values()) + found.nbytes <= MAPS_BYTES:
                self._maps[location] = found
        return found

    def coil_images(self, location: int, image_yx: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return the images (c, lines_y, x) of the coils, folded into the field of view."""
        return self.folded(self.maps(location) * image_yx)

    def folded(self, array: NDArray) -> NDArray:
        """Add up rows (axis -2) that are a field of view apart."""
        rows, lines = array.shape[-2], self.layout.lines_y
        if rows == lines:
            return array
        turned = np.roll(array, lines // 2 - rows // 2, axis=-2)
        return turned.reshape(*array.shape[:-2], rows // lines, lines, array.shape[-1]).sum(-3)

    def _raw_maps(self, location: int) -> NDArray[np.complex64]:
        settings, shape_yx = self.settings, self._shape_yx
        points = self.place.points_mm(location, shape_yx, 1.0, 0.0).T.reshape(3, *shape_yx)
        points = points.astype(np.float64) - np.array([0.0, 16.0, 10.0]).reshape(3, 1, 1)
        rings = 2 if settings.coils < 12 else 3  # so that slices of any orientation can be accelerated
        rng = np.random.default_rng([settings.seed, 2])
        maps = head_array(points / ARRAY_UNIT_MM, settings.coils, rng, rings=rings)
        maps[list(settings.dead_coils)] = 0
        return maps

    def _render(self) -> None:
        settings, shape_yx = self.settings, self._shape_yx
        head, wanted = Head(settings.seed), levels(settings)
        readout_s = dwell_us(settings) * 1e-6 * self.width_x
        fine = 1 if settings.three_dimensional else FINE  # a slab has many partitions, and thin ones
        shading: list[NDArray[np.float32]] = []
        for number in range(self.locations):
            drawn = 0 if settings.three_dimensional else number  # the phase of a slab is that of one object
            rng = np.random.default_rng([settings.seed, 1, drawn])
            images, share = render_slice(
                head, self.place, number, shape_yx, wanted, settings.thickness_mm, readout_s, rng, fine
            )
            excited = self._excitation(number)
            if excited < 1:
                images = [image * np.float32(excited) for image in images]
            square = (np.abs(self._raw_maps(number)) ** 2).sum(0)
            shading.append(square[share > 0.5])
            self._images.append([middle(image, self.width_x) for image in images])
            self._inside.append(middle(share, self.width_x))
        self._level = np.sqrt(np.concatenate(shading)).mean()

    def _excitation(self, number: int) -> float:
        """Return the flip of a partition, which falls off smoothly at both ends of a slab."""
        if not self.settings.three_dimensional:
            return 1.0
        edge = (min(number, self.locations - 1 - number) + 0.5) / (SLAB_EDGE * self.locations)
        return float(np.sin(np.pi / 2 * min(edge, 1.0)) ** 2)
