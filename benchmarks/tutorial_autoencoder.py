"""The peer: the train and find scripts of an autoencoder tutorial, as people write them down.

  python benchmarks/tutorial_autoencoder.py train DATASET.npz MODEL.keras
  python benchmarks/tutorial_autoencoder.py find DATASET.npz MODEL.keras

Both use the contaminated images as they are; the second prints the average precision of the
true anomalies by squared error over all of them, and how many reach the 0.999 quantile.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split

EPOCHS = 20
BATCH_SIZE = 32
LEARNING_RATE = 1e-3


def build(width, height, depth, filters=(32, 64), latent_dim=16):
    inputs = layers.Input((height, width, depth))
    x = inputs
    for f in filters:
        x = layers.Conv2D(f, 3, strides=2, padding="same")(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
        x = layers.BatchNormalization()(x)
    volume = x.shape[1:]
    x = layers.Dense(latent_dim)(layers.Flatten()(x))
    x = layers.Dense(int(np.prod(volume)))(x)
    x = layers.Reshape(volume)(x)
    for f in filters[::-1]:
        x = layers.Conv2DTranspose(f, 3, strides=2, padding="same")(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
        x = layers.BatchNormalization()(x)
    x = layers.Conv2DTranspose(depth, 3, padding="same", activation="sigmoid")(x)
    return keras.Model(inputs, x)


def read(path):
    with np.load(path) as dataset:
        return dataset["images"].astype("float32") / 255.0, dataset["is_anomaly"]


def train(dataset_path, model_path):
    images, _ = read(dataset_path)
    keras.utils.set_random_seed(42)
    train_x, test_x = train_test_split(images, test_size=0.2, random_state=42)
    autoencoder = build(28, 28, 1)
    autoencoder.compile(loss="mse", optimizer=keras.optimizers.Adam(LEARNING_RATE))
    autoencoder.fit(
        train_x,
        train_x,
        validation_data=(test_x, test_x),
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        verbose=0,
    )
    autoencoder.save(model_path)


def find(dataset_path, model_path):
    images, is_anomaly = read(dataset_path)
    decoded = keras.models.load_model(model_path).predict(images, verbose=0)
    errors = np.mean((images - decoded) ** 2, axis=(1, 2, 3))
    flagged = errors >= np.quantile(errors, 0.999)
    print(average_precision_score(is_anomaly, errors), int(flagged.sum()))


if __name__ == "__main__":
    {"train": train, "find": find}[sys.argv[1]](*sys.argv[2:])
