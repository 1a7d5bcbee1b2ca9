"""What goes into a network and what its numbers mean; the same for every package that runs it.

A layout is told by the shape of the output:

| layout | output | rows |
|---|---|---|
| YOLOv8, YOLO11 | [1, 4 + classes, N] | centre, size, class scores; several rows for one person |
| YOLO26 | [1, n, 6] | corners, score, class; one row for one person |
| YOLOX | [1, N, 5 + classes] | centre and size by cell, objectness, class scores |
| SSD | [1, 1, n, 7] | image, label, score, corners as shares of the picture |

N is one row for each cell of the strides 8, 16 and 32. A YOLOv8 or YOLO11 network that was exported
with its suppression inside has YOLO26's layout; a YOLO26 network exported without its end-to-end
head has YOLO11's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from video_ingest.detectors.base import Boxes, Image
from video_ingest.detectors.boxes import suppress

FloatArray = NDArray[np.float64]
Output = NDArray[np.float32]

PERSON = "person"
WANTED = (
    "Wanted: one input [1, 3, height, width] of fixed size, and an output [1, 4 + classes, N] "
    "(YOLOv8, YOLO11), [1, n, 6] (YOLO26), [1, N, 5 + classes] (YOLOX) or [1, 1, n, 7] (SSD)"
)

_STRIDES = (8, 16, 32)
_GREY = 114
# A crowd of a hundred gives a thousand rows. Weights that are damaged give one for each cell, and
# comparing all of them with each other would take a minute for each frame.
_MOST_CANDIDATES = 2000


class Layout(Protocol):
    """How a network wants its picture and gives its people.

    Attributes:
        title: what to call it.
        is_rgb_unit: the network wants RGB in [0, 1]; else BGR in [0, 255].
        has_repeats: several boxes may come for one person, and the less confident must go.
    """

    title: ClassVar[str]
    is_rgb_unit: ClassVar[bool]
    has_repeats: ClassVar[bool]

    @property
    def height(self) -> int:
        """Of the network's picture, pixels."""
        ...

    @property
    def width(self) -> int:
        """Of the network's picture, pixels."""
        ...

    def fit(self, image: Image) -> Image:
        """Bring a picture to the network's size, shape (height, width, 3), BGR."""
        ...

    def people(self, output: Output, image: Image, min_confidence: float) -> FloatArray:
        """Give the people of one output that are sure enough.

        Returns:
            Shape (n, 5): corners in pixels of the image, which they may leave, and a score.
        """
        ...


@dataclass(frozen=True, slots=True)
class _CentredLayout:
    """A network whose picture has grey around the frame, evenly on both sides."""

    is_rgb_unit: ClassVar[bool] = True
    height: int
    width: int
    person: int = 0

    def fit(self, image: Image) -> Image:
        """Fit the picture in with its shape kept, grey around it."""
        return self._box(image).fit(image)

    def _box(self, image: Image) -> "_Letterbox":
        return _Letterbox.centred(image, self.height, self.width)


@dataclass(frozen=True, slots=True)
class YoloLayout(_CentredLayout):
    """YOLOv8 and YOLO11: rows of centre, size and class scores in network pixels."""

    title: ClassVar[str] = "YOLOv8/YOLO11"
    has_repeats: ClassVar[bool] = True

    def people(self, output: Output, image: Image, min_confidence: float) -> FloatArray:
        """Rows of the class person."""
        scores = output[0, 4 + self.person]
        sure = scores >= min_confidence
        rows = output[0, :4, sure].astype(np.float64)
        half = rows[:, 2:4] / 2
        corners = np.hstack([rows[:, :2] - half, rows[:, :2] + half])
        box = self._box(image)
        return np.column_stack([box.back(corners), scores[sure]])


@dataclass(frozen=True, slots=True)
class EndToEndLayout(_CentredLayout):
    """YOLO26: rows of corners in network pixels, score and class, one for each thing found."""

    title: ClassVar[str] = "YOLO26 (end to end)"
    has_repeats: ClassVar[bool] = False

    def people(self, output: Output, image: Image, min_confidence: float) -> FloatArray:
        """Rows of the class person."""
        rows = output[0].astype(np.float64)
        rows = rows[(rows[:, 5] == self.person) & (rows[:, 4] >= min_confidence)]
        box = self._box(image)
        return np.column_stack([box.back(rows[:, :4]), rows[:, 4]])


@dataclass(frozen=True, slots=True)
class YoloxLayout:
    """YOLOX: rows by grid cell; the score is objectness times class score."""

    title: ClassVar[str] = "YOLOX"
    is_rgb_unit: ClassVar[bool] = False
    has_repeats: ClassVar[bool] = True
    height: int
    width: int
    person: int = 0

    def fit(self, image: Image) -> Image:
        """Fit the picture into the upper left corner with its shape kept, grey around it."""
        return _Letterbox.cornered(image, self.height, self.width).fit(image)

    def people(self, output: Output, image: Image, min_confidence: float) -> FloatArray:
        """Rows of the class person; sizes are logarithms, places are offsets from a cell."""
        scores = output[0, :, 4] * output[0, :, 5 + self.person]
        sure = scores >= min_confidence
        rows = output[0, sure, :4].astype(np.float64)
        cells, stride = (each[sure] for each in _cells(self.height, self.width))
        centre = (rows[:, :2] + cells) * stride
        # Damaged weights overflow here; such boxes are cut to the picture, or left out as NaN.
        with np.errstate(over="ignore", invalid="ignore"):
            half = np.exp(rows[:, 2:4]) * stride / 2
            corners = np.hstack([centre - half, centre + half])
        box = _Letterbox.cornered(image, self.height, self.width)
        return np.column_stack([box.back(corners), scores[sure]])


