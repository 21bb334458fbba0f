"""The whole configuration: its tables, validated together before anything runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from syncd.settings.daemon import ControlSettings, MetricsSettings, ReportsSettings, ScheduleSettings
from syncd.settings.mapping import MappingSettings
from syncd.settings.notify import NotifySettings
from syncd.settings.sections import Duration, between
from syncd.settings.sources import AnySource
from syncd.settings.target import TargetSettings


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    state: Path = Path("/var/lib/syncd/syncd.db")
    """The state file: what each target has acknowledged. Mode 0600; one process at a time."""
    source: AnySource
    """Where people and groups come from."""
    mapping: MappingSettings
    """How an entry becomes a SCIM resource."""
    target: Annotated[list[TargetSettings], Field(min_length=1)]
    """The SCIM endpoints; one table each."""
    drain: Annotated[Duration, between("0s", "10m")] = timedelta(seconds=20)
    """How long requests in flight may go on after SIGTERM: 0s to 10m."""
    schedule: ScheduleSettings = ScheduleSettings()
    """When the daemon synchronises."""
    control: ControlSettings = ControlSettings()
    """The socket for commands, and the group that may use it."""
    metrics: MetricsSettings = MetricsSettings()
    """Where the daemon shows figures."""
    reports: ReportsSettings = ReportsSettings()
    """The reports that the daemon keeps."""
    notify: NotifySettings = NotifySettings()
    """Where notices are sent: faults, and changes that wait for a decision."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use nothing but the values that `load` passes: it has merged file and environment, lists included."""
        return (init_settings,)


__all__ = ["Settings"]
