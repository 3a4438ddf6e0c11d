"""Read runs through MLflow's client, from a server or any store that it can open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from tuner.store import Curve, study_page
from tuner.tracking.address import locate_store
from tuner.tracking.curves import Point, make_curves
from tuner.tracking.files import Downloads
from tuner.tracking.mlflow_database import open_client
from tuner.tracking.server import explained, prepare_client
from tuner.tracking.stored_reader import STUDY, StoredReader
from tuner.tracking.tags import StoredRun

_PAGE = 1_000
_RUNS_AT_ONCE, _LONGEST_SAMPLE = 100, 2_500
"""The server's limits: runs in a request for curves, and points of a run before sampling."""
_NO_SUCH_RUN = "RESOURCE_DOES_NOT_EXIST"
_HISTORY = "/api/2.0/mlflow/metrics/get-history-bulk-interval"


class ClientReader(StoredReader):
    """Reads with `MlflowClient`.

    Args:
        client: Client of the store.
    """

    def __init__(self, client: MlflowClient) -> None:
        super().__init__()
        self._client = client
        self._downloads = Downloads()

    def studies(self) -> list[str]:
        """Return the names of the experiments that are studies."""
        return sorted(name for name, _ in self._texts_by_name())

    def _texts_by_name(self) -> Iterator[tuple[str, str]]:
        found = all_pages(self._client.search_experiments, {})
        return ((one.name, one.tags[STUDY]) for one in found if STUDY in one.tags)

    def _is_deleted(self, study: str) -> bool:
        found = self._client.get_experiment_by_name(study)
        return found is not None and found.lifecycle_stage == "deleted" and STUDY in found.tags

    def page_of(self, study: str) -> str:
        """Return the address of the study's page at the server."""
        address = locate_store(self._client.tracking_uri)
        found = self._client.get_experiment_by_name(study) if address.is_server else None
        return study_page(address.tracking_uri, found.experiment_id if found else None)

    def stored_runs(
        self, study: str, *, phase: str | None = None, with_params: bool = True
    ) -> Iterator[StoredRun]:
        """Search page by page; MLflow includes params, needed or not."""
        experiment = self._client.get_experiment_by_name(study)
        if experiment is None:
            return iter(())
        query = {
            "experiment_ids": [experiment.experiment_id],
            "filter_string": f"tags.`tuner.phase` = '{phase}'" if phase else "",
            "order_by": ["attributes.start_time ASC"],
        }
        return map(_stored, all_pages(self._client.search_runs, query))

    def stored_curves(self, run_ids: Sequence[str], names: Sequence[str]) -> Iterator[Curve]:
        """Read the curves of a hundred runs in one request where a server can, else each alone."""
        for start in range(0, len(run_ids), _RUNS_AT_ONCE):
            chunk = run_ids[start : start + _RUNS_AT_ONCE]
            points = {}
            for name in names:
                sampled = self._sampled_points(chunk, name)
                for run_id in chunk:
                    found = sampled.get(run_id, []) if sampled is not None else None
                    if found is None or len(found) >= _LONGEST_SAMPLE:
                        found = self._all_points(run_id, name)
                    points[run_id, name] = found
            yield from make_curves(chunk, names, points)

    def _sampled_points(self, run_ids: Sequence[str], name: str) -> dict[str, list[Point]] | None:
        """Return a metric's points by run, sampled if many; None: the store cannot do so."""
        uri = self._client.tracking_uri
        if not uri.startswith(("http://", "https://")):
            return None
        query = {"run_ids": list(run_ids), "metric_key": name, "max_results": _LONGEST_SAMPLE}
        # MLflow's client has no call for it, although its UI reads curves this way.
        host = get_default_host_creds(uri)  # type: ignore[no-untyped-call]  # mlflow's
        answer = http_request(host, _HISTORY, "GET", params=query)  # type: ignore[no-untyped-call]  # mlflow's
        if answer.status_code != HTTPStatus.OK:
            return None
        found = defaultdict(list)
        for point in answer.json().get("metrics", ()):
            value = float(point["value"])  # NaN comes as text
            found[point["run_id"]].append(Point(point["step"], point["timestamp"], value))
        return found

    def _all_points(self, run_id: str, name: str) -> list[Point]:
        history = self._client.get_metric_history(run_id, name)
        return [Point(metric.step, metric.timestamp, metric.value) for metric in history]

    def _study_tags(self, study: str) -> Mapping[str, str]:
        experiment = self._client.get_experiment_by_name(study)
        if experiment is None or experiment.lifecycle_stage == "deleted":
            return {}
        tags: Mapping[str, str] = experiment.tags
        return tags

    def _find_artifact_uri(self, run_id: str) -> str | None:
        try:
            uri: str = self._client.get_run(run_id).info.artifact_uri
        except MlflowException as error:
            if error.error_code == _NO_SUCH_RUN:
                return None
            raise
        return uri

    def _download(self, run_id: str, name: str) -> Path | None:
        folder = self._downloads.folder(run_id)
        listed = self._client.list_artifacts(run_id, name.rpartition("/")[0] or None)
        if name not in {file.path for file in listed if not file.is_dir}:
            return None
        return Path(self._client.download_artifacts(run_id, name, str(folder)))


def all_pages(search: Callable[..., Any], query: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the results of a search, page by page."""
    token = None
    while True:
        page = search(**query, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _stored(run: Run) -> StoredRun:
    return StoredRun(
        run_id=run.info.run_id,
        status=run.info.status,
        start=run.info.start_time,
        end=run.info.end_time,
        artifact_uri=run.info.artifact_uri,
        tags=run.data.tags,
        params=run.data.params,
        metrics=run.data.metrics,
    )


def open_client_reader(store: str | Path) -> ClientReader:
    """Open MLflow to read the runs that were projected to it.

    Args:
        store: A folder, or the address of a server.

    Raises:
        ConfigError: MLflow's store cannot be opened.
    """
    address = locate_store(store)
    prepare_client(address)
    with explained(address.shown):
        reader = ClientReader(open_client(store, address))
        if address.is_server:
            reader.studies()  # a server may refuse this
        return reader


def read_artifact(store: str | Path, run_id: str, name: str) -> Path | None:
    """Return a local path of a run's file in MLflow."""
    return _opened(store).artifact(run_id, name)


@lru_cache(maxsize=4)
def _opened(store: str | Path) -> ClientReader:
    return open_client_reader(store)
