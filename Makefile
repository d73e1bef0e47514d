# totpd: build, try, test, install. 'make' alone lists the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

PREFIX ?= /usr
DESTDIR ?=
CC = gcc
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Where Debian's libpam looks for modules. It doesn't follow PREFIX.
MULTIARCH = $(shell $(CC) -print-multiarch)
PAMDIR ?= /usr/lib/$(MULTIARCH)/security
LIBEXECDIR ?= $(PREFIX)/libexec/totpd
UNITDIR ?= /usr/lib/systemd/system
SYSUSERSDIR ?= /usr/lib/sysusers.d

PROGRAMS := build/totpd build/totpd-password build/totpctl
STAGE := build/stage
WARNINGS := -Wall -Wextra -Wconversion -Werror

# HAVE_FDATASYNC: SQLite then makes a commit durable without writing the file's times each time.
export CGO_ENABLED := 1
export CGO_CFLAGS := -O2 -g -DHAVE_FDATASYNC=1
GO_BUILD = go build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)'

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo "  HOLD=1 with demo leaves it up for your own phone; DESTDIR= and PREFIX= with install"

.PHONY: build
build: build/pam_totpd.so $(PROGRAMS) ## build the module and the three programs into build/

-include pam/module.mk
build/pam_totpd.so: | build-needs

.PHONY: FORCE build-needs demo-needs
build-needs:
	@packaging/tools/needs.sh $(if $(filter demo world,$(MAKECMDGOALS)),demo,build)
demo-needs:
	@packaging/tools/needs.sh demo

# Always asked; the go command knows what has to be done.
build/totpd: FORCE | build-needs
	@$(GO_BUILD) -o $@ ./daemon
build/totpd-password: FORCE | build-needs
	@$(GO_BUILD) -o $@ ./daemon/passwordcheck
build/totpctl: FORCE | build-needs
	@$(GO_BUILD) -o $@ ./cli
build/demo: FORCE | build-needs
	@$(GO_BUILD) -o $@ ./packaging/demo
build/locker: packaging/world/locker/locker.c | build-needs
	@mkdir -p build
	$(CC) -O2 $(WARNINGS) -o $@ $< -lpam -lpam_misc

# What the throwaway world is made from: an installed totpd, and packages that stay off the machine.
# Without root there is no such world, and the demo tells its story through libpam alone.
.PHONY: world
world: build build/locker | demo-needs
	@rm -rf $(STAGE)
	@$(MAKE) --no-print-directory -s install DESTDIR=$(STAGE) PREFIX=/usr >/dev/null
	@install -m 0755 build/locker $(STAGE)/usr/libexec/totpd/locker
	@if [ "$$(id -u)" = 0 ]; then packaging/world/debs.sh >/dev/null; fi

.PHONY: demo
demo: world build/demo ## one user's story on real parts, in a throwaway world
	@build/demo $(if $(filter-out 0,$(HOLD)),-hold)

.PHONY: test
test: ## everything that CI runs, and its own set-up
	@packaging/tools/test.sh

-include contrib/bench/bench.mk
.PHONY: bench
bench: build ## compare with the peers, and print the ratios

# Run 'make build' first, as yourself: then root only copies.
.PHONY: install
install: ## install what is built
	@for f in build/pam_totpd.so $(PROGRAMS); do [ -e $$f ] || { echo "$$f is missing: run 'make build' first" >&2; exit 1; }; done
	install -D -m 0644 build/pam_totpd.so $(DESTDIR)$(PAMDIR)/pam_totpd.so
	install -D -m 0755 build/totpd $(DESTDIR)$(LIBEXECDIR)/totpd
	install -D -m 0755 build/totpd-password $(DESTDIR)$(LIBEXECDIR)/totpd-password
	install -D -m 0755 build/totpctl $(DESTDIR)$(PREFIX)/bin/totpctl
	install -d -m 0755 $(DESTDIR)$(UNITDIR)
	install -m 0644 $(UNITS) $(DESTDIR)$(UNITDIR)
	sed -i 's|=/usr/libexec/totpd/|=$(LIBEXECDIR)/|' $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(UNITS)))
	install -D -m 0644 packaging/sysusers/totpd.conf $(DESTDIR)$(SYSUSERSDIR)/totpd.conf
	@f=$(DESTDIR)/etc/pam.d/totpd; if [ -e "$$f" ] || [ -L "$$f" ]; then echo "$$f is left as it is"; \
	else echo "install $$f"; install -D -m 0644 packaging/pam.d/totpd "$$f"; fi
UNITS = $(wildcard packaging/systemd/*.service packaging/systemd/*.socket)

.PHONY: clean
clean: ## remove build/
	rm -rf build
