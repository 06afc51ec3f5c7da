# Everything a person or the CI does with this repository. `make help` explains itself.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Idle OpenMP threads sleep instead of spinning: with a busy neighbour two spinning threads are
# many times slower than one.
export OMP_WAIT_POLICY ?= passive

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format types layers plan unit bench gpu-check browser-check bench-kills bench-peers study zoo wheel-check clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is written last: an interrupted installation is taken up again, a complete one is not.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "genzoo needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: $(INSTALLED) ## create .venv and install genzoo and what its tests need

demo: $(INSTALLED) ## train and compare on embedded data; says where the report lies
	$(BIN)/python -m genzoo -m experiment=demo hydra.sweep.dir=outputs/demo/live overwrite=true
	$(BIN)/python -m genzoo -m experiment=demo_zoo hydra.sweep.dir=outputs/demo/zoo overwrite=true
	$(BIN)/python -m genzoo task=compare runs=outputs/demo hydra.run.dir=outputs/demo

test: $(INSTALLED) lint types layers unit ## everything that must pass: lint, types, layers, tests

lint: $(INSTALLED) ## style, with ruff
	$(BIN)/ruff check src tests bench experiments tools
	$(BIN)/ruff format --check src tests bench experiments tools

format: $(INSTALLED) ## mend the style
	$(BIN)/ruff check --fix src tests bench experiments tools
	$(BIN)/ruff format src tests bench experiments tools

types: $(INSTALLED) ## types, with mypy
	$(BIN)/mypy

layers: $(INSTALLED) ## that imports run one way and in no circle, with import-linter
	$(BIN)/lint-imports

plan: $(INSTALLED) ## write the diagram and table of the rooms: docs/rooms.svg, CONTRIBUTING
	$(BIN)/python -m tools.plan

unit: $(INSTALLED) ## the tests alone, a process a core; PYTEST="-k name" chooses
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(PYTEST)

bench: $(INSTALLED) ## measure speed side by side; results in bench/results
	$(BIN)/python -m bench

gpu-check: $(INSTALLED) ## try every family on this machine's GPU, and how fast it is: 8 minutes
	$(BIN)/python -m bench.gpu

$(VENV)/.installed-browser: $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[browser]'
	@touch $@

browser-check: $(VENV)/.installed-browser ## open a comparison's page in this machine's Chromium
	$(BIN)/python -m pytest -m browser tests/e2e/test_report_browser.py $(PYTEST)

bench-kills: $(INSTALLED) ## kill runs of every family and resume them; KILLS="--kills 20 --families vae gan"
	$(BIN)/python -m bench.kills $(KILLS)

$(VENV)/.installed-peers: $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[peers]'
	@touch $@

bench-peers: $(VENV)/.installed-peers ## GAN, flow, diffusion against other libraries; PEERS="--only dcgan,gan"
	$(BIN)/python -m bench.peers $(PEERS)

study: $(INSTALLED) ## test a claim: NAME=gan_balance; SCALE=cpu|gpu; results in experiments/
	$(BIN)/python -m experiments.$(NAME) --scale $(or $(SCALE),cpu)

# A model that has been trained is left alone, an interrupted training goes on: a stop costs little.
DONE := finished: true
define train_for_zoo
	@grep -qs '$(DONE)' outputs/zoo/$(1)/config.yaml && echo "outputs/zoo/$(1): trained" || \
		$(BIN)/python -m genzoo experiment=zoo$(2) hydra.run.dir=outputs/zoo/$(1)
endef
zoo: $(INSTALLED) ## train the small models that come with genzoo: hours; anew where outputs/zoo is gone
	$(call train_for_zoo,glide, model=glide model.inpaint=true budget.images=500000)
	$(call train_for_zoo,glide_16, model=glide data.image_size=16 model.unet.patch=2)
	$(call train_for_zoo,diffusion_16, model=diffusion data.image_size=16 model.unet.patch=2)
	$(call train_for_zoo,clip_16,_clip model=clip)
	$(call train_for_zoo,unclip_16,_unclip model=unclip clip=outputs/zoo/clip_16)
	for name in glide glide_16 diffusion_16 clip_16 unclip_16; do \
		$(BIN)/python -m genzoo task=export checkpoint=outputs/zoo/$$name file=zoo/$$name.safetensors overwrite=true || exit 1; \
	done

wheel-check: $(INSTALLED) ## build the wheel, install it elsewhere, run it from another folder
	$(BIN)/python -m tests.wheel_check

clean: ## remove what was built (not outputs/, not the data cache)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
