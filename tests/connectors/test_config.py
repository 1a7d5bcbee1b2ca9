"""connectors.yaml: errors name the file, the connector and the setting, and never a value."""

from pathlib import Path

import pytest

from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.connectors.config import find_connector, load_connectors, of_kind
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.connectors.ticket_files.config import TicketFilesConfig
from ksi_pipeline.core.errors import ConfigError

REPO = Path(__file__).resolve().parents[2]
GOOD = {
    "id": "pos-main",
    "kind": "hourly_api",
    "url": "https://api.example.com/sales",
    "token_env": "POS_TOKEN",
}


def write(folder: Path, *connectors: dict) -> Path:
    path = folder / "connectors.yaml"
    lines = ["connectors:"]
    for connector in connectors:
        settings = [f"    {name}: {value}" for name, value in connector.items()]
        lines += ["  -", *settings]
    path.write_text("\n".join(lines) + "\n")
    return path


def refusal(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        load_connectors(path)
    assert str(path) in str(refused.value)
    return refused.value


def test_a_missing_file_and_an_empty_one_mean_no_connectors(tmp_path):
    assert load_connectors(tmp_path / "connectors.yaml") == ()
    for text in ("", "connectors:\n", "connectors: []\n", "# nothing yet\n"):
        (tmp_path / "connectors.yaml").write_text(text)
        assert load_connectors(tmp_path / "connectors.yaml") == ()


def test_the_example_file_loads_and_its_commented_connector_is_right(tmp_path):
    path = REPO / "data" / "connectors.yaml"
    assert load_connectors(path) == ()
    lines = [line.removeprefix("# ") for line in path.read_text().splitlines()]
    begin = lines.index("connectors:")
    example = tmp_path / "connectors.yaml"
    example.write_text("\n".join(lines[begin : lines.index("connectors: []")]))
    (connector,) = load_connectors(example)
    assert (connector.id, connector.active) == ("pos-main", False)


def test_what_is_not_given_has_a_default_except_what_absence_means(tmp_path):
    (connector,) = load_connectors(write(tmp_path, GOOD))
    assert (connector.active, connector.allow_http, connector.longest_window_days) == (
        *(None, False, 7),
    )
    assert connector.absent_means is None


@pytest.mark.parametrize("active", ["true", "false"])
def test_a_connector_does_not_run_until_it_is_said_what_absence_means(tmp_path, active):
    (connector,) = load_connectors(write(tmp_path, GOOD | {"active": active}))
    with pytest.raises(ConfigError, match=r"'zero' if .*; 'missing' if ") as refused:
        connector.require_active()
    assert refused.value.code == "E_ABSENT_MEANS_UNSET"


def test_a_connector_runs_once_it_is_active(tmp_path):
    settings = GOOD | {"absent_means": "missing"}
    (inactive,) = load_connectors(write(tmp_path, settings))
    with pytest.raises(ConfigError) as refused:
        inactive.require_active()
    assert refused.value.code == "E_CONNECTOR_INACTIVE"
    (active,) = load_connectors(write(tmp_path, settings | {"active": "true"}))
    assert active.require_active() == "missing"


def test_http_needs_to_be_allowed(tmp_path):
    plain = GOOD | {"url": "http://127.0.0.1:8080/sales"}
    assert refusal(write(tmp_path, plain)).code == "E_HTTP_NOT_ALLOWED"
    assert len(load_connectors(write(tmp_path, plain | {"allow_http": "true"}))) == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"tokn_env": "X"}, "tokn_env: unknown setting", id="unknown-setting"),
        pytest.param({"kind": "soap"}, "kind", id="unknown-kind"),
        pytest.param({"absent_means": "maybe"}, "absent_means", id="absent-means"),
        pytest.param({"active": '"yes"'}, "active", id="text-for-a-flag"),
        pytest.param({"read_timeout_s": 0}, "read_timeout_s", id="no-time"),
        pytest.param({"max_attempts": 0}, "max_attempts", id="no-attempt"),
        pytest.param({"longest_window_days": 1.5}, "longest_window_days", id="half-a-day"),
        pytest.param({"url": "ftp://example.com"}, "begin with https", id="scheme"),
        pytest.param({"url": "https:///sales"}, "no host", id="host"),
        pytest.param({"url": "https://example.com:99999/"}, "port", id="port"),
        pytest.param({"url": '"https://example.com/a b"'}, "blank", id="blank"),
        pytest.param({"url": '"https://example.com/#x"'}, "fragment", id="fragment"),
        pytest.param({"url": "https://u:p@example.com/"}, "user name", id="password-in-url"),
    ],
)
def test_a_wrong_setting_is_named_with_its_connector(tmp_path, change, text):
    error = refusal(write(tmp_path, GOOD | change))
    assert "connector 'pos-main'" in str(error)
    assert text in str(error)


def test_all_wrong_settings_are_named_at_once(tmp_path):
    error = refusal(write(tmp_path, GOOD, {"kind": "soap", "url": "x", "colour": 1}))
    for part in ("connector number 2, id", "kind", "url", "token_env", "colour"):
        assert part in str(error)


def test_an_id_that_yaml_reads_as_a_number_is_refused(tmp_path):
    assert "connector number 1, id" in str(refusal(write(tmp_path, GOOD | {"id": "0017"})))


def test_two_connectors_with_one_id_are_refused(tmp_path):
    assert refusal(write(tmp_path, GOOD, GOOD)).code == "E_DUP_CONNECTOR"


