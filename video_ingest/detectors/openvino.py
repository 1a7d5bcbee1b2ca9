"""People by a neural network in OpenVINO form; runs on any CPU, without torch.

Two layouts are known, told apart by the shape of the output:

* YOLOv8 and YOLO11: [1, 4 + classes, N], centre, size and class scores in network pixels; the
  picture is fitted in with its shape kept (letterbox); class 0 is the person.
* SSD, such as person-detection-retail-0013: [1, 1, N, 7], image, label, confidence and corners as
  shares of the picture; label 1 is the person.

Each frame goes through the network alone, so the boxes do not depend on how frames are batched.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from video_ingest.contract import DetectorError
from video_ingest.detectors.base import Boxes, Frame, Image
from video_ingest.detectors.boxes import suppress

_PERSON_CLASS = 0
_PERSON_LABEL = 1
_GREY = 114


class OpenVinoDetector:
    """Runs an OpenVINO model on the CPU with as many requests in flight as it finds best."""

    prime_frames = 0

    def __init__(
        self, model_path: Path | None, *, min_confidence: float = 0.1, max_overlap: float = 0.6
    ) -> None:
        """Load and compile a model.

        Args:
            model_path: the .xml file, or the folder that holds it and its .bin.
            min_confidence: boxes below it are left out; low ones help the tracker over occlusions.
            max_overlap: of two YOLO boxes that share more than this (intersection over union) the
                less confident is left out.

        Raises:
            DetectorError: E_DETECTOR_MISSING, E_MODEL_MISSING or E_MODEL_SHAPE.
        """
        xml = _find_model(model_path)
        openvino = _import_openvino()
        self.name = f"openvino:{xml.stem}"
        self._min_confidence, self._max_overlap = min_confidence, max_overlap
        model, self._is_yolo = _read_model(openvino, xml)
        _, _, self._height, self._width = (int(size) for size in model.input(0).shape)
        compiled = openvino.Core().compile_model(
            _with_preprocessing(openvino, model, self._is_yolo),
            "CPU",
            {"PERFORMANCE_HINT": "THROUGHPUT"},
        )
        self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(_keep_output)

    def prime(self, frames: Sequence[Image]) -> None:
        """Nothing to do: every frame is judged alone."""

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Find the people of each frame; see `Detector.detect`."""
        outputs: list[NDArray[np.float32] | None] = [None] * len(frames)
        for number, frame in enumerate(frames):
            picture = self._fit(frame.image)
            self._queue.start_async({0: picture[None]}, (outputs, number))
        self._queue.wait_all()
        return [
            self._boxes(output, frame.image)
            for output, frame in zip(outputs, frames, strict=True)
            if output is not None
        ]

    def _fit(self, image: Image) -> Image:
        """The picture at the network's size, shape (height, width, 3)."""
        if not self._is_yolo:
            return np.asarray(cv2.resize(image, (self._width, self._height)), dtype=np.uint8)
        scale, left, top = self._letterbox(image)
        width, height = round(image.shape[1] * scale), round(image.shape[0] * scale)
        canvas = np.full((self._height, self._width, 3), _GREY, dtype=np.uint8)
        canvas[top : top + height, left : left + width] = cv2.resize(image, (width, height))
        return canvas

    def _letterbox(self, image: Image) -> tuple[float, int, int]:
        """Scale, left and top margin, in network pixels, that centre the picture."""
        scale = min(self._height / image.shape[0], self._width / image.shape[1])
        left = (self._width - round(image.shape[1] * scale)) // 2
        top = (self._height - round(image.shape[0] * scale)) // 2
        return scale, left, top

    def _boxes(self, output: NDArray[np.float32], image: Image) -> Boxes:
        height, width = image.shape[:2]
        if self._is_yolo:
            scale, left, top = self._letterbox(image)
            rows = output[0].T
            rows = rows[rows[:, 4 + _PERSON_CLASS] >= self._min_confidence]
            half = rows[:, 2:4] / 2
            corners = np.hstack([rows[:, :2] - half, rows[:, :2] + half])
            corners = (corners - np.array([left, top, left, top])) / scale
            scores = rows[:, 4 + _PERSON_CLASS]
        else:
            rows = output.reshape(-1, 7)
            is_person = (rows[:, 0] >= 0) & (rows[:, 1] == _PERSON_LABEL)
            rows = rows[is_person & (rows[:, 2] >= self._min_confidence)]
            corners = rows[:, 3:7] * np.array([width, height, width, height])
            scores = rows[:, 2]
        corners = np.clip(corners, 0, np.array([width, height, width, height]))
        boxes = np.column_stack([corners, scores]).astype(np.float32)
        boxes = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
        return suppress(boxes, self._max_overlap)


