"""The page on accuracy lists every metric that is compared, with the tolerance that holds."""

from ksi_pipeline.sandbox.accuracy_metrics import METRICS

from .pages import REPO

PAGE = REPO / "docs" / "explanation" / "accuracy.md"


def table():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_the_page_has_every_metric_with_its_unit_tolerance_and_reason():
    assert [(name, unit, tolerance, why) for name, unit, tolerance, _, _, why in table()] == [
        (metric.name, metric.unit, f"{metric.tolerance:g}", metric.why) for metric in METRICS
    ]


def test_no_error_on_the_page_is_beyond_its_tolerance():
    for name, _, tolerance, error, values, _ in table():
        assert float(error) <= float(tolerance), name
        assert int(values) > 0, name
