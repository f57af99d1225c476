"""The peer: the train and test scripts of a forest tutorial, as people write them down.

  python benchmarks/tutorial.py train FOLDER MODEL
  python benchmarks/tutorial.py test MODEL IMAGE
  python benchmarks/tutorial.py folder MODEL FOLDER

The first two are its scripts; the third is its loop over a folder, with one prediction for all
images at the end, which is the fastest way to label a folder with it. It pickles its model.
"""

import pickle
import sys
import time

import cv2
import numpy as np
from imutils import paths
from sklearn.ensemble import IsolationForest


def quantify_image(image, bins):
    hist = cv2.calcHist([image], [0, 1, 2], None, bins, [0, 180, 0, 256, 0, 256])
    return cv2.normalize(hist, hist).flatten()


def load_dataset(folder, bins):
    data = []
    for path in paths.list_images(folder):
        image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2HSV)
        data.append(quantify_image(image, bins))
    return np.array(data)


def train(folder, model_path):
    model = IsolationForest(n_estimators=100, contamination=0.01, random_state=42)
    model.fit(load_dataset(folder, bins=(3, 3, 3)))
    with open(model_path, "wb") as file:
        file.write(pickle.dumps(model))


def test(model_path, image_path):
    with open(model_path, "rb") as file:
        model = pickle.loads(file.read())
    image = cv2.imread(image_path)
    features = quantify_image(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), bins=(3, 3, 3))
    label = "anomaly" if model.predict([features])[0] == -1 else "normal"
    colour = (0, 0, 255) if label == "anomaly" else (0, 255, 0)
    cv2.putText(image, label, (10, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, 2)
    print(label)


def folder(model_path, folder_path):
    with open(model_path, "rb") as file:
        model = pickle.loads(file.read())
    started = time.perf_counter()
    labels = model.predict(load_dataset(folder_path, bins=(3, 3, 3)))
    print(time.perf_counter() - started, len(labels))


if __name__ == "__main__":
    {"train": train, "test": test, "folder": folder}[sys.argv[1]](*sys.argv[2:])
