"""Say where a study's runs are done: the fields of its `executor`."""

from __future__ import annotations

import re
from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from trainers.errors import ConfigError
from trainers.plugins import Written
from tuner.config.passwords import hide_passwords

_Kind = Literal["process", "ray", "inprocess"]
_HOST_AND_PORT = re.compile(r"(?:ray://)?(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_CPUS_ON_A_CLUSTER = 4


class ExecutorSettings(Written):
    """Where runs are done."""

    kind: _Kind = "process"
    """process: each run in a process of its own; ray: the same on the nodes of a Ray cluster;
    inprocess: in the launcher, for debugging."""
    workers: int = Field(default=1, ge=1)
    """Runs at once."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of a run; by default the machine's, shared out among the workers, and with
    `ray` as many as `cpus_per_run`."""
    heartbeat_seconds: float = Field(default=60.0, gt=0)
    """Time between a launcher's signs of life; others take over its runs after two it missed."""
    address: str | None = Field(default=None, min_length=1)
    """Ray cluster: HOST:PORT, ray://HOST:PORT from outside, `auto` on one of its machines; none:
    a Ray of its own on this machine. A connection that the program has already is used."""
    gpus_per_run: float | None = Field(default=None, ge=0)
    """Devices that Ray keeps for a run (for each rank), or a share of one below 1; by default 1
    where the cluster has any, else 0."""
    cpus_per_run: int | None = Field(default=None, ge=1)
    """CPUs that Ray keeps for a run (for each rank); by default 4 on a cluster, and this
    machine's shared out among the workers without one."""

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, said: object) -> object:
        if isinstance(said, str):
            kinds = get_args(_Kind)
            shown = [said] if said in kinds else kinds
            allowed = ", ".join(f"{{kind: {kind}}}" for kind in shown)
            raise ConfigError(f"got {said!r}; allowed: a mapping such as {allowed}")
        return said

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

    @model_validator(mode="after")
    def _consistent(self) -> ExecutorSettings:
        if self.kind == "inprocess" and self.workers > 1:
            raise ConfigError(f"workers: inprocess does one run at a time, got {self.workers}")
        for name in ("address", "gpus_per_run", "cpus_per_run"):
            if self.kind != "ray" and getattr(self, name) is not None:
                raise ConfigError(f"{name}: only the executor ray has it, got kind {self.kind}")
        return self

    def cpus(self, machine: int) -> int:
        """Return the CPUs of a run, given those of this machine."""
        if self.cpus_per_run is not None:
            return self.cpus_per_run
        return _CPUS_ON_A_CLUSTER if self.address else max(1, machine // self.workers)

    def threads_of_a_run(self, machine: int) -> int:
        """Return the threads of a run, given the CPUs of this machine."""
        return self.threads or self.cpus(machine)
