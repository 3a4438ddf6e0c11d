"""The executor `ray`: each run in a process of its own on a node of a cluster. Its settings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from trainers.errors import ConfigError
from tuner.config import ExecutorSettings, hide_passwords
from tuner.executors import Executor

if TYPE_CHECKING:
    from tuner.config import StudyConfig

_HOST_AND_PORT = re.compile(r"(?:ray://)?(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_CPUS_ON_A_CLUSTER = 4


class RaySettings(ExecutorSettings):
    """Each run in a process of its own on a node of a Ray cluster, or of a Ray on this machine."""

    EXTRA: ClassVar[str] = "ray"

    kind: Literal["ray"] = "ray"
    """Folder name of the plug-in."""
    address: str | None = Field(default=None, min_length=1)
    """Ray cluster: HOST:PORT, ray://HOST:PORT from outside, `auto` on one of its machines; none:
    a Ray of its own on this machine. An existing connection is used."""
    gpus_per_run: float | None = Field(default=None, ge=0)
    """Devices that Ray reserves for a run (for each rank), or a share of one below 1; by default 1
    where the cluster has any, else 0."""
    cpus_per_run: int | None = Field(default=None, ge=1)
    """CPUs that Ray reserves for a run (for each rank); by default 4 on a cluster, and this
    machine's, divided among the workers, without one."""

    @field_validator("address")
    @classmethod
    def _reachable(cls, address: str | None) -> str | None:
        if address is None or address == "auto":
            return address
        found = _HOST_AND_PORT.fullmatch(address)
        if found is None or not 0 < int(found[1]) < 2**16:
            allowed = "null, auto, HOST:PORT, ray://HOST:PORT, with a port of 1 to 65535"
            raise ConfigError(f"got {hide_passwords(address)!r}; allowed: {allowed}")
        return address

    @field_validator("gpus_per_run")
    @classmethod
    def _whole(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ConfigError(f"got {gpus}; allowed: a whole number, or a share below 1")
        return gpus

    @property
    def elsewhere(self) -> bool:
        """Whether a cluster does the runs."""
        return self.address is not None

    def _open(self, ranks: int) -> Executor:
        # Else Ray prints a traceback of its own code when a signal ends the study.
        os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
        from tuner.executors.ray.executor import RayExecutor

        return RayExecutor(self, ranks=ranks)

    def conflicts(self, study: StudyConfig) -> Iterator[str]:
        """Return the setting that depends on the node."""
        if study.memory_cap == "device":
            yield "memory_cap: got device, but nodes differ; with the executor ray give a size"

    def missing_devices(self, *, ranks: int, devices: int) -> str:
        """Return a `gpus_per_run` above what this machine has; "" on a cluster."""
        gpus = self.gpus_per_run or 0
        if self.elsewhere or gpus * ranks <= devices:
            return ""
        each = f" for each of {ranks} ranks" if ranks > 1 else ""
        return f"gpus_per_run: got {gpus:g}{each}"

    def cpus(self, machine: int) -> int:
        """Return the CPUs that Ray reserves for a rank, given the number of this machine's."""
        if self.cpus_per_run is not None:
            return self.cpus_per_run
        return _CPUS_ON_A_CLUSTER if self.address else super().cpus(machine)
