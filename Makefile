# Two commands for a newcomer: `make pretrain` and `make test`. Each makes the environment it needs.
PYTHON ?= python3
VENV ?= .venv
# Processes of the tests; the tests of a file stay together, for they share models.
WORKERS ?= 2
RUN = $(VENV)/bin/python

.PHONY: pretrain test test-slow check

pretrain: $(VENV)/wikipedia.stamp
	$(RUN) -m hierbert_tf.recipes.pretrain

test: $(VENV)/test.stamp
	$(RUN) -m pytest -m "not slow" --numprocesses $(WORKERS) --dist loadfile

test-slow: $(VENV)/test.stamp
	$(RUN) -m pytest -m slow

check: $(VENV)/test.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(VENV)/%.stamp: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --editable ".[$*]"
	touch $@
