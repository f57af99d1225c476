PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint data bench bench-series clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

demo: $(VENV)/.train  ## learn forest/, label examples/, show where the pictures are
	$(BIN)/python train_anomaly_detector.py --dataset forest --model anomaly_detector.model
	$(BIN)/python test_anomaly_detector.py --model anomaly_detector.model --image examples --output labelled

test: $(VENV)/.dev  ## run all tests
	$(BIN)/python -m pytest

lint: $(VENV)/.dev  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/.dev bench-series  ## measure speed and accuracy beside the peers; writes the README's tables
	$(BIN)/python -m benchmarks.forest --write README.md
	$(BIN)/python -m benchmarks.digits --write README.md

bench-series: $(VENV)/.dev  ## the same for series alone
	$(BIN)/python -m benchmarks.nab --write README.md
	$(BIN)/python -m benchmarks.series --write README.md

data: $(VENV)/.train  ## render forest/ and examples/ again
	$(BIN)/python generate_data.py scenes --output forest --kinds forest --count 24
	$(BIN)/python generate_data.py scenes --output examples --kinds forest coast highway --count 2 --seed 7
	$(BIN)/python generate_data.py series --output examples --variants normal jump

clean:  ## remove the environment and what the demo wrote
	rm -rf $(VENV) anomaly_detector.model labelled

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.train: requirements-train.txt requirements-score.txt | $(VENV)/bin/python
	./install.sh $(BIN)/python requirements-train.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt requirements-train.txt requirements-score.txt requirements-series.txt | $(VENV)/bin/python
	./install.sh $(BIN)/python requirements-dev.txt
	touch $@
