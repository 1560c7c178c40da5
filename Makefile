# `make help` lists what there is. Every target sets up the environment it needs; `dvc repro` stays the plain equivalent.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

START := $(shell date +%s)
# Folders may have spaces in their names: paths stand in quotes, and none is the name of a target.
ENV := $(or $(VIRTUAL_ENV),$(CONDA_PREFIX),$(CURDIR)/.venv)
export PATH := $(ENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
NB := python -m more_repro.nb
# What editors write into a notebook, beside outputs.
EDITOR := $(addprefix metadata.language_info.,version codemirror_mode file_extension mimetype nbconvert_exporter \
	pygments_lexer) $(addprefix cell.metadata.,editable vscode slideshow)
STRIP := nbstripout --keep-id --extra-keys "$(EDITOR)"
# Tests of one file share costly fixtures, and so a process.
PYTEST := python -m pytest -n logical --maxprocesses 8 --dist loadfile
SIDE_BY_SIDE := --no-print-directory --keep-going --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: help reproduce test check quick style types layers env doctor lab use publish status lock notebooks accept clean

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

reproduce: env  ## run the pipeline of params.yaml; KEEP_GOING=1 goes on after a failed stage
	@$(NB) doctor || true
	@tools/reproduce $(START)

test: env  ## all tests, the slow ones too
	@$(PYTEST)

check: env  ## style, types, layers and quick tests, side by side: two minutes
	@$(MAKE) $(SIDE_BY_SIDE) quick style types layers

quick:
	@$(PYTEST) -m "not slow"

style:
	@ruff check .
	@ruff format --check .
	@$(STRIP) --verify notebooks/*.ipynb

types:
	@mypy

layers:
	@lint-imports

env:  ## the environment: the active one, else .venv
	@tools/env "$(ENV)"

doctor: env  ## machine, packages and caches in one table
	@$(NB) doctor

lab: env  ## open the notebooks in JupyterLab
	@$(NB) lab

use: env  ## make a preset active: make use PROFILE=tiny|small|study|paper|own (FORCE=1 drops edits)
	@$(NB) use $(or $(PROFILE),$(error which one? make use PROFILE=tiny|small|study|paper|own)) $(if $(FORCE),--force)

publish: env  ## the whole report as a folder for a web site or a release: make publish FOLDER=site
	@$(NB) publish --site "$(or $(FOLDER),site)"

status: env  ## which stages an edit would run
	@dvc repro --quiet code inputs
	@dvc status

lock:  ## write requirements.lock from the present environment
	@$(NB) lock

notebooks: env  ## bring the notebooks into the form that git holds
	@$(STRIP) notebooks/*.ipynb

accept: env  ## keep the results of a stage after an edit that cannot change them: make accept STAGE=name
	@dvc repro --quiet code inputs
	@dvc commit --force $(or $(STAGE),$(error which one? make accept STAGE=name, as `dvc stage list` shows it))

clean:  ## remove caches, logs and unfinished work (checkpoints too); results stay
	rm -rf .scratch .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
