# Two commands from a fresh clone: `make book` builds, `make test` checks. No target needs another step before it.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
V := .venv/bin
# One thread: two on a small shared machine made small networks up to 16 times slower, and sums would differ.
export OMP_NUM_THREADS = 1
export GENKIT_BOOK = 1
export PIP_REQUIRE_VIRTUALENV = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
unexport PYTHONPATH

PINS = -r requirements.txt -c constraints.txt
NEWEST_PINS = -r <(sed -E 's/^(jupyter-book)==.*/\1<2/; s/^([A-Za-z0-9_.-]+)==.*/\1/' requirements.txt)
CHOSEN_PINS = $(if $(NEWEST),$(NEWEST_PINS),$(PINS))
INSTALLED := .venv/.installed-$(shell cat requirements.txt constraints.txt | cksum | cut -d' ' -f1)$(NEWEST)

.DEFAULT_GOAL := help
.PHONY: help install pages site notebooks book sync lint units replay test committed stability bench resolve constraints clean

help:  ## show this list
	@sed -nE 's/^([a-z]+):.*  ## (.*)/  make \1\t\2/p' Makefile | expand -t 20

$(INSTALLED):
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("This book needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is %d.%d: say make PYTHON=python3.11 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(V)/python -m pip install -q $(CHOSEN_PINS)
	@rm -f .venv/.installed-*; touch $@

install: $(INSTALLED)  ## install the pinned packages into .venv

pages: $(INSTALLED)  ## execute the pages whose code, genkit or pins changed
	$(V)/python -m tools.execute $(if $(FRESH),--force)

site: pages  ## the site alone, in _build/html
	$(V)/jupyter-book build . -W -n --keep-going -q
	$(V)/python -m tools.offline
	$(V)/python -m tools.site_check _build/html

notebooks: site  ## write notebooks/ from the executed pages
	$(V)/python -m tools.notebooks

book: notebooks  ## build the whole book (FRESH=1: execute every page, known outputs or not)
	@echo "The book is built. Open file://$(CURDIR)/_build/html/index.html in a browser."

sync: $(INSTALLED)  ## write the .py pairs from the .md pages
	$(V)/python -m tools.pairs --sync

# An exercise may end with a bare expression and import late; wrong answers redefine names; judges are given np.
BANK_RULES = --ignore B018,E402,E501,B007,F811,F821
lint: $(INSTALLED)  ## style, types, spelling, pairs in step
	@failed=; for tool in "ruff check ." "ruff format --check ." "mypy genkit classroom tools" codespell \
	  "python -m tools.pairs"; do $(V)/$$tool || failed="$$failed; $$tool"; done; \
	  $(V)/jupytext --quiet --from md:myst --pipe-fmt py:percent --check "$(V)/ruff check -q $(BANK_RULES) -" \
	    exercises/*/*.md || failed="$$failed; ruff on the exercises"; \
	  [ -z "$$failed" ] || { echo "lint: these failed: $${failed#; }"; exit 1; }

units: $(INSTALLED)  ## tests of the package, the tools, the classroom, the pages, the site in a browser
	$(V)/python -m pytest tests -n 2 --dist loadfile

replay: $(INSTALLED)  ## run the notebooks as Colab runs them, and compare every output
	$(V)/python -m tools.replay

# One stage that fails does not hide the next; at the end all that failed are named.
STAGES = lint book units replay
test: $(INSTALLED)  ## every stage: lint, book, units, replay
	@echo "=== $$(. /etc/os-release 2>/dev/null && echo "$$PRETTY_NAME" || uname -sr); $$($(V)/python -V); $$( \
	  for b in chromium chromium-browser google-chrome; do $$b --version 2>/dev/null && exit; done; echo no Chromium)"
	@failed=; for stage in $(STAGES); do start=$$SECONDS; echo "=== $$stage"; \
	  $(MAKE) --no-print-directory $$stage || failed="$$failed $$stage"; \
	  echo "=== $$stage: $$((SECONDS - start)) s"; done; \
	  [ -z "$$failed" ] || { echo "=== FAILED:$$failed"; exit 1; }; echo "=== all stages passed: $(STAGES)"

stability: $(INSTALLED)  ## rerun every claim under other splits of the digits and other seeds (half an hour)
	$(V)/python -m tools.stability

committed:  ## that the committed notebooks are what the pages give (after make book)
	@test -z "$$(git status --porcelain notebooks)" || { git status --short notebooks; \
	  echo "notebooks/ is out of date: run make book and commit it"; exit 1; }

bench: $(INSTALLED)  ## time the line from clean, and weigh the pages
	$(V)/python -m tools.bench

resolve: $(INSTALLED)  ## show that the pins resolve on Python 3.11, 3.12 and 3.13
	for v in 3.11.0 3.12.0 3.13.0; do $(V)/python -m pip install -q --dry-run --ignore-installed --python-version $$v \
	  --only-binary=:all: --target _build/resolve $(PINS) && echo "Python $$v: the pins resolve" || exit 1; done

constraints:  ## resolve requirements.txt anew and write constraints.txt
	rm -rf _build/resolve && $(PYTHON) -m venv _build/resolve && _build/resolve/bin/pip install -q -r requirements.txt
	(echo "# The whole resolved set (Python 3.11 to 3.13). Remade by: make constraints"; \
	  _build/resolve/bin/pip freeze --all | grep -v '^pip==' | sed -E 's/^(torch==[0-9.]+)\+.*/\1/') > constraints.txt

clean:  ## remove what was built; what is installed stays
	rm -rf _build
