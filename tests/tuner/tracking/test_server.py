"""Everything works against a real MLflow server, which keeps the files too."""

from __future__ import annotations

import http.server
import math
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.servers import MlflowServer
from tests.tuner.tracking.projections import STUDY, YAML, desk, make_group, make_spec
from trainers.contract import RunEvent
from trainers.errors import ConfigError
from tuner.store.location import Store
from tuner.store.records import Curve
from tuner.tracking import keep_report, open_reader, reach_server


def test_a_server_is_written_to_and_read(server: MlflowServer, tmp_path: Path) -> None:
    """Runs, curves, files, the study and its report; by our reader of servers."""
    report, store = tmp_path / "report", tmp_path / "store"
    (report / "pictures").mkdir(parents=True)
    (report / "report.md").write_text("first")
    (report / "pictures" / "old.svg").write_text("old")
    points = [
        RunEvent(kind="step", time=float(step), step=step, metrics={"train/loss": 1 / (step + 1)})
        for step in range(2_600)
    ]
    with desk(store, server.address) as table:
        table.open_study()
        attempt = table.begin(make_spec(0), make_group(trial=None))
        (table.folder(attempt) / "predictions.parquet").write_bytes(b"rows")
        table.end(attempt)
        table.begin(make_spec(1), make_group(trial=None), events=points)
        table.project()
        found = {name[-1]: run.info.run_id for name, run in table.found().items()}
        first, long = found["0"], found["1"]
        assert table.client.list_artifacts(first)
    MlflowClient(server.address).log_metric(long, "validation/loss", math.nan, step=0)
    report_id = keep_report(Store(store), server.address, STUDY, report)
    (report / "report.md").write_text("second")
    (report / "pictures" / "old.svg").rename(report / "pictures" / "new.svg")
    assert keep_report(Store(store), server.address, STUDY, report) == report_id

    reader = open_reader(server.address)
    assert reader.studies() == [STUDY]
    assert reader.study_yaml(STUDY) == YAML
    records = reader.runs(STUDY)
    assert [(record.run_id, record.state) for record in records] == [
        (first, "finished"),
        (long, "running"),
    ]
    assert records[0].params == make_spec(0).flat()
    assert records[0].metrics["test/macro_f1"] == 0.4
    assert list(reader.curves([first, "0" * 32, first], ["train/loss"])) == 2 * [
        Curve(first, "train/loss", (1, 2, 3), (1.0, 1 / 2, 1 / 3))
    ]
    whole, undefined = reader.curves([long], ["train/loss", "validation/loss"])
    assert whole.steps == tuple(range(2_600))
    assert whole.values == tuple(1 / (step + 1) for step in range(2_600))
    assert math.isnan(undefined.values[0])
    served = (server.folder / "server.log").read_text(encoding="utf-8", errors="replace")
    assert re.search(r"/get-history-bulk-interval\?.* 200", served)
    path = reader.artifact(first, "predictions.parquet")
    assert path is not None
    assert path.read_bytes() == b"rows"
    assert reader.artifact(first, "none.parquet") is None
    assert reader.artifact(long, "predictions.parquet") is None
    assert reader.artifact(report_id, "pictures/old.svg") is None
    for name, text in (("report.md", "second"), ("pictures/new.svg", "old")):
        path = reader.artifact(report_id, name)
        assert path is not None
        assert path.read_text() == text
    del reader
    assert not path.exists()


def test_two_machines_that_end_at_once_keep_one_report(
    server: MlflowServer, tmp_path: Path
) -> None:
    """Both find none and make one; the study is left with the first of them."""
    report = tmp_path / "report"
    report.mkdir()
    (report / "report.md").write_text("same")
    with desk(tmp_path / "store", server.address) as table:
        table.open_study("ends-at-once")
        table.project()
    together = threading.Barrier(2)

    def end(_: int) -> str:
        together.wait()
        return keep_report(Store(tmp_path), server.address, "ends-at-once", report)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(end, range(2))
    client = MlflowClient(server.address)
    experiment = client.get_experiment_by_name("ends-at-once")
    assert experiment is not None
    assert [run.info.run_id for run in client.search_runs([experiment.experiment_id])] == [first]
    assert first == second


def test_a_server_of_this_machine_is_written_to_past_the_proxy(
    server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever calls the library has it too, without the command line."""
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "")  # and so put back
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    reach_server(server.address)
    with desk(tmp_path / "store", server.address) as table:
        table.open_study("past-the-proxy")
        table.project()
    assert "past-the-proxy" in open_reader(server.address).studies()


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            "Invalid Host header - possible DNS rebinding attack detected",
            "the server refuses the host name in its address; start `mlflow server` with "
            "--allowed-hosts HOST:PORT, or, on its own machine, use 127.0.0.1",
        ),
        ("Permission denied", "user or password refused; MLFLOW_TRACKING_USERNAME and "),
    ],
)
def test_a_host_name_that_the_server_refuses_is_no_wrong_password(answer: str, line: str) -> None:
    """MLflow's server answers 403 to both; its words tell them apart."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{refusing.server_port}"
        with pytest.raises(ConfigError, match=re.escape(f"MLflow store {address}: {line}")):
            open_reader(address)
        refusing.shutdown()
