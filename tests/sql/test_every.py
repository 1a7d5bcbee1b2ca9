"""A connector of a database with an interval of its own."""

from ksi_pipeline.connectors.config import load_connectors
from ksi_pipeline.defs.steps.asking import due_connectors
from ksi_pipeline.defs.steps.connector_state import activate, note_tested

from ..ticket_files.homes import MAPPING
from .homes import Home


def test_one_whose_configuration_changed_is_refused_once_for_each_tick_of_its_interval(tmp_path):
    home = Home(tmp_path, active=None, every="1d")
    home.sell(("A1", "2026-03-27 10:15:00", 2.5))
    (config,) = load_connectors(home.workspace.home.connectors)
    note_tested(home.workspace, config)
    activate(home.workspace, config)
    mapping = home.workspace.home.root / "mappings" / "till.yaml"
    mapping.write_text(f"{MAPPING}# a note\n")
    assert home.failure(is_by_hand=False).startswith("E_CONNECTOR_CHANGED")
    assert due_connectors(home.workspace).ids == []
    home.at("2026-03-28 18:00")
    assert due_connectors(home.workspace).ids == ["till"]