@pytest.mark.parametrize("text", ["connectors: [", "- 1\n- 2\n", "connectors: 7", "just words"])
def test_a_file_of_another_shape_is_refused(tmp_path, text):
    path = tmp_path / "connectors.yaml"
    path.write_text(text)
    assert refusal(path).code == "E_CONNECTORS_FILE"


@pytest.mark.parametrize("value", ["2026-02-30", "!!int s3cret", "!!bool s3cret", "!!python/x s3c"])
def test_a_value_that_yaml_cannot_read_is_refused_with_its_line_alone(tmp_path, value):
    path = tmp_path / "connectors.yaml"
    path.write_text(f"connectors:\n  - id: {value}\n")
    error = refusal(path)
    assert error.code == "E_CONNECTORS_FILE"
    assert "connectors.yaml line 2: this is no YAML" in str(error)
    assert value.split()[-1] not in str(error)
    assert error.__cause__ is None


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "connectors.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert refusal(path).code == "E_CONNECTORS_FILE"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"token_env": "s3cret-token.1"}, id="in-place-of-the-name"),
        pytest.param({"token": "s3cret-token.1"}, id="as-a-setting"),
        pytest.param({"url": "https://x:s3cret-token.1@example.com/"}, id="in-the-url"),
        pytest.param({"owner": "[s3cret-token.1"}, id="in-broken-yaml"),
    ],
)
def test_a_token_pasted_into_the_file_is_not_repeated(tmp_path, change):
    error = refusal(write(tmp_path, GOOD | change))
    assert "s3cret" not in str(error) + repr(error)
    assert error.__cause__ is None


def test_a_missing_token_names_the_variable():
    config = HourlyApiConfig.model_validate(GOOD)
    for value in (None, "", "  \n"):
        with pytest.raises(ConfigError, match="POS_TOKEN") as refused:
            config.token({"POS_TOKEN": value}.get)
        assert refused.value.code == "E_TOKEN_MISSING"


def test_a_token_is_trimmed_and_one_with_a_blank_inside_is_refused():
    config = HourlyApiConfig.model_validate(GOOD)
    assert config.token({"POS_TOKEN": "abc\n"}.get).reveal() == "abc"
    with pytest.raises(ConfigError, match="POS_TOKEN") as refused:
        config.token({"POS_TOKEN": "abc def"}.get)
    assert refused.value.code == "E_TOKEN_INVALID"
    assert "def" not in str(refused.value)


def test_brackets_that_lie_too_deep_are_no_connectors(tmp_path):
    (tmp_path / "connectors.yaml").write_text(f"connectors: {'[' * 3000}{']' * 3000}\n")
    assert refusal(tmp_path / "connectors.yaml").code == "E_CONNECTORS_FILE"


def test_connectors_of_several_kinds_share_one_list_and_its_order(tmp_path):
    files = {"id": "drops", "kind": "ticket_files", "mapping": "till"}
    loaded = load_connectors(write(tmp_path, GOOD, files, GOOD | {"id": "second"}))
    assert [config.id for config in loaded] == ["pos-main", "drops", "second"]
    assert [config.id for config in of_kind(loaded, TicketFilesConfig)] == ["drops"]


def test_one_id_for_two_kinds_is_refused(tmp_path):
    files = {"id": "pos-main", "kind": "ticket_files", "mapping": "till"}
    assert refusal(write(tmp_path, GOOD, files)).code == "E_DUP_CONNECTOR"


def test_a_connector_of_another_kind_is_not_taken_for_it(tmp_path):
    path = write(tmp_path, GOOD)
    assert find_connector(path, "pos-main", ConnectorBase).id == "pos-main"
    with pytest.raises(ConfigError, match="of kind hourly_api, and only one of kind ticket_files"):
        find_connector(path, "pos-main", TicketFilesConfig)


def test_an_unknown_kind_names_those_there_are(tmp_path):
    error = refusal(write(tmp_path, GOOD | {"kind": "soap"}))
    assert "kind: it should be one of hourly_api, ticket_files" in str(error)


@pytest.mark.parametrize("every", ["1m", "15m", "1mo", "'*/10 8-20 * * MON-SAT'"])
def test_an_interval_is_from_a_minute_to_a_month_or_a_cron_expression(tmp_path, every):
    (connector,) = load_connectors(write(tmp_path, {**GOOD, "every": every}))
    assert connector.every == every.strip("'")


@pytest.mark.parametrize("every", ["30s", "2mo", "hourly"])
def test_another_interval_is_refused(tmp_path, every):
    error = refusal(write(tmp_path, {**GOOD, "every": every}))
    assert error.code == "E_EVERY"
    assert "connector 'pos-main', every" in str(error)


@pytest.mark.parametrize("since", ["1996-01-31", "'1996-01-31'"])
def test_since_is_a_day_quoted_or_not(tmp_path, since):
    (connector,) = load_connectors(write(tmp_path, {**GOOD, "since": since}))
    assert connector.since.isoformat() == "1996-01-31"


@pytest.mark.parametrize("since", ["1996-01-31T00:00:00", "last year", "1996"])
def test_since_with_a_time_or_that_is_no_day_is_refused(tmp_path, since):
    assert "since" in str(refusal(write(tmp_path, {**GOOD, "since": since})))


def test_files_are_not_asked_so_an_interval_for_them_is_refused(tmp_path):
    files = {"id": "erp", "kind": "ticket_files", "mapping": "erp", "every": "1h"}
    assert "files are taken as they come" in str(refusal(write(tmp_path, files)))
