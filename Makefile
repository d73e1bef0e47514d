# totpd: build, try, test, install. 'make' alone lists the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

PREFIX ?= /usr
DESTDIR ?=
ifeq ($(origin CC),default)
CC = gcc
endif
VERSION ?= $(or $(shell packaging/tools/version.sh 2>/dev/null),unknown)

# Where Debian's libpam looks for modules. It doesn't follow PREFIX.
MULTIARCH = $(shell $(CC) -print-multiarch)
PAMDIR ?= /usr/lib/$(MULTIARCH)/security
LIBEXECDIR ?= $(PREFIX)/libexec/totpd
UNITDIR ?= /usr/lib/systemd/system

# For another architecture than the machine's: GOARCH and CC in the environment, and an OUT of its own.
OUT ?= build
PROGRAMS := $(addprefix $(OUT)/,totpd totpd-password totpctl)
COMPLETIONS := $(addprefix build/completions/totpctl.,bash zsh fish)
MANUAL := build/man/totpctl.1
STAGE := build/stage
WARNINGS := -Wall -Wextra -Wconversion -Werror

# HAVE_FDATASYNC: SQLite then makes a commit durable without writing the file's times each time.
export CGO_ENABLED := 1
export CGO_CFLAGS := -O2 -g -DHAVE_FDATASYNC=1 $(HARDENING)
GO_FLAGS ?=
GO_LDFLAGS ?=
GO_BUILD = go build -trimpath -buildvcs=false $(GO_FLAGS) -ldflags "-X main.version=$(VERSION) $(GO_LDFLAGS)"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "  HOLD=1 with demo leaves it up for your own phone; ARCHS=arm64 with packages;"
	@echo "  DESTDIR= and PREFIX= with install"

.PHONY: build
build: $(OUT)/pam_totpd.so $(PROGRAMS) $(COMPLETIONS) $(MANUAL) build/NOTICES ## build the module and the three programs into build/

-include pam/module.mk
$(OUT)/pam_totpd.so: | build-needs
build/NOTICES: go.mod packaging/tools/notices.sh | build-needs
	@mkdir -p $(@D)
	@packaging/tools/notices.sh >$@

.PHONY: FORCE build-needs demo-needs
build-needs:
	@packaging/tools/needs.sh $(if $(filter demo world,$(MAKECMDGOALS)),demo,build)
demo-needs:
	@packaging/tools/needs.sh demo

# Always asked; the go command knows what has to be done.
$(OUT)/totpd: FORCE | build-needs
	@$(GO_BUILD) -o $@ ./daemon
$(OUT)/totpd-password: FORCE | build-needs
	@$(GO_BUILD) -o $@ ./daemon/passwordcheck
# It starts totpd itself for totpctl --offline, from where that is installed.
$(OUT)/totpctl: override GO_LDFLAGS += -X main.offlineProgram=$(LIBEXECDIR)/totpd
$(OUT)/totpctl: FORCE | build-needs
	@$(GO_BUILD) -o $@ ./cli
# By a totpctl of the machine that builds, whichever it builds for.
TOTPCTL ?= build/totpctl
$(COMPLETIONS): build/completions/totpctl.%: $(TOTPCTL)
	@mkdir -p $(@D)
	@$(TOTPCTL) completion $* >$@
# Its date is the commit's, so that the same commit gives the same bytes.
$(MANUAL): $(TOTPCTL)
	@mkdir -p $(@D)
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null)} $(TOTPCTL) man >$@
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
	@cp -R contrib/stacks cli/internal/plan/testdata/debian.txtar $(STAGE)/usr/libexec/totpd
	@if [ "$$(id -u)" = 0 ]; then packaging/world/debs.sh >/dev/null; fi

.PHONY: demo
demo: world build/demo ## one user's story on real parts, in a throwaway world
	@build/demo $(if $(filter-out 0,$(HOLD)),-hold)

.PHONY: packages
packages: build/tools/nfpm ## make the deb and the rpm, for amd64 and arm64, in build/packages/
	@packaging/tools/packages.sh $(ARCHS)
build/tools/nfpm: packaging/tools/go.mod packaging/tools/go.sum
	@go -C packaging/tools build -o $(CURDIR)/build/tools/ github.com/goreleaser/nfpm/v2/cmd/nfpm
	@touch $@

