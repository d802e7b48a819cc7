# Python that makes .venv: any of 3.10 or newer (a sourced ROS 2 wants the one it was built for).
PYTHON ?= python3
BAG ?=
ARGS ?=

.PHONY: help setup build test lint demo clean
help:
	@echo "make setup              .venv with ROS 2 (the sourced one, else from wheels) and all requirements"
	@echo "make build              messages and package into .venv; .venv/bin/tao-lora then runs"
	@echo "make test [ARGS=...]    build, then every test with coverage"
	@echo "make lint               ruff and mypy"
	@echo "make demo [BAG=...]     build, then the demonstration, on a bag of your own if given"
	@echo "make clean              remove everything made here"

setup:
	@$(PYTHON) tools/setup_environment.py setup

build:
	@$(PYTHON) tools/setup_environment.py build

# The path is for a sourced ROS 2, whose Python does not look into .venv/lib for the messages' libraries.
test: build
	@LD_LIBRARY_PATH="$(CURDIR)/.venv/lib:$$LD_LIBRARY_PATH" .venv/bin/python -m pytest \
	  --cov --cov-report=term-missing:skip-covered $(ARGS)

lint: setup
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/python -m mypy

demo: build
	@.venv/bin/tao-lora demo $(if $(BAG),"$(BAG)")

clean:
	@rm -rf .venv build install log dist out *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +
