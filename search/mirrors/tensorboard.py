"""TensorBoard: a run for each trial, as event files in DIR/STUDY/trial-0017."""

import time
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from search.mirrors.trial import SCORE, MirroredTrial

END = "end"  # the last thing that is written of a trial


class TensorBoard:
    """The runs of a study below the folder `place`.

    Whatever a mirror adds is a new event file beside the older ones. TensorBoard shows them as one run.
    """

    def __init__(self, place: str, study: str) -> None:
        self.folder = Path(place).expanduser() / study
        self.folder.mkdir(parents=True, exist_ok=True)
        self._has: dict[str, tuple[dict[str, set[int]], bool]] = {}

    def add(self, trial: MirroredTrial) -> int:
        folder = self.folder / trial.name
        epochs, ended = self._has.get(trial.name) or _read(folder)
        if ended:
            return 0
        missing = {
            name: [epoch for epoch in values if epoch not in epochs.get(name, ())]
            for name, values in trial.series.items()
        }
        if any(missing.values()) or trial.ended:
            writer = EventFileWriter(str(folder))
            if not epochs:
                params = {name: _flat(value) for name, value in trial.params.items()}
                for value in hparams_pb(params, trial_id=trial.key).value:
                    _write(writer, value, 0)
            for name, steps in missing.items():
                for epoch in steps:
                    _write(writer, Summary.Value(tag=name, simple_value=trial.series[name][epoch]), epoch)
            if trial.ended:
                self._end(writer, trial)
            writer.close()
        has = {name: set(values) | epochs.get(name, set()) for name, values in trial.series.items()}
        self._has[trial.name] = has, trial.ended is not None
        return len(missing[SCORE])

    def _end(self, writer: Any, trial: MirroredTrial) -> None:
        last = trial.last
        for name, result in trial.results.items():
            _write(writer, Summary.Value(tag=name, simple_value=result), last)
        if trial.figure is not None:
            image = Summary.Image(encoded_image_string=trial.figure.read_bytes(), colorspace=3)
            _write(writer, Summary.Value(tag="overlay", image=image), last)
        text = "  \n".join(f"{name}: {note}" for name, note in trial.notes.items())
        tensor = TensorProto(dtype=DT_STRING, tensor_shape=TensorShapeProto(), string_val=[text.encode()])
        plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        _write(writer, Summary.Value(tag=END, metadata=plugin, tensor=tensor), last)


def _read(folder: Path) -> tuple[dict[str, set[int]], bool]:
    """The epochs that a run's files have of each series, and whether its end is there."""
    if not folder.is_dir():
        return {}, False
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 1})
    events.Reload()
    tags = events.Tags()
    found = {name: {event.step for event in events.Scalars(name)} for name in tags["scalars"]}
    return found, END in tags["tensors"]


def _write(writer: Any, value: Any, step: int) -> None:
    writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=[value])))


def _flat(value: Any) -> bool | float | str:
    return value if isinstance(value, bool | int | float | str) else str(value)
