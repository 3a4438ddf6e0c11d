"""The base of all executors' settings, and the reader of a study's `executor`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BeforeValidator, Field, SerializeAsAny

from trainers.errors import ConfigError, SeveralFaults
from trainers.plugins import Plugin, kinds, plugin_class, resolve

if TYPE_CHECKING:
    from tuner.config.study import StudyConfig
    from tuner.executors import Executor

EXECUTORS = "tuner.executors"
"""Package of the plug-ins: each of its files and folders is a kind of executor."""
_UNLESS_NAMED = "process"


class ExecutorSettings(Plugin):
    """Settings of an executor. A subclass has a file or folder of its own, named like its kind."""

    EXTRA: ClassVar[str] = ""
    """Required extra of this package, which installs a module of the same name."""

    workers: int = Field(default=1, ge=1)
    """Runs at once."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of a run; by default the number of its own CPUs."""
    heartbeat_seconds: float = Field(default=60.0, gt=0)
    """Seconds between a launcher's heartbeats; after two missed ones others take over its runs."""

    @property
    def elsewhere(self) -> bool:
        """Whether runs are done on other machines, whose devices and packages are unknown here."""
        return False

    def open(self, *, ranks: int = 1) -> Executor:
        """Make the executor.

        Args:
            ranks: The most that a run of the study has.

        Raises:
            ConfigError: It needs a package that is not installed.
        """
        if self.EXTRA and find_spec(self.EXTRA) is None:
            raise ConfigError(
                f"executor.kind: {self.kind} needs the extra `{self.EXTRA}`; "
                f"run `pip install 'tuner-studies[{self.EXTRA}]'`"
            )
        return self._open(ranks)

    @abstractmethod
    def _open(self, ranks: int) -> Executor:
        """Make the executor, once its extra has been found. Heavy imports belong here."""

    def conflicts(self, study: StudyConfig) -> Iterable[str]:
        """Return a line for each setting of a study that it cannot honour, dotted key first."""
        return ()

    def missing_devices(self, *, ranks: int, devices: int) -> str:
        """Return the field that needs more devices than there are, with its value, or "".

        Args:
            ranks: Ranks of a run.
            devices: CUDA devices of this machine.
        """
        return ""

    def cpus(self, machine: int) -> int:
        """Return the number of a run's own CPUs, given that of this machine's."""
        return max(1, machine // self.workers)

    def threads_of_a_run(self, machine: int) -> int:
        """Return the threads of a run, given the number of this machine's CPUs."""
        return self.threads or self.cpus(machine)


_BASE: type[ExecutorSettings] = ExecutorSettings  # type: ignore[type-abstract]


def read_executor(value: object) -> ExecutorSettings:
    """Read `executor:` of a study: a kind's name, or a mapping; `process` unless it has a `kind`.

    Raises:
        ConfigError: Unknown kind, or a field that only another kind has.
        pydantic.ValidationError: A field of the kind is invalid.
    """
    if isinstance(value, Mapping):
        value = _without_others_fields({"kind": _UNLESS_NAMED, **value})
    return resolve(_BASE, EXECUTORS, value)


AnyExecutor = Annotated[SerializeAsAny[ExecutorSettings], BeforeValidator(read_executor)]


def _without_others_fields(said: Mapping[str, object]) -> Mapping[str, object]:
    """Refuse fields that only another kind has; leave them out where they are null."""
    classes = {kind: plugin_class(_BASE, EXECUTORS, kind) for kind in kinds(_BASE, EXECUTORS)}
    fields = {kind: set(found.model_fields) for kind, found in classes.items()}
    own = fields.get(str(said["kind"]))
    if own is None:
        return said
    others = {name: kind for kind, names in fields.items() for name in names - own}
    faults = [
        f"{name}: got kind {said['kind']}; only the executor {others[name]} has this field"
        for name, given in said.items()
        if name in others and given is not None
    ]
    if faults:
        raise SeveralFaults(faults)
    return {name: given for name, given in said.items() if name not in others}
