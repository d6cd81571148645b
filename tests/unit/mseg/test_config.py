"""From flat dotted names to a typed config, and every mistake in one line."""

import math
from typing import Any

import pytest

from search.errors import SpaceError
from search.mseg import configure, describe
from search.mseg.config import SETTINGS, Config


def test_flat_names_reach_their_sections() -> None:
    config = configure(
        {
            "data.source": "drawn",
            "data.eval_size": "train",
            "optimizer.learning_rate": 1e-3,
            "schedule.kind": "warm_restarts",
            "schedule.restart_epochs": 20,
            "loss.dice_weight": 2,
            "trainer.patience": None,
        }
    )
    assert config.data.source == "drawn"
    assert config.optimizer.learning_rate == 1e-3
    assert (config.schedule.kind, config.schedule.restart_epochs) == ("warm_restarts", 20)
    assert config.loss.dice_weight == 2.0
    assert config.trainer.patience is None
    assert config.trainer.batch_size == 32  # absent: its default


def test_a_config_survives_the_way_there_and_back() -> None:
    config = configure({"data.source": "drawn", "trainer.ema": 0.99, "model.dropout": 0.1})
    params = config.to_params()
    assert set(params) == set(SETTINGS)
    assert Config.from_params(params) == config


def test_a_config_cannot_be_changed() -> None:
    config = configure({})
    with pytest.raises(Exception, match="frozen"):
        config.trainer.epochs = 3  # type: ignore[misc]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    # parameters, the name that is at fault, a part of the sentence
    ({"optimizer.learning_rat": 1e-3}, "optimizer.learning_rat", "did you mean 'optimizer.learning_rate'?"),
    ({"optimiser.weight_decay": 1e-3}, "optimiser.weight_decay", "did you mean 'optimizer.weight_decay'?"),
    ({"optimizer.lr": 1}, "optimizer.lr", "optimizer has kind, learning_rate, weight_decay"),
    ({"zzz": 1}, "zzz", "there are the sections data, augment"),
    ({"zzz.learning_rate": 1}, "zzz.learning_rate", "there are the sections data, augment"),
    ({"optim.learning_rate": 1}, "optim.learning_rate", "did you mean 'optimizer.learning_rate'?"),
    ({"optimizer": {"learning_rate": 1}}, "optimizer", "no such setting"),
    ({"optimizer.learning_rate.x": 1}, "optimizer.learning_rate.x", "no such setting"),
    ({"optimizer.learning_rate": 0}, "optimizer.learning_rate", "0 should be greater than 0"),
    ({"optimizer.learning_rate": "fast"}, "optimizer.learning_rate", "'fast' should be a valid number"),
    ({"optimizer.learning_rate": "1e-3"}, "optimizer.learning_rate", "'1e-3' should be a valid number"),
    ({"optimizer.learning_rate": True}, "optimizer.learning_rate", "true should be a valid number"),
    ({"optimizer.learning_rate": None}, "optimizer.learning_rate", "null should be a valid number"),
    ({"optimizer.learning_rate": math.nan}, "optimizer.learning_rate", "nan should be"),
    ({"optimizer.learning_rate": math.inf}, "optimizer.learning_rate", "inf should be a finite number"),
    ({"optimizer.weight_decay": -1e-4}, "optimizer.weight_decay", "-0.0001 should be greater than or"),
    ({"optimizer.kind": "adamv"}, "optimizer.kind", "'adamv' is not one of adamw, muon, sgd (did you"),
    ({"schedule.kind": "cosin"}, "schedule.kind", "did you mean 'cosine'?"),
    ({"schedule.kind": 3}, "schedule.kind", "3 should be a valid string"),
    ({"schedule.warmup_epochs": 2.5}, "schedule.warmup_epochs", "2.5 should be a valid integer"),
    ({"schedule.warmup_epochs": -1}, "schedule.warmup_epochs", "-1 should be"),
    ({"schedule.warmup_epochs": 9, "trainer.epochs": 9}, "schedule.warmup_epochs", "9 is not below"),
    ({"schedule.restart_epochs": 0}, "schedule.restart_epochs", "0 should be"),
    ({"schedule.restart_factor": [1, 2]}, "schedule.restart_factor", "[1, 2] should be a valid integer"),
    ({"model.kind": "unett"}, "model.kind", "'unett' is not one of deeplab, import, microsegformer, unet"),
    ({"model.dropout": 1.5}, "model.dropout", "1.5 should be"),
    ({"model.lmsa": "yes"}, "model.lmsa", "'yes' should be a valid boolean"),
    ({"loss.kind": "focal"}, "loss.kind", "no such setting; loss has ce_weight"),
    ({"loss.dice_weight": -0.5}, "loss.dice_weight", "-0.5 should be"),
    ({"data.source": "web"}, "data.source", "'web' is not one of drawn, folder"),
    ({"data.image_size": 100}, "data.image_size", "100 should be a multiple of 8, 32 to 8192, or such"),
    ({"data.image_size": [64, 64, 64]}, "data.image_size", "such sides as [height, width]"),
    ({"data.image_size": [64, 60]}, "data.image_size", "[64, 60] should be a multiple of 8"),
    ({"data.image_size": "64 x 96"}, "data.image_size", "such sides as [height, width]"),
    ({"data.image_size": True}, "data.image_size", "such sides as [height, width]"),
    ({"data.fit": "crop"}, "data.fit", "'resize' or 'pad'"),
    ({"data.eval_size": "big"}, "data.eval_size", "'big' should be 8 to 8192, or such sides as"),
    ({"data.train_limit": 0}, "data.train_limit", "0 should be"),
    ({"augment.flip": 1.01}, "augment.flip", "1.01 should be"),
    ({"augment.hue": "often"}, "augment.hue", "'often' should be a valid number"),
    ({"augment.noise_sd": -0.1}, "augment.noise_sd", "-0.1 should be greater than or equal to 0"),
    ({"augment.fill": "black"}, "augment.fill", "'black' should be 'background' or 'ignored'"),
    ({"augment.blurr": 0.5}, "augment.blurr", "did you mean 'augment.blur'?"),
    ({"augment.crop_area_min": 0.6, "augment.crop_area_max": 0.5}, "augment.crop_area_max",
     "0.5 is below augment.crop_area_min 0.6; make it larger"),
    ({"augment.blur_sigma_min": 3.0}, "augment.blur_sigma_max", "2.0 is below augment.blur_sigma_min 3.0"),
    ({"trainer.epochs": 0}, "trainer.epochs", "0 should be"),
    ({"trainer.batch_size": "32"}, "trainer.batch_size", "'32' should be a valid integer"),
    ({"trainer.patience": 0}, "trainer.patience", "0 should be"),
    ({"trainer.ema": 1.0}, "trainer.ema", "1.0 should be less than 1"),
    ({"trainer.grad_clip": 0.0}, "trainer.grad_clip", "0.0 should be greater than 0"),
    ({"trainer.precision": "float16"}, "trainer.precision", "'float16' should be 'auto', 'float32' or"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "name", "part"), WRONG, ids=[f"{w[1]}-{i}" for i, w in enumerate(WRONG)]
)
def test_a_mistake_is_one_line_with_place_value_and_remedy(
    params: dict[str, Any], name: str, part: str
) -> None:
    with pytest.raises(SpaceError) as raised:
        configure(params)
    message = str(raised.value)
    assert message.startswith(f"{name}: ")
    assert part in message
    assert "\n" not in message
    assert raised.value.parameter == name


def test_describe_counts_the_models_parameters() -> None:
    found = describe(configure({"data.source": "drawn", "data.image_size": 32}), None)
    assert (found.parameters, found.classes) == (1_747_923, 19)
