# Every target says which `pulumi` command it runs; `make shell` opens a shell where plain `pulumi` works as well.
STACK ?= dev
OUT   ?= build/$(STACK)
# The dev stack runs in the lab (a hypervisor of its own), and with LAB=1 any other stack does, beside it;
# without it, another stack uses the libvirt that its settings name.
WHERE ?= $(if $(or $(LAB),$(filter dev,$(STACK))),,--own-libvirt)
PY    := .venv/bin/python

.PHONY: help up preview status stop start output down shell toolchain image release hypervisor render topology reference media lint test test-fast test-extended test-tools clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'
	@echo "  STACK=name picks the stack (default dev: runs anywhere, in the lab); LAB=1 puts another one into the lab as well"

up: ## bring the stack up: sets up all that is missing, then `pulumi up`
	@python3 -m lab.stack up $(STACK) $(WHERE)

preview: ## what `up` would change (`pulumi preview --diff`)
	@python3 -m lab.stack preview $(STACK) $(WHERE)

status: ## services, mirror, machines and cluster in a table (WATCH=5 repeats it every 5 s)
	@python3 -m lab.stack status $(STACK) $(WHERE) $(if $(WATCH),--watch $(WATCH))

stop: ## shut the cluster down in good order, the services host last
	@python3 -m lab.stack stop $(STACK) $(WHERE) $(if $(FORCE),--force)

start: ## start what `stop` shut down, until every node is Ready
	@python3 -m lab.stack start $(STACK) $(WHERE)

output: ## the stack's outputs as JSON, secrets masked
	@python3 -m lab.stack output $(STACK) $(WHERE)

down: ## destroy the stack, stop the lab with its last stack, leave nothing (a protected registry's volume only with ALL=1)
	@python3 -m lab.stack down $(STACK) $(WHERE) $(if $(ALL),--all)

shell: ## a shell where plain `pulumi` and `virsh` commands work on the stack
	@python3 -m lab.stack shell $(STACK) $(WHERE)

toolchain: ## Debian packages, .venv, the Pulumi CLI and its plugins, into .venv and .lab
	@python3 -m lab.toolchain up

image: toolchain ## the lab's images: services host and miniature boot image
	@python3 -m lab.image build

release: image ## the lab's miniature release, with the real oc and openshift-install
	@python3 -m lab.release build

hypervisor: toolchain ## start the lab's libvirt alone
	@python3 -m lab.hypervisor up

render: .venv ## write every file of a stack as it would be delivered, secrets redacted, into OUT=dir
	@$(PY) -m cluster.review --stack $(STACK) --out $(OUT)

topology: .venv ## draw the stack as SVG: dev into docs/topology.svg, any other stack into OUT=dir
	@$(PY) -m cluster.topology --stack $(STACK) --out $(if $(filter dev,$(STACK)),docs,$(OUT))/topology.svg

reference: .venv ## write docs/settings.md and the JSON Schema of the settings from their models
	@$(PY) -m cluster.reference

media: .venv ## save the stack's release to removable media mounted at OUT=dir (PULL_SECRET=file, OC=path)
	@mkdir -p build
	@$(PY) -m cluster.media --stack $(STACK) --directory $(OUT) \
		$(if $(PULL_SECRET),--pull-secret $(PULL_SECRET)) $(if $(OC),--oc $(OC)) > build/media.json
	@PYTHONPATH=scripts python3 -m okd_host media-save < build/media.json

.venv: requirements.txt requirements-dev.txt
	@python3 -m lab.toolchain up --only venv --tests
	@touch .venv

lint: .venv ## ruff, ruff format and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

# Files of tests run side by side, in their usual order; what boots machines runs one after the other.
# Tests that boot none wait for daemons half of their time: two for each processor of a machine with two.
WORKERS ?= 4
BESIDE  := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-tools:
	@python3 -m lab.toolchain up --tests

test-fast: test-tools lint ## lint and the tiers that boot no machine and need no release
	@$(PY) -m pytest $(BESIDE) -m "not release and not lab and not end_to_end and not extended"

test: test-tools lint ## all tiers, the lab end to end at last
	@python3 -m lab.image build
	@python3 -m lab.release build
	@$(PY) -m pytest $(BESIDE) -m "not lab and not end_to_end and not extended"
	@$(PY) -m pytest -v -m "(lab or end_to_end) and not extended"

test-extended: test-tools ## other whole stacks and long trials by killing: an hour and more, not part of `test`
	@$(PY) -m pytest -m extended

clean: ## `down`, then remove .venv, .lab and build (the cache in ~/.cache/okd-libvirt stays)
	@python3 -m lab.stack clean $(STACK) $(WHERE)
