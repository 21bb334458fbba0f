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
    """What becomes of an entry."""
    target: Annotated[list[TargetSettings], Field(min_length=1)]
    """The SCIM endpoints; one table each."""
    drain: Annotated[Duration, between("0s", "10m")] = timedelta(seconds=20)
    """How long requests in flight may go on when syncd is told to stop (SIGTERM): 0s to 10m."""
    schedule: ScheduleSettings = ScheduleSettings()
    """When the daemon runs."""
    control: ControlSettings = ControlSettings()
    """Who may talk to the daemon."""
    metrics: MetricsSettings = MetricsSettings()
    """Where it shows figures."""
    reports: ReportsSettings = ReportsSettings()
    """The reports that it keeps."""
    notify: NotifySettings = NotifySettings()
    """Who hears of what is wrong, or waits for somebody."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands over counts: it has merged file and environment, lists included."""
        return (init_settings,)


__all__ = ["Settings"]
