# What a stranger types: `make run` to try it, `make test` to believe it. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

SWIFT ?= swift
CONFIGURATION ?= release
IMAGE ?= gefs.img
SIZE ?= 4G
PORT ?= 5640
PREFIX ?= /usr/local
# Where mount(8) looks for helpers.
SBINDIR ?= /usr/sbin
DESTDIR ?=
# How much the trials try.
SEED ?= 1
STATES ?= 100000
SAMPLES ?= 3000
IMAGES ?= 300
STEPS ?= 100000
# The program carries the Swift runtime with it, so that it runs where no Swift is installed.
STATIC ?= $(if $(filter Linux,$(shell uname -s)),--static-swift-stdlib)
BIN := .build/$(CONFIGURATION)/gefs

.PHONY: help run test unit trials trial-tools crash damage mend stress fuzz end-to-end build lint format bench install uninstall clean packages

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24
	@echo
	@echo "  variables: CONFIGURATION=$(CONFIGURATION) IMAGE=$(IMAGE) SIZE=$(SIZE) PORT=$(PORT) PREFIX=$(PREFIX)"

packages: ## install the Debian packages that are missing, and look for Swift
	@Packaging/prepare

build: packages ## build the program (CONFIGURATION=debug for a debug build)
	$(SWIFT) build -c $(CONFIGURATION) $(STATIC) --product gefs

run: build ## make gefs.img if there is none, and serve it
	@BIN=$(BIN) IMAGE=$(IMAGE) SIZE=$(SIZE) PORT=$(PORT) Packaging/run

test: packages lint unit trials end-to-end ## run everything: lint, unit tests, trials, end-to-end tests

unit: packages ## run the tests of the package
	$(SWIFT) test

fuzz: packages ## run each fuzzer for FUZZ_SECONDS (10), if this Swift has libFuzzer
	Fuzz/run --seconds $(or $(FUZZ_SECONDS),10)

trials: crash damage mend stress ## let chance try what simulated devices survive

trial-tools: packages
	$(SWIFT) build -c release $(STATIC)

crash: trial-tools ## look at disks that a power cut leaves (STATES=100000 SEED=1), and find defects put in
	.build/release/gefs-crash --states $(STATES) --seed $(SEED)
	.build/release/gefs-crash --states 20000 --sabotage all

damage: trial-tools ## damage images, a block at a time, and look at what comes of it (SAMPLES=3000)
	.build/release/gefs-damage --samples $(SAMPLES) --stretch 500 --files 40

mend: trial-tools ## damage and repair volumes, and compare what is left (IMAGES=300)
	.build/release/gefs-mend --images $(IMAGES)
	@# On these a repair that was cut off once came to another end.
	for image in 450 3877 40996; do .build/release/gefs-mend --first $$image --images 1 --interrupts 1 || exit 1; done

stress: trial-tools ## work on volumes that are full all the time (STEPS=100000)
	.build/release/gefs-stress --steps $(STEPS) --seed $(SEED)

lint: packages ## check the format of the sources
	$(SWIFT) format lint --strict --recursive Sources Tests Fuzz

format: packages ## format the sources
	$(SWIFT) format --in-place --recursive Sources Tests Fuzz

end-to-end: build ## run the tests on the built program (TESTS="name ..." for some of them)
	GEFS_BINARY=$(abspath $(BIN)) python3 Tests/EndToEndTests/run.py $(TESTS)

bench: build ## measure everything (SECTION=all; BENCH_FLAGS=--quick for a look at whether it works)
	$(SWIFT) build -c $(CONFIGURATION) $(STATIC) --product gefs-bench
	GEFS_BINARY=$(abspath $(BIN)) GEFS_BENCH=$(abspath $(BIN))-bench Benchmarks/run $(or $(SECTION),all) $(BENCH_FLAGS)

install: build ## install the program and its completions below PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin
	install -s -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/gefs
	install -d $(DESTDIR)$(SBINDIR)
	ln -sf $(PREFIX)/bin/gefs $(DESTDIR)$(SBINDIR)/mount.gefs
	ln -sf $(PREFIX)/bin/gefs $(DESTDIR)$(SBINDIR)/umount.fuse.gefs
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(BIN) completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gefs
	install -d $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	$(BIN) completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_gefs
	install -d $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(BIN) completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/gefs.fish
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|g' Packaging/gefs@.service.in > $(DESTDIR)$(PREFIX)/lib/systemd/system/gefs@.service

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/gefs \
	  $(DESTDIR)$(SBINDIR)/mount.gefs $(DESTDIR)$(SBINDIR)/umount.fuse.gefs \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gefs \
	  $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_gefs \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/gefs.fish \
	  $(DESTDIR)$(PREFIX)/lib/systemd/system/gefs@.service

clean: ## remove what was built; images stay
	rm -rf .build
