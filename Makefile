# SPDX-License-Identifier: GPL-2.0-or-later
# Builds, checks and installs the PAM modules and programs; `make help` lists the targets.
# GOARCH=arm64 CC=aarch64-linux-gnu-gcc, say, makes them for another processor.

NAMES   = pam_newnet pam_usernet pam_groupnet
OUT     = out$(GOARCH:%=/%)
MODULES = $(NAMES:%=$(OUT)/%.so)
CTL     = $(OUT)/pamnetctl
UPLINK  = $(OUT)/pamnet-uplink
TESTS  ?= ./...
FUZZTIME ?= 60s
GO     ?= go
CFLAGS ?= -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
ifeq ($(origin CC),default)
CC      = gcc
endif
Q      := $(if $(V),,@)
space  := $() $()
comma  := ,

# The commit is not stamped into anything: two folders make the same modules, and
# root may build in a user's clone, where git refuses to tell it.
override GOFLAGS += -buildvcs=false

export CC GOFLAGS
export CGO_ENABLED = 1
export CGO_CFLAGS  = $(CFLAGS)
export PATH       := $(PATH):/usr/local/go/bin

# Behind LDFLAGS is what the modules need whatever a distribution asks for: GNU ld, and
# relocations that are not packed (build/module/README.md).
extldflags = \"-Wl,-T,$(CURDIR)/build/module/deferred-start.ld\" \
	\"-Wl,--version-script=$(CURDIR)/build/module/module.map\" \
	-Wl,-z,relro,-z,now,-z,noexecstack,-z,defs,--as-needed \
	-Wl,--hash-style=gnu,--build-id=sha1 $(LDFLAGS) -fuse-ld=bfd \
	$(if $(findstring pack-relative-relocs,$(LDFLAGS)),-Wl$(comma)-z$(comma)nopack-relative-relocs)

# A tool in the version that build/tools.mod names.
tool = $(GO) tool -modfile=build/tools.mod

# It is a module of its own, whose dependencies are not those of the modules.
plot = $(GO) run -C bench/plot .

# A program of this tree, run here whatever processor is built for.
GO_HERE = $(if $(GOARCH),GOARCH= CC=gcc) $(GO)

mutants = $(GO_HERE) run ./test/mutants

no-skips = $(if $(filter true,$(CI)),--post-run-command \
	'sh -c "[ $$TESTS_SKIPPED = 0 ] || { echo CI: a skipped test is a failure; exit 1; }"')

# Where the modules go; prefix= finds its place there like the machine's own.
libsecuritydir = $(shell CC='$(CC)' build/libsecuritydir.sh $(prefix))
moduledir      = $(DESTDIR)$(or $(libsecuritydir),$(error say libsecuritydir=DIR))
bindir        ?= $(or $(prefix),/usr)/bin
libexecdir    ?= $(or $(prefix),/usr)/libexec/libpam-net
datadir       ?= $(or $(prefix),/usr)/share
mandir        ?= $(datadir)/man
docdir        ?= $(datadir)/doc/libpam-net
unitdir       ?= $(or $(prefix),/usr)/lib/systemd/system
# Debian's zsh looks for the completions of packages in a place of its own.
zshdir        ?= zsh/$(if $(wildcard /etc/debian_version),vendor-completions,site-functions)
completions    = bash-completion/completions/pamnetctl $(zshdir)/_pamnetctl fish/vendor_completions.d/pamnetctl.fish
units          = pamnet-prune.service pamnet-prune.timer pamnet-uplink.service
# With these starts pamnet-uplink.service, see there.
firewalls      = nftables firewalld ufw netfilter-persistent
wants          = $(firewalls:%=%.service.wants/pamnet-uplink.service)
# Network managers leave the links of pamnet-uplink alone.
libdir         = $(or $(prefix),/usr)/lib
unmanaged      = systemd/network/10-pamnet-uplink.link systemd/network/10-pamnet-uplink.network \
	NetworkManager/conf.d/10-pamnet-uplink.conf
