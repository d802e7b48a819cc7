# Python that makes .venv: any of 3.10 or newer (a sourced ROS 2 wants the one it was built for).
PYTHON ?= python3
# Without a sourced ROS 2: jazzy or kilted. Another one makes .venv anew.
export ROS_WHEELS ?= jazzy
BAG ?=
ARGS ?=

PART ?= events
JSON ?=

.PHONY: help setup build test test-arm64 lint trust fuzz fleet sbom audit demo bench model docs linkcheck pictures clean
help:
	@echo "make setup              .venv with ROS 2 (the sourced one, else from wheels) and all requirements"
	@echo "make build              messages and package into .venv; .venv/bin/tao-lora then runs"
	@echo "make test [ARGS=...]    build, then every test with coverage"
	@echo "make lint               ruff and mypy"
	@echo "make trust [SECONDS=30] faults of every kind into the running node; fails where one is lost or unsaid"
	@echo "make fuzz [SECONDS=60]  every reader of foreign bytes, guided by coverage"
	@echo "make fleet [ARGS=...]   many bags give what they give one by one, on processes, on Ray, killed at random"
	@echo "make test-arm64 [ARGS=...]   unit tests on an emulated ARM64; as root, slow"
	@echo "make sbom | make audit  what is installed, with licences; what is known to be vulnerable in it"
	@echo "make demo [BAG=...]     build, then the demonstration, on a bag of your own if given"
	@echo "make bench PART=events|accuracy|latency|node [JSON=FILE] [ARGS=...]   ours beside peers"
	@echo "make model              simulate and train the artifact that ships, anew"
	@echo "make docs               the documentation's site, out/docs/html; fails at any warning"
	@echo "make linkcheck          the links of the site that lead elsewhere"
	@echo "make pictures           the pictures of README and docs, anew, by a headless Chromium"
	@echo "make clean              remove everything made here"

setup:
	@$(PYTHON) tools/setup_environment.py setup

build:
	@$(PYTHON) tools/setup_environment.py build

# The path is for a sourced ROS 2, whose Python does not look into .venv/lib for the messages' libraries.
# First what needs no nodes, a worker a core; then what does, alone, for nodes answer in time or lose
# messages. 5: pytest was given no test of that kind.
PYTEST := OMP_NUM_THREADS=1 LD_LIBRARY_PATH="$(CURDIR)/.venv/lib:$$LD_LIBRARY_PATH" .venv/bin/python -m pytest --cov
test: build
	@$(PYTEST) --cov-report= -n auto --dist loadfile -m "not ros and not launch" $(ARGS) || [ $$? = 5 ]
	@$(PYTEST) --cov-append --cov-report=term-missing:skip-covered -m "ros or launch" $(ARGS) || [ $$? = 5 ]

test-arm64: setup
	@tools/test_arm64.sh $(ARGS)

lint: setup
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/python -m mypy

# Not on CI: a quarter of an hour. The suite has a slice of it.
trust: build
	@.venv/bin/python -m pip install -q -c requirements/constraints.txt -r requirements/fuzz.txt
	@PYTHONPATH=test LD_LIBRARY_PATH="$(CURDIR)/.venv/lib:$$LD_LIBRARY_PATH" OMP_NUM_THREADS=1 \
	  .venv/bin/python -m trust.run $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

fuzz: build
	@.venv/bin/python -m pip install -q -c requirements/constraints.txt -r requirements/fuzz.txt
	@PYTHONPATH=test OMP_NUM_THREADS=1 .venv/bin/python -m fuzz.run $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

# Not on CI: half an hour.
fleet: build
	@.venv/bin/python -m pip install -q -c requirements/constraints.txt -r requirements/fleet.txt
	@PYTHONPATH=test LD_LIBRARY_PATH="$(CURDIR)/.venv/lib:$$LD_LIBRARY_PATH" .venv/bin/python -m fleets.run $(ARGS)

# The tools lie apart: what they list is .venv.
AUDIT := out/audit
sbom: build $(AUDIT)
	@$(AUDIT)/bin/cyclonedx-py environment .venv/bin/python --of JSON --output-reproducible -o out/sbom.json

audit: build $(AUDIT)
	@$(AUDIT)/bin/pip-audit --path .venv/lib/python*/site-packages

$(AUDIT): requirements/audit.txt
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip install -q -r requirements/audit.txt
	@touch $(AUDIT)

demo: build
	@.venv/bin/tao-lora demo $(if $(BAG),"$(BAG)")

bench: build
	@.venv/bin/python -m pip install -q -c requirements/constraints.txt -r requirements/benchmark.txt
	@.venv/bin/python -m pip install -q --no-deps -r requirements/benchmark-no-deps.txt
	@PYTHONPATH=test .venv/bin/python -m benchmark.run $(PART) $(if $(JSON),--json "$(JSON)") $(ARGS)

# One thread is the fastest where cores are shared, and makes the weights come out the same.
MODEL := tao_lora_ros/model/artifacts/arm_base
model: build
	@rm -rf out/model
	@.venv/bin/tao-lora simulate out/model/train --runs 20 --duration 60 --seed 1000
	@.venv/bin/tao-lora simulate out/model/steady --runs 40 --duration 60 --seed 9100 --steady
	@.venv/bin/tao-lora simulate out/model/events --runs 60 --duration 60 --seed 1100
	@.venv/bin/tao-lora simulate out/model/presses --runs 36 --duration 60 --seed 1200 --presses
	@OMP_NUM_THREADS=1 .venv/bin/tao-lora train out/model/train --steady out/model/steady --out out/model/arm_base
	@OMP_NUM_THREADS=1 .venv/bin/tao-lora name out/model/arm_base out/model/train out/model/events out/model/presses
	@cp out/model/arm_base/model.json out/model/arm_base/*.safetensors $(MODEL)

# Sphinx wants other versions than ROS: an environment of its own, with what .venv has behind it.
DOCS := out/docs/env
docs: build $(DOCS)
	@$(DOCS)/bin/sphinx-build -q -W --keep-going docs out/docs/html
	@echo "$(CURDIR)/out/docs/html/index.html"

linkcheck: build $(DOCS)
	@$(DOCS)/bin/sphinx-build -q -b linkcheck docs out/docs/links

$(DOCS): requirements/docs.txt
	@$(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/pip install -q -r requirements/docs.txt
	@cd $(DOCS)/lib/python*/site-packages && ls -d "$(CURDIR)"/.venv/lib/python*/site-packages > package.pth
	@touch $(DOCS)

pictures: build
	@.venv/bin/python tools/make_pictures.py

clean:
	@rm -rf .venv build install log dist out *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +
