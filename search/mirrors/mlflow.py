"""MLflow: an experiment for the study, a run for each trial; a database, a file of SQLite or a server."""

import time
from pathlib import Path
from urllib.parse import urlsplit

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from search.errors import UserError
from search.mirrors.trial import SCORE, MirroredTrial

KEY = "mseg_search.trial"
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
LONGEST = 5000  # characters of a tag
MOST = 1000  # metrics of a request


class MLflow:
    """The runs of a study at the tracking URI `place`."""

    def __init__(self, place: str, study: str) -> None:
        if urlsplit(place).password is not None:
            raise UserError(
                "--mlflow: its password would be seen in the list of processes; put name and password into "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        try:
            self.client = MlflowClient(tracking_uri=place)
            experiment = self.client.get_experiment_by_name(study)
            self.experiment = experiment.experiment_id if experiment else self._create(place, study)
        except MlflowException as error:
            raise UserError(f"--mlflow: {place}: {str(error).splitlines()[0]}") from error
        self._runs: dict[str, str] = {}
        self._ended: set[str] = set()
        self._read_runs()
        self._epochs: dict[tuple[str, str], set[int]] = {}

    def add(self, trial: MirroredTrial) -> int:
        if trial.key in self._ended:
            return 0
        if trial.key not in self._runs:
            run = self.client.create_run(self.experiment, tags={KEY: trial.key}, run_name=trial.name)
            self._runs[trial.key] = run.info.run_id
            self._epochs |= {(trial.key, name): set() for name in trial.series}
        run_id, now, metrics, new = self._runs[trial.key], int(time.time() * 1000), [], 0
        for name, values in trial.series.items():
            if (trial.key, name) not in self._epochs:
                history = self.client.get_metric_history(run_id, name)
                self._epochs[trial.key, name] = {metric.step for metric in history}
            missing = [epoch for epoch in values if epoch not in self._epochs[trial.key, name]]
            metrics += [Metric(name, values[epoch], now, epoch) for epoch in missing]
            new += len(missing) if name == SCORE else 0
        if trial.ended:
            metrics += [Metric(name, result, now, 0) for name, result in trial.results.items()]
        params = [Param(name, str(value)) for name, value in trial.params.items()]
        tags = [RunTag(name, note[:LONGEST]) for name, note in trial.notes.items()]
        for start in range(0, max(1, len(metrics)), MOST):
            self.client.log_batch(run_id, metrics[start : start + MOST], params, tags)
        if trial.ended:
            if trial.figure is not None:
                self.client.log_artifact(run_id, str(trial.figure))
            self.client.set_terminated(run_id, STATUS[trial.ended])
            self._ended.add(trial.key)
        for name, values in trial.series.items():
            self._epochs[trial.key, name] |= values.keys()
        return new

    def _create(self, place: str, study: str) -> str:
        """Figures go beside a SQLite file; a server has a place of its own."""
        file = place.removeprefix("sqlite:///")
        artifacts = None if file == place else (Path(file).absolute().parent / "mlartifacts").as_uri()
        created: str = self.client.create_experiment(study, artifact_location=artifacts)
        return created

    def _read_runs(self) -> None:
        page = None
        while True:
            found = self.client.search_runs([self.experiment], max_results=1000, page_token=page)
            for run in found:
                key = run.data.tags.get(KEY)
                if key is not None:
                    self._runs[key] = run.info.run_id
                    if run.info.status != "RUNNING":
                        self._ended.add(key)
            page = found.token
            if not page:
                return
