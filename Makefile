# `make help` lists what there is. Every target sets up the environment it needs; `dvc repro` stays the plain equivalent.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

START := $(shell date +%s)
ENV := $(or $(VIRTUAL_ENV),$(CONDA_PREFIX),$(CURDIR)/.venv)
STAMP := $(ENV)/.more-repro-env
export PATH := $(ENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
NB := python -m more_repro.nb

.PHONY: help reproduce test check env doctor use lock deps notebooks accept clean

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

reproduce: env  ## run the pipeline of params.yaml; KEEP_GOING=1 goes on after a failed stage
	@$(NB) doctor || true
	@tools/reproduce $(START)

test: env  ## all tests, the slow ones too
	@python -m pytest

check: env  ## style, types, layers, notebooks, stage deps, quick tests: minutes
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports
	@$(NB) normalise --check notebooks/*.ipynb
	@$(NB) deps
	@python -m pytest -m "not slow and not gpu"

env: $(STAMP)  ## the environment: the active one, else .venv

$(STAMP): requirements.lock pyproject.toml
	@tools/env $(ENV)
	@touch $@

doctor: env  ## machine, packages and caches in one table
	@$(NB) doctor

use: env  ## make a preset active: make use PROFILE=tiny|small|study|paper|own (FORCE=1 drops edits)
	@$(NB) use $(or $(PROFILE),$(error which one? make use PROFILE=tiny|small|study|paper|own)) $(if $(FORCE),--force)

lock:  ## write requirements.lock from the present environment
	@$(NB) lock

deps: env  ## write the module deps of dvc.yaml
	@$(NB) deps --write

notebooks: env  ## bring the notebooks into the form that git holds
	@$(NB) normalise notebooks/*.ipynb

accept: env  ## keep the results of a stage after an edit that cannot change them: make accept STAGE=name
	@dvc commit --force $(or $(STAGE),$(error which one? make accept STAGE=name, as `dvc stage list` shows it))

clean:  ## remove caches, logs and unfinished work (checkpoints too); results stay
	rm -rf .scratch .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