def _keep_output(request: Any, place: tuple[list[NDArray[np.float32] | None], int]) -> None:
    outputs, number = place
    outputs[number] = np.array(request.get_output_tensor(0).data, dtype=np.float32)


def _find_model(model_path: Path | None) -> Path:
    if model_path is None:
        raise _missing("no weights were named", "Name them with --model")
    if model_path.is_dir():
        found = sorted(model_path.glob("*.xml"))
        if len(found) != 1:
            raise _missing(
                f"{model_path} holds {len(found)} .xml files and must hold one",
                "Name the .xml file itself",
            )
        model_path = found[0]
    if not model_path.is_file():
        raise _missing(f"{model_path} does not exist", "Correct the path")
    if not model_path.with_suffix(".bin").is_file():
        raise _missing(
            f"{model_path.with_suffix('.bin')} does not exist", "Put the .bin beside the .xml"
        )
    return model_path


def _missing(why: str, advice: str) -> DetectorError:
    return DetectorError(
        f"Starting detector 'openvino' failed: {why}. Nothing was decoded. {advice}, or use the "
        "detector 'motion', which needs no weights.",
        code="E_MODEL_MISSING",
    )


def _import_openvino() -> ModuleType:
    """Import openvino without its telemetry.

    Importing it reports the import to Google Analytics through the package openvino_telemetry;
    where that cannot be imported, openvino (2026.4, tools/ovc) falls back to a stub that sends
    nothing. There is no setting for it.
    """
    telemetry = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError as error:
        raise DetectorError(
            f"Starting detector 'openvino' failed: the package cannot be imported ({error}). "
            "Nothing was decoded. Run: pip install 'ksi_pipeline[openvino]', or use the detector "
            "'motion', which needs no package.",
            code="E_DETECTOR_MISSING",
        ) from error
    finally:
        del sys.modules["openvino_telemetry"]
        if telemetry is not None:
            sys.modules["openvino_telemetry"] = telemetry
    return openvino  # type: ignore[no-any-return]


def _read_model(openvino: ModuleType, xml: Path) -> tuple[Any, bool]:
    """The model, and whether it has the YOLO layout (else SSD)."""
    try:
        model = openvino.Core().read_model(xml)
    except RuntimeError as error:
        raise _wrong_shape(
            xml, f"OpenVINO cannot read it ({str(error).splitlines()[-1]})"
        ) from error
    inputs, outputs = model.inputs, model.outputs
    if len(inputs) != 1 or inputs[0].partial_shape.is_dynamic or len(inputs[0].shape) != 4:
        raise _wrong_shape(xml, "it must have one input of fixed shape [1, 3, height, width]")
    shape = outputs[0].partial_shape
    sizes = [int(size.get_max_length()) for size in shape]
    if len(sizes) == 3 and 5 <= sizes[1] < sizes[2]:
        return model, True
    if len(sizes) == 4 and sizes[3] == 7:
        return model, False
    raise _wrong_shape(xml, f"its output has shape {shape}")


def _wrong_shape(xml: Path, why: str) -> DetectorError:
    return DetectorError(
        f"Starting detector 'openvino' with {xml.name} failed: {why}. Nothing was decoded. Known "
        "are YOLOv8/YOLO11 detection models, output [1, 4 + classes, N], and SSD models, output "
        "[1, 1, N, 7].",
        code="E_MODEL_SHAPE",
    )


def _with_preprocessing(openvino: ModuleType, model: Any, is_yolo: bool) -> Any:
    """The model with byte BGR pictures, shape [1, height, width, 3], as its input."""
    steps = openvino.preprocess.PrePostProcessor(model)
    tensor = steps.input().tensor()
    tensor.set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    tensor.set_color_format(openvino.preprocess.ColorFormat.BGR)
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    conversion = steps.input().preprocess().convert_element_type(openvino.Type.f32)
    if is_yolo:
        conversion.convert_color(openvino.preprocess.ColorFormat.RGB).scale(255.0)
    return steps.build()
