"""`tuner memory`: predict the memory of runs before they run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainers.errors import ConfigError
from tuner.cli.options import DEFAULT_STORE, DataDir, StoreAddress, is_server

if TYPE_CHECKING:
    from tuner.forecast.memory import RunOptions
    from tuner.store import RunRecord, Store

EXAMPLE = "tuner memory --model roberta-base --method lora"
_PRECISION = (
    "fp32, bf16 or fp16. Half precision is autocast; with --zero or --parameters the weights "
    "have it themselves."
)
_OPTIONS = {
    "study": ("store", "data_dir", "device"),
    "parameters": ("precision", "optimizer", "zero", "ranks"),
    "model": (
        *("method", "batch_size", "length", "accumulation", "precision", "optimizer"),
        *("attention", "checkpointing", "labels", "zero", "ranks", "device", "fits"),
    ),
}
"""Options that have an effect, by the way of asking."""


def command(
    context: typer.Context,
    study: Annotated[
        str | None, typer.Argument(help="A study: a row for each of its cells.")
    ] = None,
    parameters: Annotated[
        float | None,
        typer.Option(
            help="Weights, gradients and optimizer state of so many parameters, such as 3e9."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Short or Hub name, folder, or a config.json.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="See `tuner list methods`; default: full.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows of a micro-batch.")] = 32,
    length: Annotated[int, typer.Option(min=4, help="Tokens of a row.")] = 128,
    accumulation: Annotated[int, typer.Option(min=1, help="Micro-batches of a step.")] = 1,
    precision: Annotated[str, typer.Option(help=_PRECISION)] = "fp32",
    optimizer: Annotated[str, typer.Option(help="adamw, adamw_torch, adafactor, sgd.")] = "adamw",
    attention: Annotated[str, typer.Option(help="sdpa or eager.")] = "sdpa",
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Recompute activations.")
    ] = False,
    labels: Annotated[int, typer.Option(min=2, help="Classes.")] = 2,
    zero: Annotated[
        str | None, typer.Option(help="ZeRO stage of DeepSpeed, 0 to 3, as its preset has it.")
    ] = None,
    ranks: Annotated[int, typer.Option(min=1, help="Processes of a run.")] = 1,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda, to predict for; default: this machine's.")
    ] = None,
    fits: Annotated[str | None, typer.Option(help="List what fits in 24GB or 20GiB.")] = None,
    store: StoreAddress = DEFAULT_STORE,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all numbers as JSON.")] = False,
) -> None:
    """Predict the memory of runs before they run, by category. No GPU, no weights."""
    from tuner.cli.memory_text import StatesOptions, parse_stages, states_text

    if sum(way is not None for way in (study, parameters, model)) != 1:
        raise ConfigError("memory: name one of STUDY, --model and --parameters")
    _refuse_unread(context)
    stages = parse_stages(zero)
    if parameters is not None:
        wanted = StatesOptions(parameters, precision, optimizer, ranks, stages)
        typer.echo(states_text(wanted, as_json=as_json))
        return
    if device not in (None, "cpu", "cuda"):
        raise ConfigError(f"--device: got {device!r}; known: cpu, cuda")
    if study is not None:
        _study(study, store, data_dir, device=device, as_json=as_json)
        return
    if len(stages) > 1:
        raise ConfigError(f"--zero: got {zero}; allowed with --model: one stage")
    from tuner.forecast.memory import RunOptions

    chosen = RunOptions(
        model=str(model),
        method=method or "full",
        batch_size=batch_size,
        length=length,
        precision=precision,
        optimizer=optimizer,
        accumulation=accumulation,
        attention=attention,
        checkpointing=checkpointing,
        labels=labels,
        stage=stages[0] if stages else None,
        ranks=ranks,
        device=device,
    )
    if fits is None:
        _configuration(chosen, as_json=as_json)
    else:
        _fits(chosen, fits, [method] if method else None, as_json=as_json)


def _refuse_unread(context: typer.Context) -> None:
    """Refuse an option that would have no effect."""
    for way, read in _OPTIONS.items():
        if context.params[way] is None:
            continue
        for name in context.params.keys() - {way, *read, "as_json"}:
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                said = ", ".join(f"--{option.replace('_', '-')}" for option in (*read, "json"))
                asked = "a STUDY" if way == "study" else f"--{way}"
                option = name.replace("_", "-")
                raise ConfigError(f"--{option}: has no effect with {asked}; allowed: {said}")


def _study(study: str, store: str, data_dir: Path | None, *, device: Any, as_json: bool) -> None:
    from tuner.cli.memory_text import needs_json, study_lines
    from tuner.config import DATA_DIR, hide_password, load_study
    from tuner.forecast.memory import study_needs

    data_dir = data_dir or DATA_DIR
    place = _readable(store)  # refuses a bad address before anything is predicted
    config = load_study(study, data_dir=data_dir)
    for model in config.models:
        model.check()
    runs = _runs(config.name, place)
    with tempfile.TemporaryDirectory() as scratch:
        needs = study_needs(
            config,
            runs,
            data_dir=data_dir,
            cache_dir=Path(scratch),
            device=device,
        )
    if as_json:
        typer.echo(needs_json(needs, study=config.name, memory_cap=config.memory_cap))
        return
    typer.echo("\n".join(study_lines(config.name, needs, config.memory_cap)))
    if not runs:
        where = hide_password(store)
        typer.echo(f"Nothing is measured: {where} has no runs of {config.name}.")


def _configuration(chosen: RunOptions, *, as_json: bool) -> None:
    from tuner.cli.memory_text import need_json, need_lines
    from tuner.forecast.memory import need_of

    predicted = need_of(chosen)
    typer.echo(need_json(predicted) if as_json else "\n".join(need_lines(predicted)))


def _fits(chosen: RunOptions, fits: str, methods: Sequence[str] | None, *, as_json: bool) -> None:
    from rich.console import Console

    from tuner.cli.memory_text import fits_json, fits_lines
    from tuner.config import parse_bytes
    from tuner.forecast.memory import METHODS, find_fitting

    try:
        cap = parse_bytes(fits)
    except ConfigError as error:
        raise ConfigError(f"--fits: {error}") from error
    with Console(stderr=True).status("predicting") as status:
        found = find_fitting(
            chosen, cap, methods=methods or METHODS, watch=lambda tried: status.update(tried.name)
        )
    typer.echo(fits_json(found, cap) if as_json else "\n".join(fits_lines(found, cap)))


def _readable(store: str) -> str | Store:
    """Return what an address means: a store, which may be read-only; an MLflow server as it is."""
    from tuner.store import check_folder, find_store

    if is_server(store):
        return store
    place = find_store(store)
    check_folder(place.root)
    return place


def _runs(study: str, store: str | Store) -> list[RunRecord]:
    """Read a study's runs; none where there is no store yet."""
    from tuner.tracking import open_reader

    if not isinstance(store, str) and not store.exists():
        return []
    return open_reader(store).runs(study)
