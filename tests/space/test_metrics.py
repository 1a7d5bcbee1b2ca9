"""metrics.yaml says how the marts count, or everything that is wrong with it."""

from pathlib import Path

import pytest
import yaml

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.space.metrics import SHIPPED, load_metric_rules

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "metrics.yaml"
        path.write_text(text)
        return load_metric_rules(path)

    return read


def test_without_the_file_nothing_is_set(tmp_path):
    assert load_metric_rules(tmp_path / "metrics.yaml") == {}


def test_an_empty_file_sets_nothing(read):
    assert read("# nothing yet\n") == {}


def test_only_what_the_file_names_is_set_as_it_is_written(read):
    assert read("engaged_dwell_s: 30\nwhole_floor_zones: [mall/floor-1]\n") == {
        "engaged_dwell_s": 30,
        "whole_floor_zones": ["mall/floor-1"],
    }


def test_what_is_shipped_is_what_the_dbt_project_says():
    project = yaml.safe_load((REPO / "dbt_project" / "dbt_project.yml").read_text())["vars"]
    assert {name: project[name] for name in SHIPPED} == SHIPPED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("engaged_dwel_s: 30", "line 1: 'engaged_dwel_s' is not a name", id="unknown"),
        pytest.param("final_after_s: 60", "'final_after_s' is not a name", id="given by the run"),
        pytest.param("engaged_dwell_s: 2026-02-30", "line 1: '2026-02-30' cannot be", id="no day"),
        pytest.param("engaged_dwell_s: -1", "'engaged_dwell_s' is -1", id="negative"),
        pytest.param("engaged_dwell_s: '30'", "should be a number", id="text for a number"),
        pytest.param("engaged_dwell_s: true", "should be a number", id="true for a number"),
        pytest.param("little_deviation: .nan", "should be a number", id="no number"),
        pytest.param("completeness_complete: 98", "'completeness_complete' is 98", id="percent"),
        pytest.param("ticket_lag_s: 900.5", "'ticket_lag_s' is 900.5", id="half a second"),
        pytest.param("ticket_lag_shape: normal", "'uniform' or 'fixed'", id="no shape"),
        pytest.param("benchmark_rank_margin: 0", "'benchmark_rank_margin' is 0", id="no margin"),
        pytest.param("whole_floor_zones: [floor]", "'floor' in 'whole_floor_zones'", id="no site"),
        pytest.param(
            'outside_without_entrants: ["a/b\' or 1 = 1 --"]', "write it as site/id", id="SQL"
        ),
        pytest.param("- engaged_dwell_s", "line 1: ", id="a list"),
        pytest.param("engaged_dwell_s: [", "no YAML", id="no YAML"),
        pytest.param("ticket_lag_s: 1\nticket_lag_s: 2", "ticket_lag_s", id="a name twice"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_reason(read, text, said):
    with pytest.raises(ConfigError, match=r"metrics\.yaml") as refused:
        read(text)
    assert refused.value.code == "E_METRICS_FILE"
    assert said in str(refused.value)


def test_all_that_is_wrong_is_said_at_once(read):
    with pytest.raises(ConfigError) as refused:
        read("engaged_dwell_s: -1\n\nticket_lag: 5\n")
    assert "line 1" in str(refused.value)
    assert "line 3" in str(refused.value)
