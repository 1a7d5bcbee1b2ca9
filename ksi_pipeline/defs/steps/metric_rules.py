"""How the marts count: what metrics.yaml sets, and whether they were built by it.

A value that changes holds for every hour, so the next build is a full refresh. What the marts were
built by is noted with the build, so a build that was killed is done again.
"""

import json
from pathlib import Path

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.metrics import SHIPPED, Rules, load_metric_rules
from ksi_pipeline.space.yaml_lines import read_yaml

BUILT_BY = "marts built by the metric rules"


def metric_rules(workspace: Workspace) -> Rules:
    """Give every rule by name, as it holds now: metrics.yaml, else the dbt project.

    Raises:
        ConfigError: E_METRICS_FILE, the file is wrong; E_DBT_PROJECT, the project's file is.
    """
    given = load_metric_rules(workspace.home.metrics)
    project = project_vars(workspace.dbt_project_dir)
    kept = {name: project[name] for name in SHIPPED if name in project}
    return {**SHIPPED, **kept, **given}


def built_rules(workspace: Workspace) -> Rules:
    """Give the rules that the marts were last built by.

    A rule that a build before did not know, or did not note, held as it is shipped.
    """
    return {**SHIPPED, **json.loads(workspace.store.ledger.inputs_of(BUILT_BY) or "{}")}


def noted(rules: Rules) -> dict[str, str]:
    """Give what the ledger keeps of the rules that marts were built by."""
    return {BUILT_BY: json.dumps(rules, sort_keys=True)}


def project_vars(project_dir: Path) -> Rules:
    """Give the variables of the dbt project; none where it has no file.

    Raises:
        ConfigError: E_DBT_PROJECT, the file cannot be read.
    """
    path = project_dir / "dbt_project.yml"
    try:
        data, _ = read_yaml(path.read_text(encoding="utf-8"), path.name)
        found = data["vars"]
        return {str(name): value for name, value in found.items()}
    except FileNotFoundError:
        return {}
    except (ConfigError, OSError, UnicodeDecodeError, LookupError, TypeError, AttributeError):
        raise ConfigError(
            f"{path} has no variables that can be read. Nothing was built. Take the file of this "
            "version again.",
            code="E_DBT_PROJECT",
        ) from None
