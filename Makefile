# make book       environment, planted edition (no data, no network), HTML
# make test       environment, the default tests (make test ARGS="-m slow" for the long ones)
# make published  HTML from the committed notebooks; nothing is executed
# make edition EDITION=published   rerun an edition for real: train what is missing, run what is stale
# make verify     recompute the published results and compare
# make check      which published notebooks are stale
# make student    exercise notebooks without solutions, and a zip; make teacher: with solutions and marking notes
# make pdf        the published book as one PDF; make bundle: what a release carries, with checksums
# make explorer DATASET=ml-1m   the explorer over a model of your own machine; never published
#
# PYTHON=python3.12        another interpreter (3.11 or newer)
# TORCH_INDEX=URL          where pip finds the torch wheel, for example the index of CPU wheels

PYTHON ?= python3
EDITION ?= planted
TORCH_INDEX ?=
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
TORCH := $(shell grep '^torch==' constraints.txt)

.PHONY: book test published edition verify check lint clean student teacher pdf bundle explorer

book: $(STAMP)
	$(RUN) -m recsae_core edition planted

test: $(STAMP)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist loadfile -m "not slow" $(ARGS)

published: $(STAMP)
	$(RUN) -m recsae_core html published

edition: $(STAMP)
	$(RUN) -m recsae_core edition $(EDITION)

verify: $(STAMP)
	$(RUN) -m recsae_core verify published

check: $(STAMP)
	$(RUN) -m recsae_core check published

student: $(STAMP)
	$(RUN) book/_make/student.py

teacher: $(STAMP)
	$(RUN) book/_make/student.py --teacher

pdf: $(STAMP)
	$(RUN) book/_make/pdf.py

bundle: $(STAMP)
	$(RUN) book/_make/bundle.py

explorer: $(STAMP)
	$(RUN) book/_make/explorer.py $(DATASET)

lint: $(STAMP)
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .

clean:
	rm -rf _build dist .pytest_cache .ruff_cache .hypothesis

$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is missing or older than 3.11: name a newer one, for example make book PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	$(RUN) -m pip install -c constraints.txt -e ".[book,test]"
	@touch $@