.PHONY: testhost
testhost: build/testhost ## build/testhost boots Debian hosts to try the package on; it has help
build/testhost: FORCE | build-needs
	@$(GO_BUILD) -o $@ ./packaging/host/testhost

.PHONY: test
test: ## everything that CI runs, and its own set-up
	@packaging/tools/test.sh

.PHONY: attack-sim
attack-sim: ## a year of guessing codes against the judge, and what it wins
	@go run ./daemon/attacksim

-include contrib/bench/bench.mk
.PHONY: bench
bench: build ## compare with the peers, and print the ratios

# Run 'make build' first, as yourself: then root only copies.
.PHONY: install
install: ## install what is built
	@for f in $(OUT)/pam_totpd.so $(PROGRAMS) $(COMPLETIONS) $(MANUAL); do [ -e $$f ] || { echo "$$f is missing: run 'make build' first" >&2; exit 1; }; done
	install -D -m 0644 $(OUT)/pam_totpd.so $(DESTDIR)$(PAMDIR)/pam_totpd.so
	install -D -m 0755 -t $(DESTDIR)$(LIBEXECDIR) $(OUT)/totpd $(OUT)/totpd-password packaging/scripts/pam-lines packaging/scripts/selinux
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin $(OUT)/totpctl
	install -D -m 0644 -t $(DESTDIR)$(UNITDIR) $(UNITS)
	sed -i 's|=/usr/libexec/totpd/|=$(LIBEXECDIR)/|' $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(UNITS)))
	$(foreach d,$(DATADIRS),$(call install_data,$(DESTDIR)$(firstword $(subst =, ,$d)),$(wildcard $(lastword $(subst =, ,$d)))))
	install -D -m 0644 build/completions/totpctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/totpctl
	install -D -m 0644 build/completions/totpctl.zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_totpctl
	install -D -m 0644 build/completions/totpctl.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/totpctl.fish
	@$(call install_config,packaging/pam.d/totpd,$(DESTDIR)/etc/pam.d/totpd)
	@$(call install_config,packaging/totpd.toml,$(DESTDIR)/etc/totpd/totpd.toml)

UNITS = $(wildcard $(addprefix packaging/systemd/*.,service socket path timer))
# DIRECTORY=FILES of what is installed as it lies here. The directories that don't follow PREFIX are
# those in which systemd, D-Bus, polkit, pam-auth-update, authselect and AppArmor look.
DATADIRS = \
	/usr/lib/systemd/system-preset=packaging/systemd/*.preset \
	/usr/lib/systemd/catalog=packaging/catalog/totpd.catalog \
	/usr/lib/sysusers.d=packaging/sysusers/totpd.conf \
	/usr/lib/tmpfiles.d=packaging/tmpfiles/totpd.conf \
	/usr/share/dbus-1/system.d=packaging/dbus/org.totpd.conf \
	/usr/share/polkit-1/actions=packaging/polkit/org.totpd.policy \
	/usr/share/pam-configs=packaging/pam-configs/totpd \
	/usr/share/authselect/vendor/totpd=packaging/authselect/totpd/* \
	/etc/apparmor.d=contrib/apparmor/usr.libexec.totpd.totpd \
	/etc/apparmor.d/abstractions/authentication.d=contrib/apparmor/abstractions/totpd \
	/usr/share/totpd/selinux=contrib/selinux/* \
	$(foreach n,1 5 8,$(PREFIX)/share/man/man$n=packaging/man/*.$n) \
	$(PREFIX)/share/man/man1=$(MANUAL) \
	$(PREFIX)/share/doc/totpd/examples=packaging/systemd/examples/*.conf \
	$(foreach f,LICENSE packaging/copyright build/NOTICES,$(PREFIX)/share/doc/totpd=$f)
# $(call install_data,DIRECTORY,FILES), where there are FILES. Ends with a new line.
define install_data
$(if $2,install -D -m 0644 -t $1 $2)

endef
# $(call install_config,FILE,TARGET): what an administrator may have changed stays.
install_config = if [ -e "$2" ] || [ -L "$2" ]; then echo "$2 is left as it is"; \
	else echo "install $2"; install -D -m 0644 $1 "$2"; fi

.PHONY: clean
clean: ## remove build/
	rm -rf build