@dataclass(frozen=True, slots=True)
class SsdLayout:
    """SSD, such as person-detection-retail-0013: label 1 is the person."""

    title: ClassVar[str] = "SSD"
    is_rgb_unit: ClassVar[bool] = False
    has_repeats: ClassVar[bool] = True
    height: int
    width: int
    person: int = 1

    def fit(self, image: Image) -> Image:
        """Stretch the picture to the network's size."""
        return np.asarray(cv2.resize(image, (self.width, self.height)), dtype=np.uint8)

    def people(self, output: Output, image: Image, min_confidence: float) -> FloatArray:
        """Rows of the label person; a negative image number ends the list."""
        rows = output.reshape(-1, 7).astype(np.float64)
        is_person = (rows[:, 0] >= 0) & (rows[:, 1] == self.person)
        rows = rows[is_person & (rows[:, 2] >= min_confidence)]
        height, width = image.shape[:2]
        corners = rows[:, 3:7] * np.array([width, height, width, height])
        return np.column_stack([corners, rows[:, 2]])


def layout_of(
    input_shape: Sequence[int], output_shape: Sequence[int], labels: Sequence[str] | None = None
) -> Layout | None:
    """Tell the layout of a network by its shapes.

    Args:
        input_shape: of the one input; a size that is not fixed is 0.
        output_shape: of the first output; a size that is not fixed is 0.
        labels: names of the classes in their order; None where the weights do not tell.

    Returns:
        None when no layout fits, or none of the classes is a person.
    """
    if len(input_shape) != 4 or tuple(input_shape[:2]) != (1, 3) or min(input_shape[2:]) <= 0:
        return None
    height, width = input_shape[2:]
    if len(output_shape) == 4:
        return SsdLayout(height, width) if output_shape[3] == 7 else None
    person = _person(labels)
    if len(output_shape) != 3 or output_shape[0] != 1 or person is None:
        return None
    rows, columns = output_shape[1:]
    if rows == sum((height // stride) * (width // stride) for stride in _STRIDES):
        return YoloxLayout(height, width, person) if columns > 5 + person else None
    if columns == 6:
        return EndToEndLayout(height, width, person)
    if 4 + person < rows < columns:
        return YoloLayout(height, width, person)
    return None


def boxes_of(
    layout: Layout, output: Output, image: Image, min_confidence: float, max_overlap: float
) -> Boxes:
    """Turn one output into boxes inside the picture, most confident first where it repeats."""
    people = layout.people(output, image, min_confidence)
    return clean(people, image, max_overlap if layout.has_repeats else None)


def clean(people: FloatArray, image: Image, max_overlap: float | None) -> Boxes:
    """Cut boxes to the picture; leave out what is empty, no number, or there twice.

    Args:
        people: shape (n, 5), corners in pixels and a score.
        image: the picture they are of.
        max_overlap: of two boxes that share more than this (intersection over union) the less
            confident is left out; None keeps all.
    """
    people = people[np.argsort(-people[:, 4], kind="stable")[:_MOST_CANDIDATES]]
    height, width = image.shape[:2]
    corners = np.clip(people[:, :4], 0, np.array([width, height, width, height]))
    scores = np.clip(people[:, 4], 0.0, 1.0)
    boxes = np.column_stack([corners, scores]).astype(np.float32)
    boxes = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
    return boxes if max_overlap is None else suppress(boxes, max_overlap)


def _person(labels: Sequence[str] | None) -> int | None:
    """Which class is the person; 0, as in COCO, where the classes have no names."""
    if labels is None or all(label.isdigit() for label in labels):
        return 0
    return labels.index(PERSON) if PERSON in labels else None


@lru_cache(maxsize=8)
def _cells(height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Column and row of each cell, shape (N, 2), and its stride in pixels, shape (N, 1)."""
    cells, strides = [], []
    for stride in _STRIDES:
        row, column = np.mgrid[: height // stride, : width // stride]
        cells.append(np.column_stack([column.ravel(), row.ravel()]))
        strides.append(np.full((len(cells[-1]), 1), stride))
    return np.vstack(cells).astype(np.float64), np.vstack(strides).astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Letterbox:
    """A picture inside a network's picture: scale, and margins in network pixels."""

    height: int
    width: int
    scale: float
    left: int
    top: int

    @classmethod
    def cornered(cls, image: Image, height: int, width: int) -> "_Letterbox":
        scale = min(height / image.shape[0], width / image.shape[1])
        return cls(height, width, scale, 0, 0)

    @classmethod
    def centred(cls, image: Image, height: int, width: int) -> "_Letterbox":
        scale = min(height / image.shape[0], width / image.shape[1])
        left = (width - round(image.shape[1] * scale)) // 2
        top = (height - round(image.shape[0] * scale)) // 2
        return cls(height, width, scale, left, top)

    def fit(self, image: Image) -> Image:
        # A picture a thousand times wider than high would vanish.
        width = max(1, round(image.shape[1] * self.scale))
        height = max(1, round(image.shape[0] * self.scale))
        canvas = np.full((self.height, self.width, 3), _GREY, dtype=np.uint8)
        part = canvas[self.top : self.top + height, self.left : self.left + width]
        part[:] = cv2.resize(image, (width, height))
        return canvas

    def back(self, corners: FloatArray) -> FloatArray:
        """Corners in network pixels as corners in pixels of the picture."""
        margin = np.array([self.left, self.top, self.left, self.top])
        return np.asarray((corners - margin) / self.scale, dtype=np.float64)
