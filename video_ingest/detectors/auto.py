"""Choosing a detector by what is installed and which weights lie there; says which and why."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from video_ingest.weights import MODEL_ZOO, ULTRALYTICS, YOLOX, Found, find_weights

_PACKAGES = {"openvino": "openvino", "onnx": "onnxruntime", "ultralytics": "ultralytics"}
# Who finds most people of a crowd comes first, by the table of docs/reference/detectors.md; of two
# ways to run the same network on a CPU the quicker.
_ORDER = (
    ("openvino", ULTRALYTICS),
    ("ultralytics", ULTRALYTICS),
    ("onnx", ULTRALYTICS),
    ("openvino", MODEL_ZOO),
    ("onnx", YOLOX),
)
_GPU = ("ultralytics", ULTRALYTICS)
_BY_SUFFIX = {".xml": "openvino", ".onnx": "onnx", ".pt": "ultralytics"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A detector with its weights.

    Attributes:
        model: weights to give to it; None where it needs none.
        why: the reason, as a sentence without its full stop.
    """

    detector: str
    model: Path | None
    why: str


def choose(detector: str, model: Path | None, weights_dir: Path | None) -> Choice:
    """Settle `auto`; any other detector stays as it was named.

    Args:
        detector: `auto` or the name of a detector.
        model: weights that the user named; `auto` then only chooses what runs them.
        weights_dir: folder in which `auto` looks for weights that are known by name; None for none.
    """
    if detector != "auto":
        return Choice(detector, model, "it was named")
    if model is not None:
        runs = _runs(model)
        return Choice(runs, model, f"it runs the weights that were named, {model.name}")
    candidates = [found for found in find_weights(weights_dir) if found.family is not None]
    usable = [found for found in candidates if find_spec(_PACKAGES[found.detector]) is not None]
    skipped = _skipped([found for found in candidates if found not in usable])
    if not usable:
        nothing = f"no weights that are known lie in {weights_dir}" if weights_dir else "no weights"
        return Choice("motion", None, skipped or nothing)
    best, why = _best(usable)
    return Choice(best.detector, best.path, "; ".join(filter(None, [why, skipped])))


def _best(usable: list[Found]) -> tuple[Found, str]:
    order = [_GPU, *_ORDER] if any(map(_is_of_torch, usable)) and _has_cuda() else [*_ORDER]
    # The first of equals stays the first: of one kind the smallest, which is the quickest.
    best = min(usable, key=lambda found: order.index(_kind(found)) if _kind(found) in order else 99)
    gpu = ", and a GPU" if order[0] == _GPU else ""
    return best, f"{best.path.name} lies there and {_PACKAGES[best.detector]} is installed{gpu}"


def _kind(found: Found) -> tuple[str, str]:
    return found.detector, found.family.origin if found.family else ""


def _is_of_torch(found: Found) -> bool:
    return found.detector == "ultralytics"


def _skipped(missed: list[Found]) -> str:
    named = {found.path.name: _PACKAGES[found.detector] for found in missed}
    return ", ".join(f"{file} needs {package}, not installed" for file, package in named.items())


def _has_cuda() -> bool:
    """Whether torch sees a GPU; imports torch, so only asked where it would be used."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def _runs(model: Path) -> str:
    """The detector for a file or folder; openvino, whose error names what is wrong, for others."""
    if model.is_dir():
        kinds = [kind for suffix, kind in _BY_SUFFIX.items() if any(model.glob(f"*{suffix}"))]
        return kinds[0] if kinds else "openvino"
    return _BY_SUFFIX.get(model.suffix.lower(), "openvino")
