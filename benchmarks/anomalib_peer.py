"""anomalib's PatchCore, as its documentation runs it: the peer of benchmarks/patch_costs.py.

  PYTHON benchmarks/anomalib_peer.py learn WEIGHTS.npz FOLDER MODEL.pt SHARE
  PYTHON benchmarks/anomalib_peer.py label MODEL.pt IMAGE...
  PYTHON benchmarks/anomalib_peer.py batches MODEL.pt FOLDER FOUND.npz

PYTHON is that of an environment with anomalib, which has nothing of the toolkit's. ``learn`` fits
the engine without validation, threshold or pictures, and keeps a SHARE of the patches; ``label``
scores images one by one; ``batches`` scores a folder 32 at a time, twice, prints the CPU seconds
that an image takes the second time, and writes paths, scores and anomaly maps.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

os.environ["TRUST_REMOTE_CODE"] = "1"  # or anomalib does not read the model that it wrote

import numpy as np
import torch
from anomalib.data import Folder, PredictDataset
from anomalib.deploy import ExportType, TorchInferencer
from anomalib.engine import Engine
from anomalib.models import Patchcore

_N_BATCH = 32


def engine(folder: str) -> Engine:
    return Engine(
        default_root_dir=folder, accelerator="cpu", logger=False, enable_progress_bar=False
    )


def with_weights(model: Patchcore, weights: str) -> Patchcore:
    """Give its ResNet-18 these weights, into which the batch normalisation is folded."""
    folded = np.load(weights)
    layers = dict(model.model.feature_extractor.feature_extractor.named_modules())
    with torch.no_grad():
        for name in sorted({name.rpartition(".")[0] for name in folded.files}):
            normalisation = layers[
                name.replace("downsample.0", "downsample.1").replace("conv", "bn")
            ]
            layers[name].weight.copy_(torch.from_numpy(folded[f"{name}.weight"]))
            normalisation.running_mean.zero_()
            normalisation.running_var.fill_(1 - normalisation.eps)
            normalisation.weight.fill_(1)
            normalisation.bias.copy_(torch.from_numpy(folded[f"{name}.bias"]))
    return model


def learn(weights: str, images: str, path: str, share: str) -> None:
    torch.manual_seed(0)
    model = Patchcore(
        backbone="resnet18",
        layers=("layer2", "layer3"),
        pre_trained=False,
        coreset_sampling_ratio=float(share),
        evaluator=False,
        post_processor=False,
        visualizer=False,
    )
    data = Folder(
        "good",
        normal_dir=images,
        test_split_mode="none",
        val_split_mode="none",
        num_workers=0,  # so that all of it is one process, whose memory is counted
    )
    data.setup()
    with tempfile.TemporaryDirectory() as folder:
        trained = engine(folder)
        trained.fit(with_weights(model, weights), train_dataloaders=data.train_dataloader())
        written = trained.export(trained.model, ExportType.TORCH, export_root=folder)
        shutil.move(written, path)


def label(path: str, *images: str) -> None:
    inferencer = TorchInferencer(path, device="cpu")
    with torch.no_grad():
        for image in images:
            print(float(inferencer.predict(image).pred_score))


def batches(path: str, images: str, found: str) -> None:
    model = TorchInferencer(path, device="cpu").model
    dataset = PredictDataset(images)
    with tempfile.TemporaryDirectory() as folder:
        runner = engine(folder)
        for _ in range(2):
            loader = torch.utils.data.DataLoader(
                dataset, batch_size=_N_BATCH, collate_fn=dataset.collate_fn
            )
            before = sum(os.times()[:2])
            predictions = runner.predict(model, dataloaders=loader)
            spent = sum(os.times()[:2]) - before
    print(spent / len(dataset))
    np.savez(
        found,
        paths=[path for batch in predictions for path in batch.image_path],
        scores=torch.cat([batch.pred_score.flatten() for batch in predictions]),
        maps=torch.cat([batch.anomaly_map.squeeze() for batch in predictions]),
    )


if __name__ == "__main__":
    {"learn": learn, "label": label, "batches": batches}[sys.argv[1]](*sys.argv[2:])