docs           = README.md $(wildcard docs/*)
examples       = $(wildcard examples/*)
profiles       = $(wildcard build/pam-configs/*)
# A pamnetctl that runs here.
ctl            = $(if $(GOARCH),$(GO_HERE) run ./cmd/pamnetctl,$(CTL))
services       = /etc/pam.d /etc/pam.conf /usr/lib/pam.d

.PHONY: $(MODULES) $(CTL) $(UPLINK) build check-build check-reproducible install uninstall clean package \
	deps deps-arm64 lint lint-package test test-faults test-hostile test-races test-fix test-systemd \
	test-arm64 test-toolchains soak fuzz mutants demo help \
	bench bench-quick bench-profile bench-doc peers floor

build: $(MODULES) $(CTL) $(UPLINK) ## makes the modules and programs, in out/ (the default)

# The three steps that build/module/README.md describes. What is wrong stays out/NAME.so.new.
$(MODULES): $(OUT)/%.so:
	$(Q)LDFLAGS='$(LDFLAGS)' build/module/linker.sh
	$(Q)$(GO) build -buildmode=c-shared -trimpath -o $@.new \
		-ldflags "-s -w -buildid= -extldflags '$(extldflags)'" ./cmd/$*
	$(Q)rm -f $@.h
	$(Q)$(GO_HERE) run ./build/module/deferrelocations $@.new
	$(Q)build/module/check.sh $@.new
	$(Q)mv $@.new $@

# With cgo: for libpam, and for users of a directory, whom only libc knows.
$(CTL) $(UPLINK): $(OUT)/%:
	$(Q)$(GO) build -buildmode=pie -trimpath -o $@ -ldflags "-s -w -buildid= -linkmode=external \
		-X main.version=$(shell build/version.sh) \
		-extldflags '-Wl,-z,relro,-z,now,-z,noexecstack,--as-needed,--build-id=sha1 $(LDFLAGS)'" ./cmd/$*

check-build: build ## checks the modules as building them does, and fails if a login could not be tried here
	$(Q)CI=true build/module/check.sh $(MODULES)

check-reproducible: package ## proves that another folder makes the same files and packages, bit by bit
	$(Q)build/check-reproducible.sh $(MODULES) $(CTL) $(UPLINK)

# A login may be loading a module now: each is replaced at once.
install: build ## installs modules where libpam looks (DESTDIR=, prefix=, libsecuritydir=), and programs
	$(Q)install -d "$(moduledir)"
	$(Q)for name in $(NAMES:=.so); do \
		install -m 0644 "$(OUT)/$$name" "$(moduledir)/.$$name.new" && \
		mv -f "$(moduledir)/.$$name.new" "$(moduledir)/$$name" && \
		echo "$(moduledir)/$$name" || exit; \
	done
	$(Q)install -D -m 0755 "$(CTL)" "$(DESTDIR)$(bindir)/pamnetctl"
	$(Q)install -D -m 0755 "$(UPLINK)" "$(DESTDIR)$(libexecdir)/.pamnet-uplink.new"
	$(Q)mv -f "$(DESTDIR)$(libexecdir)/.pamnet-uplink.new" "$(DESTDIR)$(libexecdir)/pamnet-uplink"
	$(Q)ln -sfr "$(DESTDIR)$(libexecdir)/pamnet-uplink" "$(DESTDIR)$(bindir)/pamnet-uplink"
	$(Q)for section in 5 7 8; do install -D -m 0644 -t "$(DESTDIR)$(mandir)/man$$section" man/*.$$section || exit; done
	$(Q)set -- bash zsh fish; for file in $(completions:%="$(DESTDIR)$(datadir)/%"); do \
		install -d "$${file%/*}" && $(ctl) completion "$$1" >"$$file" && chmod 0644 "$$file" && shift || exit; \
	done
	$(Q)install -d "$(DESTDIR)$(unitdir)"
	$(Q)for unit in $(units); do \
		sed 's|@bindir@|$(bindir)|; s|@libexecdir@|$(libexecdir)|' "build/systemd/$$unit" >"$(DESTDIR)$(unitdir)/$$unit" && \
		chmod 0644 "$(DESTDIR)$(unitdir)/$$unit" || exit; \
	done
	$(Q)for link in $(wants:%="$(DESTDIR)$(unitdir)/%"); do \
		install -d "$${link%/*}" && ln -sf ../pamnet-uplink.service "$$link" || exit; \
	done
	$(Q)for file in $(unmanaged); do \
		install -D -m 0644 "build/unmanaged/$${file##*/}" "$(DESTDIR)$(libdir)/$$file" || exit; \
	done
	$(Q)install -D -m 0644 -t "$(DESTDIR)$(datadir)/pam-configs" $(profiles)
	$(Q)install -D -m 0644 -t "$(DESTDIR)$(docdir)" $(docs)
	$(Q)install -m 0644 CHANGELOG.md "$(DESTDIR)$(docdir)/changelog"
	$(Q)install -D -m 0755 -t "$(DESTDIR)$(docdir)/examples" $(examples)
	$(Q)echo "$(DESTDIR)$(bindir)/pamnetctl"
	$(Q)echo "$(DESTDIR)$(libexecdir)/pamnet-uplink"

