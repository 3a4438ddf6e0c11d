"""Find the files that come with the package: studies, references, DeepSpeed presets."""

from __future__ import annotations

from pathlib import Path

from trainers.errors import ConfigError, known, nearest

_PACKAGE = Path(__file__).parents[1]


def shipped_folder(name: str) -> Path:
    """Return the folder `configs` or `ds_configs`, from the wheel or else from the checkout."""
    packed = _PACKAGE / "_shipped" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name


def study_names() -> list[str]:
    """List the shipped studies."""
    return sorted(path.stem for path in shipped_folder("configs").glob("*.yaml"))


def is_study_file(name: str | Path) -> bool:
    """Return whether a study is named by the path of an existing file."""
    return ("/" in str(name) or bool(Path(name).suffix)) and Path(name).is_file()


def study_path(name: str) -> Path:
    """Return the file of a study: anything with a suffix or a slash is a path, else a name.

    Raises:
        ConfigError: No such shipped study, or no such file.
    """
    if "/" in name or Path(name).suffix:
        path = Path(name)
        if path.is_dir():
            raise ConfigError(f"{name}: a folder; name the YAML file of a study")
        if not path.is_file():
            raise ConfigError(f"{name}: no such file; a name without a suffix is a shipped study")
        return path
    if name not in study_names():
        names = study_names()
        raise ConfigError(
            f"no such study {name!r}; known studies: {known(names)}{nearest(name, names)}"
        )
    return shipped_folder("configs") / f"{name}.yaml"


def reference_names() -> list[str]:
    """List the shipped files of published results."""
    return sorted(path.stem for path in (shipped_folder("configs") / "references").glob("*.csv"))


def find_reference(name: str | Path) -> Path:
    """Return a file of published results: a shipped name, or a path.

    Raises:
        ConfigError: No such shipped name, or no such file.
    """
    is_path = bool(Path(name).suffix) or "/" in str(name)
    if is_path and Path(name).is_file():
        return Path(name)
    if str(name) not in reference_names():
        found = "a folder" if Path(name).is_dir() else f"no such {'file' if is_path else 'name'}"
        allowed = known(reference_names())
        raise ConfigError(
            f"--reference: {found}, got {str(name)!r}; known: {allowed}, or a CSV file"
        )
    return shipped_folder("configs") / "references" / f"{name}.csv"
