PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

SECONDS ?= 60
JOBS ?= $(shell nproc)
# One more than there are cores: tests of killed scripts and of clusters wait most of their time.
WORKERS ?= $(shell expr $(JOBS) + 1)

BUILDER ?= docker

.PHONY: help demo demo-production container test test-unit test-portable fuzz kill station lint docs data bench bench-series bench-production bench-patches bench-contamination bench-folders bench-serving bench-scaling bench-shifts bench-verdicts clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

demo: $(VENV)/.train  ## learn forest/, label examples/, show where the pictures are
	$(BIN)/python train_anomaly_detector.py --dataset forest --model anomaly_detector.model
	$(BIN)/python test_anomaly_detector.py --model anomaly_detector.model --image examples --output labelled

demo-production: $(VENV)/.whole  ## render parts, make defects, learn, choose a threshold, label
	$(BIN)/python generate_data.py parts --output production/parts
	$(BIN)/python generate_data.py defects --backgrounds production/parts/test/good --output production/faulty --n-samples 1 --n-objects 1
	$(BIN)/python train_autoencoder.py --architecture denoising --dataset production/parts/train/good --model production/parts.model --image-size 96 --epochs 12 --vis production/recon_vis.png --plot production/plot.png
	$(BIN)/python generate_validation_metrics.py --model production/parts.model --normal production/parts/test/good --anomalous production/faulty/test --masks production/faulty/ground_truth --plot production/histogram.png --update
	$(BIN)/python test_anomaly_detector.py --model production/parts.model --dataset production/faulty/test --csv production/labels.csv --output production/labelled

container:  ## build the container that labels images; BUILDER=podman or buildah without Docker
	$(BUILDER) build --tag anomaly --file deploy/Dockerfile .

test: $(VENV)/.dev  ## run all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-unit: $(VENV)/.dev  ## run the tests of single modules, which takes a minute
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests/unit

test-portable: $(VENV)/.dev  ## the tests of workers, files and scripts, as on a system that is not Unix
	PYTHONPATH=tests/helpers/other_system $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/unit/runtime tests/unit/cli tests/unit/data/test_followed_lines.py tests/cli

fuzz: $(VENV)/.dev  ## read files that are wrong in every way, SECONDS=3600 for an hour; prints how many
	$(BIN)/python -m tests.system.fuzz --seconds $(SECONDS) --jobs $(JOBS) --seed $(or $(SEED),0)

kill: $(VENV)/.dev  ## kill every script at random moments, KILLS=30 times; prints what the next run did not mend
	$(BIN)/python -m tests.system.kills --kills $(or $(KILLS),30) --seed $(or $(SEED),0)

station: $(VENV)/.dev  ## send parts to a server whose broker, and which itself, is killed meanwhile
	$(BIN)/python -m tests.system.station --target $(or $(TARGET),mqtt) --seed $(or $(SEED),0)

lint: $(VENV)/.dev  ## check style, layers, the container, and the links of the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/rumdl check --isolated --no-cache --enable MD051,MD057 README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md docs

bench: $(VENV)/.dev bench-series bench-patches bench-folders  ## measure speed and accuracy next to the peers; writes docs/benchmarks.md
	$(BIN)/python -m benchmarks.forest --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.digits --write docs/benchmarks.md

bench-series: $(VENV)/.dev  ## the same for series alone
	$(BIN)/python -m benchmarks.nab --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.series --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.series_verdicts --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.many_series --write docs/benchmarks.md

bench-production: $(VENV)/.dev  ## the same of the denoising autoencoder on real parts; takes twenty minutes
	$(BIN)/python -m benchmarks.production --write docs/benchmarks.md

bench-patches: $(VENV)/.dev  ## the same for deep patch features; installs anomalib, several GB, and takes an hour
	$(BIN)/python -m benchmarks.patches --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.scenes --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.small_folders --write docs/benchmarks.md

bench-contamination: $(VENV)/.dev  ## the same for defects among the training images; takes half an hour
	$(BIN)/python -m benchmarks.contamination --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.contamination --write docs/benchmarks.md --method auto

bench-serving: $(VENV)/.dev  ## the server under load; needs wrk
	$(BIN)/python -m benchmarks.serving --write docs/benchmarks.md

bench-folders: $(VENV)/.dev  ## the same for folders of any size
	$(BIN)/python -m benchmarks.folders --write docs/benchmarks.md

bench-scaling: $(VENV)/.dev  ## what an image costs in each place; writes docs/scaling.md
	$(BIN)/python -m benchmarks.scaling --write docs/scaling.md

bench-shifts: $(VENV)/.dev  ## how often batches, and lines, are said to have shifted, rightly and wrongly
	$(BIN)/python -m benchmarks.shifts --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.lights --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.single_lights --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.drift --write docs/benchmarks.md

bench-verdicts: $(VENV)/.dev  ## whether false alarms and false discoveries are as few as promised; takes an hour
	$(BIN)/python -m benchmarks.verdicts --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.verdicts_plot
	$(BIN)/python -m benchmarks.stream_discoveries --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.extrapolation --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.groups --write docs/benchmarks.md

docs: $(VENV)/.docs  ## make a site of README, docs/ and the docstrings in site/; a link to nowhere is an error
	rm -rf site
	$(BIN)/python -m sphinx -q -E -W --keep-going -c docs -d $(VENV)/doctrees . site
	@echo "[INFO] open site/index.html"

data: $(VENV)/.train  ## render forest/ and examples/ again
	$(BIN)/python generate_data.py scenes --output forest --kinds forest --count 24
	$(BIN)/python generate_data.py scenes --output examples --kinds forest coast highway --count 2 --seed 7
	$(BIN)/python generate_data.py series --output examples --variants normal jump

clean:  ## remove the environment and what the demo wrote
	rm -rf $(VENV) anomaly_detector.model labelled production site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Python compiles what is imported; to compile all 13,000 modules of the tests takes pip half a minute.
$(VENV)/.train: requirements-train.txt requirements-score.txt | $(VENV)/bin/python
	./install.sh $(BIN)/python requirements-train.txt --no-compile
	touch $@

$(VENV)/.whole: requirements.txt requirements-autoencoders.txt requirements-train.txt requirements-score.txt requirements-series.txt requirements-report.txt | $(VENV)/bin/python
	./install.sh $(BIN)/python requirements.txt --no-compile
	touch $@

$(VENV)/.docs: requirements-docs.txt requirements-train.txt requirements-score.txt requirements-series.txt | $(VENV)/bin/python
	./install.sh $(BIN)/python requirements-docs.txt --no-compile
	touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt requirements-autoencoders.txt requirements-cluster.txt requirements-docs.txt requirements-heic.txt requirements-serve.txt requirements-tables.txt requirements-train.txt requirements-score.txt requirements-series.txt requirements-report.txt | $(VENV)/bin/python
	./install.sh $(BIN)/python requirements-dev.txt --no-compile
	touch $@