# Nobody logs in through a service that names a module which is gone.
uninstall: ## removes modules and programs, unless a service names one (FORCE=1: all the same)
	$(Q)lines=$$(grep -RsE '^[^#]*\<($(subst $(space),|,$(NAMES)))\.so' $(services:%="$(DESTDIR)%")); \
	[ -z "$$lines" ] || { \
		echo "$$lines"; \
		echo 'uninstall: these lines lock users out once the modules are gone; FORCE=1 removes them' >&2; \
		[ -n "$(FORCE)" ]; \
	}
	$(Q)rm -f $(NAMES:%="$(moduledir)/%.so") "$(DESTDIR)$(bindir)/pamnetctl" "$(DESTDIR)$(bindir)/pamnet-uplink" \
		"$(DESTDIR)$(libexecdir)/pamnet-uplink" \
		$(foreach page,$(wildcard man/*),"$(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))") \
		$(units:%="$(DESTDIR)$(unitdir)/%") $(wants:%="$(DESTDIR)$(unitdir)/%") \
		$(unmanaged:%="$(DESTDIR)$(libdir)/%") $(completions:%="$(DESTDIR)$(datadir)/%") \
		$(profiles:build/%="$(DESTDIR)$(datadir)/%") \
		$(foreach file,changelog $(notdir $(docs)) $(examples),"$(DESTDIR)$(docdir)/$(file)")
	$(Q)rmdir $(firewalls:%="$(DESTDIR)$(unitdir)/%.service.wants") 2>/dev/null || :
	$(Q)rmdir "$(DESTDIR)$(libexecdir)" "$(DESTDIR)$(docdir)/examples" "$(DESTDIR)$(docdir)" 2>/dev/null || :

package: build ## packs the same for Debian and as RPM, into out/package/
	$(Q)build/package.sh out/package

clean: ## removes what was built
	$(Q)rm -rf $(OUT)

deps: ## installs what building and testing need, and says what and why
	$(Q)build/deps.sh
	$(Q)build/unpack.sh $(OUT)/directory slapd nslcd libnss-ldapd sssd-ldap libnss-sss nscd
	$(Q)build/unpack.sh $(OUT)/resolvers nscd systemd-resolved libnss-resolve
	$(Q)build/unpack.sh $(OUT)/firewalls firewalld ufw iptables
	$(Q)build/unpack.sh $(OUT)/companions cado vde2 vdeplug
	$(Q)build/unpack.sh $(OUT)/services at vsftpd xrdp lightdm xvfb samba smbclient dovecot-imapd cockpit-ws cockpit-bridge \
		pkexec opendoas greetd lxdm
	$(Q)build/unpack.sh $(OUT)/proftpd proftpd-core
	$(Q)build/debian-tree.sh $(OUT)/debian
	$(Q)[ ! -e $(OUT)/debian ] || TREE=$(OUT)/debian build/unpack.sh $(OUT)/documents \
		cado vde2 vdeplug curl dnsmasq-base graphviz jq man-db nftables udhcpc wireguard-tools

deps-arm64: ## the same for a cross-build for arm64, on Debian
	$(Q)build/deps.sh arm64

lint: ## gofumpt, go vet, staticcheck, gcc's analyzer, cppcheck, shellcheck, mandoc, and checks of our own
	$(Q)files=$$($(tool) gofumpt -l .) || exit; \
	[ -z "$$files" ] || { echo "$$files"; echo 'lint: gofumpt would change these' >&2; exit 1; }
	$(Q)$(GO) vet ./... && $(GO) vet -C bench/plot ./...
	$(Q)$(tool) staticcheck ./...
	$(Q)build/lint-c.sh
	$(Q)find . -path ./out -prune -o -name '*.sh' -print0 | xargs -0 shellcheck .ci/run build/debian/p*
	$(Q)mandoc -Tlint -W warning man/*
	$(Q)build/lint-syscalls.sh
	$(Q)$(mutants) --apply-only

lint-package: package ## lintian, on the packages for Debian
	$(Q)build/deps.sh lintian
	$(Q)lintian --allow-root --fail-on=error,warning --tag-display-limit=0 out/package/*.deb

# For an ordinary user, who cannot install packages either, it runs what it can.
test: ## runs all tests; TESTS='-run REGEXP ./...' some; CI=true makes a skipped one a failure
	$(Q)$(MAKE) --no-print-directory deps || [ "$$(id -u)" != 0 ]
	$(Q)$(MAKE) --no-print-directory build
	$(Q)$(MAKE) --no-print-directory -o build package || [ "$$(id -u)" != 0 ]
	$(Q)[ "$$(id -u)" = 0 ] || echo 'test: not root, so tests that need namespaces are skipped; see the end' >&2
	$(Q)MODULES_BUILT=1 $(tool) gotestsum --format standard-quiet $(no-skips) -- -count=1 -timeout=15m $(TESTS)

test-faults: build ## fails each system call of a login once, in every way (an hour; tells how far it is)
	$(Q)MODULES_BUILT=1 $(GO) test -count=1 -v -timeout=3h ./test/faults -faults.full -faults.out=$(CURDIR)/$(OUT)/faults.txt
	$(Q)MODULES_BUILT=1 $(GO) test -count=1 -v -timeout=2h -run Fault ./test/uplink -uplink.full

test-races: build ## lets logins race, 20 rounds of each race
	$(Q)MODULES_BUILT=1 $(GO) test -count=1 -v ./test/races -races.rounds=20

test-hostile: build ## test/hostile with 10,000 logins while files are exchanged, and 1,000 of each sort that is spied on
	$(Q)MODULES_BUILT=1 $(GO) test -count=1 -v -timeout=4h ./test/hostile -hostile.logins=10000

test-fix: ## corrects 300 generated machines by pamnetctl doctor --fix
	$(Q)$(GO) test -count=1 -v -timeout=1h -run TestFixMakesNothingWorse ./internal/doctor -doctor.trees=300

test-systemd: package ## boots a Debian with the package and lets users log in there (out/debian; a minute)
	$(Q)MODULES_BUILT=1 $(GO) test -count=1 -v ./test/systemd

test-arm64: ## boots a Debian for arm64, emulated, and lets users log in there (out/debian-arm64; some minutes)
	$(Q)$(MAKE) --no-print-directory deps-arm64
	$(Q)build/debian-arm64.sh out/debian-arm64
	$(Q)$(MAKE) --no-print-directory package GOARCH=arm64 CC=aarch64-linux-gnu-gcc
	$(Q)MODULES_BUILT=1 $(GO) test -count=1 -v -timeout=1h -tags arm64_machine ./test/arm64

test-toolchains: deps ## builds with other flags, compilers, linkers and releases of Go, and logs in (half an hour)
	$(Q)$(GO) test -count=1 -v -timeout=3h ./test/toolchains -toolchains.full

soak: build ## 10,000 logins, 20 at once, and what they leave
	$(Q)MODULES_BUILT=1 $(GO) test -count=1 -v -timeout=1h -run TestManyLoginsLeaveNothing ./test/races -races.soak=10000

fuzz: ## fuzzes whatever reads what others write, each for FUZZTIME=60s
	$(Q)build/deps.sh fuzz
	$(Q)build/fuzz.sh $(FUZZTIME)

mutants: ## removes each security check, one at a time, and proves that a test notices (about 15 minutes)
	$(Q)$(mutants) $(MUTANTS)

# The least that a module in Go can be, for the benchmark: as a library that starts Go when it is loaded, and as a module
# that is linked as ours are.
floor:
	$(Q)mkdir -p $(OUT)/floor
	$(Q)$(GO) build -buildmode=c-shared -trimpath -o $(OUT)/floor/library.so -ldflags '-s -w' ./bench/floor
	$(Q)$(GO) build -buildmode=c-shared -trimpath -o $(OUT)/floor/module.so.new \
		-ldflags "-s -w -extldflags '$(extldflags)'" ./bench/floor
	$(Q)$(GO_HERE) run ./build/module/deferrelocations $(OUT)/floor/module.so.new
	$(Q)mv $(OUT)/floor/module.so.new $(OUT)/floor/module.so

# Debian's libpam-net in two versions, for the benchmark to compare with. They are not installed.
peers:
	$(Q)build/peers.sh $(OUT)/peers

bench: build peers floor ## measures everything beside Debian's libpam-net (about 12 minutes); docs/PERFORMANCE.md
	$(Q)build/deps.sh
	$(Q)MODULES_BUILT=1 $(GO) run ./bench -json $(OUT)/bench.json

bench-quick: build peers floor ## the same with small sizes and few rounds: for the rows and plots, not for the times
	$(Q)build/deps.sh
	$(Q)MODULES_BUILT=1 $(GO) run ./bench -quick -json $(OUT)/bench-quick.json
	$(Q)$(plot) -from $(CURDIR)/$(OUT)/bench-quick.json -into $(CURDIR)/$(OUT)/bench-quick-

bench-profile: build peers floor ## says where the time of one login goes
	$(Q)build/deps.sh
	$(Q)MODULES_BUILT=1 $(GO) run ./bench -profile

bench-doc: ## puts the results of the last `make bench` into docs/PERFORMANCE.md, and draws its plots
	$(Q)$(GO) run ./bench -from $(OUT)/bench.json -doc docs/PERFORMANCE.md
	$(Q)$(plot) -from $(CURDIR)/$(OUT)/bench.json -into $(CURDIR)/docs/performance-

demo: ## shows the modules at work, in a sandbox with a real sshd
	$(Q)build/deps.sh
	$(Q)$(MAKE) --no-print-directory build
	$(Q)MODULES_BUILT=1 $(GO) run ./test/demo

help: ## lists the targets
	$(Q)sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 20
