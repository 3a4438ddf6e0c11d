"""Train one run: the loop, its ranks, its batches, its scores, and the model that is kept."""

from trainers.train.arguments import endless_warmup, optimizer_steps
from trainers.train.devices import take_devices, visible_devices
from trainers.train.loop import train
from trainers.train.loss import mean_loss
from trainers.train.predictions import PREDICTIONS, metric_names, score
from trainers.train.rank import train_rank
from trainers.train.trained_model import TextClassifier, load_trained, save_trained

__all__ = [
    "PREDICTIONS",
    "TextClassifier",
    "endless_warmup",
    "load_trained",
    "mean_loss",
    "metric_names",
    "optimizer_steps",
    "save_trained",
    "score",
    "take_devices",
    "train",
    "train_rank",
    "visible_devices",
]
