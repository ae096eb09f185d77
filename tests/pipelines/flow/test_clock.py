"""A calendar line says which clock it runs by, and what happens when clocks change."""

import pytest

from naslora_core.errors import ConfigError
from pipelines.flow.clock import changed_hours, describe_cron


@pytest.mark.parametrize(
    ("zone", "hours"), [("Europe/Berlin", {2}), ("America/New_York", {1, 2}), ("UTC", set()), ("Asia/Kolkata", set())]
)
def test_the_hours_that_are_skipped_or_repeated_are_known(zone, hours):
    assert changed_hours(zone) == hours


@pytest.mark.parametrize(
    ("cron", "zone", "warned"),
    [
        ("30 2 * * *", "Europe/Berlin", True),
        ("0 * * * *", "Europe/Berlin", True),
        ("*/5 22-2 * * *", "Europe/Berlin", True),
        ("@hourly", "Europe/Berlin", True),
        ("0 3 * * 6", "Europe/Berlin", False),
        ("0 */6 * * *", "Europe/Berlin", False),
        ("@daily", "Europe/Berlin", False),
        ("30 2 * * *", "UTC", False),
    ],
)
def test_a_calendar_line_in_such_an_hour_is_warned_of(cron, zone, warned):
    first, *more = describe_cron(cron, zone)
    assert first == f"The calendar '{cron}' is read in the time of {zone}."
    assert [line.startswith("Warning: clocks change there in the hour of 2:00") for line in more] == [True] * warned


@pytest.mark.parametrize("cron", ["tomorrow", "0 3 * *", "0 25 * * *"])
def test_what_is_no_calendar_line_is_told(cron):
    with pytest.raises(ConfigError, match="is no calendar line; give five fields"):
        describe_cron(cron, "UTC")
