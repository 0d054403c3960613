# SPDX-License-Identifier: GPL-2.0
#
# Everything is built below build/: the source tree stays clean, and one tree
# serves several kernels.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The one place of the version. kbuild reads the same file.
VERSION := $(shell cat VERSION)

PREFIX ?= /usr/local
DESTDIR ?=
bindir = $(PREFIX)/bin
libdir = $(PREFIX)/lib
includedir = $(PREFIX)/include
mandir = $(PREFIX)/share/man
bashdir = $(PREFIX)/share/bash-completion/completions
zshdir = $(PREFIX)/share/zsh/site-functions
fishdir = $(PREFIX)/share/fish/vendor_completions.d
dkmsdir = /usr/src/faasin-$(VERSION)

# How often `make fault` tries each point, or each STEPth one.
ROUNDS ?= 1
STEP ?= 1

# Kernels that the tests run on.
KERNELS ?= 6.12 6.1
# The kernel to build the module for: one of these, or a build tree.
KERNEL ?= /lib/modules/$(shell uname -r)/build

B := build
comma := ,
CC ?= cc
ifeq ($(origin CC),default)
CC := cc
endif
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wno-unused-parameter -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wvla
ifdef CI
WARNINGS += -Werror
endif
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection
LINK_HARDENING := -Wl,-z,relro,-z,now -Wl,--as-needed
NL_CFLAGS = $(shell pkg-config --cflags libnl-genl-3.0)
NL_LIBS = $(shell pkg-config --libs libnl-genl-3.0)
tool_packages := jansson ncursesw
# libmicrohttpd is loaded by those who serve (faasctl/scrape.c).
TOOL_CFLAGS = $(shell pkg-config --cflags $(tool_packages) libmicrohttpd)
TOOL_LIBS = $(shell pkg-config --libs $(tool_packages))
ELF_CFLAGS = $(shell pkg-config --cflags libelf)
ELF_LIBS = $(shell pkg-config --libs libelf)
# Domains are optional: x86-64 has protection keys, and they bring an allocator and a filter.
JEMALLOC := $(shell $(CC) -print-file-name=libjemalloc_pic.a)
HAVE_DOMAINS := $(if $(filter x86_64-%,$(shell $(CC) -dumpmachine)),$(shell pkg-config --exists libseccomp && \
	test -f '$(JEMALLOC)' && echo yes))
ifeq ($(HAVE_DOMAINS),yes)
DOMAIN_LIBS = $(ELF_LIBS) $(shell pkg-config --libs libseccomp) -lm -lpthread
endif
# The Python module is optional, too; it is for the distribution's Python.
PYTHON ?= /usr/bin/python3
HAVE_PYTHON := $(shell test -x '$(PYTHON)' && pkg-config --exists python3 && echo yes)
ifeq ($(HAVE_PYTHON),yes)
PYTHON_CFLAGS = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags python3))
# Debian looks here for what packages bring, and there for what is installed beside them.
pythondir ?= $(if $(filter /usr,$(PREFIX)),/usr/lib/python3,$(libdir)/$(shell $(PYTHON) -c \
	'import sys; print("python%d.%d" % sys.version_info[:2])'))/dist-packages
endif
# What BPF programs take is optional: without it the tool says that it lacks them.
BPF_CC ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
HAVE_BPF := $(shell pkg-config --exists libbpf && command -v $(BPF_CC) >/dev/null && \
	$(BPFTOOL) version >/dev/null 2>&1 && echo yes)
ifeq ($(HAVE_BPF),yes)
BPF_CFLAGS = -DFAASIN_BPF -I$(B)/bpf $(shell pkg-config --cflags libbpf)
BPF_LIBS = $(shell pkg-config --libs libbpf)
endif
COMMON = -std=gnu11 -D_GNU_SOURCE -DFAASIN_VERSION='"$(VERSION)"' $(WARNINGS) -MMD -MP \
	-Ilibfaasctl -I$(B)/include

lib_sources := $(wildcard libfaasctl/*.c)
lib_objects := $(lib_sources:%.c=$(B)/obj/%.o)
domain_sources := $(wildcard libfaasdomain/*.c)
domain_objects := $(domain_sources:%.c=$(B)/obj/%.o) $(B)/obj/libfaasdomain/gate.o
# Of these the tool has a copy: they take no protection keys.
scan_objects := $(filter $(B)/obj/libfaasdomain/scan%,$(domain_objects))
host_objects := $(patsubst %.c,$(B)/obj/%.o,$(wildcard faasin-host/*.c))
python_objects := $(patsubst %.c,$(B)/obj/%.o,$(wildcard python/*.c))
python_files := $(patsubst python/%,$(B)/python/%,$(wildcard python/faasin/*.py python/faasin/*.pyi python/faasin/py.typed))
tool_sources := $(wildcard faasctl/*.c)
tool_objects := $(tool_sources:%.c=$(B)/obj/%.o)
bpf_sources := $(wildcard faasctl/bpf/*.bpf.c)
bpf_skeletons := $(if $(HAVE_BPF),$(bpf_sources:faasctl/bpf/%.bpf.c=$(B)/bpf/%.skel.h))
test_sources := $(wildcard selftests/*_test.c)
no_domains := $(if $(HAVE_DOMAINS),,$(B)/selftests/domain_% $(B)/bench/domain $(B)/bench/mixes)
test_shared := $(patsubst selftests/%.c,$(B)/obj/selftests/%.o,$(filter-out $(test_sources),$(wildcard selftests/*.c)))
test_programs := $(filter-out $(no_domains),$(test_sources:selftests/%.c=$(B)/selftests/%))
example_programs := $(patsubst examples/%.c,$(B)/examples/%,$(wildcard examples/*.c))
bench_programs := $(filter-out $(no_domains),$(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/*.c)))
man_sources := $(wildcard faasctl/man/*.scd libfaasctl/man/*.scd libfaasdomain/man/*.scd kmod/man/*.scd)
man_pages := $(addprefix $(B)/man/,$(notdir $(man_sources:.scd=)))
completions := $(wildcard faasctl/completions/*)
fuzz_programs := $(patsubst fuzz/%_fuzz.c,$(B)/fuzz/%_fuzz,$(wildcard fuzz/*_fuzz.c))
uapi_objects := $(patsubst %.c,$(B)/obj/%.o,$(wildcard fuzz/uapi/*.c))
fuzz_objects := $(patsubst %.c,$(B)/fuzz/obj/%.o,$(lib_sources) $(wildcard libfaasdomain/scan*.c) $(tool_sources) fuzz/harness.c)

.PHONY: all
all: tools module-if-possible ## build the tool, the library, the manual, and the module for the running kernel

.PHONY: help
help: ## list the targets
	@echo 'make TARGET (version $(VERSION)):'
	@sed -n 's/^\([a-z%-]*\):.* ## \(.*\)/\1\t\2/p' Makefile | \
		while IFS=$$'\t' read -r target text; do printf '  %-13s %s\n' "$$target" "$$text"; done
	@echo 'Variables: KERNEL=6.1|6.12|KDIR (module, sparse, warnings), KERNELS="6.12 6.1" (check),'
	@echo '  PREFIX=/usr/local DESTDIR= (install), FAASIN_CACHE=DIR (kernels; default ~/.cache/faasin)'

# --- the module ---------------------------------------------------------------

# A farm of links stands in for the source, as kbuild puts its output beside it
# (a directory of its own for that came only with 6.13).
#
# What was said on this command line (CC=clang, say) is for user space.
KBUILD = env -u MAKEFLAGS -u MAKELEVEL make -j$(shell nproc) --no-print-directory $(if $(findstring s,$(firstword -$(MAKEFLAGS))),-s)

# farm NAME[,SOURCES]: makes build/NAME-KERNEL of SOURCES, by default the module's;
# leaves its path in $$farm, the kernel's build tree in $$kdir, and the farm locked
# until the recipe ends.
define farm
	case '$(KERNEL)' in \
	*/*) kdir='$(KERNEL)'; name=$$(echo '$(KERNEL)' | sed 's|^/lib/modules/\(.*\)/build/*$$|\1|; s|[^A-Za-z0-9._+-]|-|g') ;; \
	*) kdir=$$(vm-test/kernels --kdir '$(KERNEL)'); name='$(KERNEL)' ;; \
	esac; \
	[ -e "$$kdir/Makefile" ] || { \
		echo "make: no kernel build tree at $$kdir: install linux-headers-$$(uname -r), or name a kernel: KERNEL=6.1|6.12|KDIR" >&2; exit 1; }; \
	farm='$(CURDIR)/$(B)/$(1)-'$$name; \
	mkdir -p "$$farm"; \
	exec 9>"$$farm.lock"; flock 9; \
	find "$$farm" -xtype l -delete; \
	cp -rsf $(patsubst %,'$(CURDIR)'/%,$(or $(2),Kbuild VERSION kmod)) "$$farm"
endef

.PHONY: module
module: ## build build/kmod-KERNEL/faasin.ko: KERNEL=6.1|6.12|KDIR, default the running kernel
	@$(call farm,kmod$(if $(KCOV),-kcov)$(if $(GCOV),-gcov)); \
	$(KBUILD) -C "$$kdir" M="$$farm" $(if $(KCOV),FAASIN_KCOV=y) $(if $(GCOV),FAASIN_GCOV=y) modules

.PHONY: module-if-possible
module-if-possible:
	@if [ -e '/lib/modules/$(shell uname -r)/build/Makefile' ]; then \
		$(MAKE) module; \
	else \
		echo 'module: not built: no headers of the running kernel (install linux-headers-$(shell uname -r), or make module KERNEL=6.12)'; \
	fi

.PHONY: warnings
warnings: ## build the module with W=1; any warning fails
	@$(call farm,kmod-w1); \
	rm -f "$$farm"/kmod/*.o; \
	$(KBUILD) -C "$$kdir" M="$$farm" W=1 KCFLAGS=-Werror modules

.PHONY: sparse
sparse: ## check the module with sparse; any warning fails
	@$(call farm,kmod-sparse); \
	rm -f "$$farm"/kmod/*.o; \
	$(KBUILD) -C "$$kdir" M="$$farm" C=2 CF=-Wsparse-error modules

# --- library, tool, manual ----------------------------------------------------

.PHONY: tools
tools: library tool man $(if $(HAVE_PYTHON),python) ## build the library, the tool, the Python module and the manual pages

.PHONY: library
library: $(addprefix $(B)/lib/,libfaasctl.so libfaasctl.a libfaasctl.pc $(if $(HAVE_DOMAINS),libfaasdomain.so libfaasdomain.pc))

.PHONY: tool
tool: $(B)/bin/faasctl $(if $(HAVE_DOMAINS),$(B)/bin/faasin-host)

.PHONY: man
man: $(man_pages)

# As it is called once it is installed.
$(B)/include/linux/faasin.h:
	@mkdir -p $(@D)
	ln -sfn '$(CURDIR)/kmod/uapi/faasin.h' $@

$(B)/include/faasctl/%.h:
	@mkdir -p $(@D)
	ln -sfn '$(CURDIR)/libfaasdomain/$(@F)' $@

headers := $(B)/include/linux/faasin.h $(B)/include/faasctl/domain.h $(B)/include/faasctl/function.h
.PHONY: headers
headers: $(headers)

$(B)/obj/libfaas%.o: libfaas%.c VERSION Makefile | $(headers)
	@mkdir -p $(@D)
	$(CC) $(COMMON) $(NL_CFLAGS) $(ELF_CFLAGS) $(HARDENING) $(CFLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

# Objects without debugging data but for BTF, one for all kernels, carried by the tool.
$(B)/bpf/%.bpf.o: faasctl/bpf/%.bpf.c $(wildcard faasctl/bpf/*.h) Makefile
	@mkdir -p $(@D)
	$(BPF_CC) -target bpf -g -O2 $(WARNINGS) -Wno-missing-prototypes -I/usr/include/$(shell $(CC) -print-multiarch) -c -o $@.debug $<
	$(BPFTOOL) gen object $@ $@.debug

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $*_bpf >$@
.SECONDARY: $(bpf_skeletons) $(bpf_skeletons:.skel.h=.bpf.o)

$(B)/obj/faasctl/%.o: faasctl/%.c VERSION Makefile | $(headers) $(bpf_skeletons)
	@mkdir -p $(@D)
	$(CC) $(COMMON) $(NL_CFLAGS) $(TOOL_CFLAGS) $(BPF_CFLAGS) $(HARDENING) $(CFLAGS) -fPIE -c -o $@ $<

$(B)/lib/libfaasctl.so.0: $(lib_objects) $(wildcard libfaasctl/libfaasctl.map)
	@mkdir -p $(@D)
	$(CC) -shared -Wl,-soname,$(@F) -Wl,--version-script=libfaasctl/libfaasctl.map -Wl,-z,defs \
		$(LINK_HARDENING) $(LDFLAGS) -o $@ $(lib_objects) $(NL_LIBS)

$(B)/obj/libfaasdomain/malloc.o: HARDENING += -fcf-protection=none

$(B)/obj/libfaasdomain/gate.o: libfaasdomain/gate.S libfaasdomain/gate.h Makefile
	@mkdir -p $(@D)
	$(CC) $(HARDENING) -c -o $@ $<

# jemalloc under names of its own, as malloc() and its kin are the library's, and with its code in a
# section of its own, so that the library can tell who is in there. What it calls that matters to
# domains is libfaasdomain/allocator.c's. Of what is linked with the archive all is in it.
jemalloc_calls := pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock mmap munmap madvise mprotect abort
$(B)/obj/jemalloc.a: $(JEMALLOC) Makefile
	@mkdir -p $(@D)
	nm --defined-only --extern-only $< 2>/dev/null | awk 'NF == 3 && $$3 !~ /^(je_|_Z)/ { print $$3, "je_" $$3 }' | sort -u >$@.names
	printf '%s\n' $(foreach call,$(jemalloc_calls),'$(call) allocator_$(call)') >>$@.names
	objcopy --redefine-syms=$@.names --rename-section .text=jemalloc_text --rename-section .text.unlikely=jemalloc_text $< $@

# Shares what builds error texts.
$(B)/lib/libfaasdomain.so.0: $(domain_objects) $(B)/obj/libfaasctl/error.o $(B)/obj/jemalloc.a libfaasdomain/libfaasdomain.map
	@mkdir -p $(@D)
	$(CC) -shared -Wl,-soname,$(@F) -Wl,--version-script=libfaasdomain/libfaasdomain.map -Wl,-z,defs \
		-Wl,--exclude-libs,jemalloc.a $(LINK_HARDENING) $(LDFLAGS) -o $@ $(filter %.o %/jemalloc.a,$^) $(DOMAIN_LIBS)

$(B)/lib/%.so: $(B)/lib/%.so.0
	ln -sf $(<F) $@

$(B)/lib/libfaasctl.a: $(lib_objects)
	@mkdir -p $(@D)
	rm -f $@
	ar rcsD $@ $^

$(B)/lib/libfaasctl.pc: libfaasctl/libfaasctl.pc.in
$(B)/lib/libfaasdomain.pc: libfaasdomain/libfaasdomain.pc.in
$(B)/lib/%.pc: VERSION Makefile
	@mkdir -p $(@D)
	sed 's|@VERSION@|$(VERSION)|; s|@PREFIX@|$(PREFIX)|; s|@prefix@|$(PREFIX)|; s|@LIBDIR@|$(libdir)|; s|@INCLUDEDIR@|$(includedir)|' $(filter %.in,$^) >$@

# The tool carries the library, and of that for domains what scans: it works from the build tree, under sudo too.
$(B)/bin/faasctl: $(tool_objects) $(scan_objects) $(B)/lib/libfaasctl.a
	@mkdir -p $(@D)
	$(CC) -pie $(LINK_HARDENING) $(LDFLAGS) -o $@ $^ $(NL_LIBS) $(TOOL_LIBS) $(ELF_LIBS) $(BPF_LIBS)

# What functions run in: linked with the library, as malloc() has to be its own. All is bound
# when it starts, so that nothing is left to the loader.
$(host_objects): $(B)/obj/%.o: %.c VERSION Makefile | $(headers)
	@mkdir -p $(@D)
	$(CC) $(COMMON) $(HARDENING) $(CFLAGS) -fPIE -c -o $@ $<

$(B)/bin/faasin-host: $(host_objects) $(B)/lib/libfaasctl.a $(B)/lib/libfaasdomain.so
	@mkdir -p $(@D)
	$(CC) -pie $(LINK_HARDENING) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../lib' -o $@ $(host_objects) \
		-L$(B)/lib -lfaasdomain $(B)/lib/libfaasctl.a $(NL_LIBS)

# For running from the build tree: PYTHONPATH=build/python.
.PHONY: python
python: $(B)/python/faasin/_core.so $(python_files) ## build the Python module (in build/python)

$(python_objects): $(B)/obj/%.o: %.c VERSION Makefile | $(headers)
	@mkdir -p $(@D)
	$(CC) $(COMMON) $(PYTHON_CFLAGS) $(HARDENING) $(CFLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

# It carries the library, as the tool does. Python's own symbols are the interpreter's.
$(B)/python/faasin/_core.so: $(python_objects) $(B)/lib/libfaasctl.a
	@mkdir -p $(@D)
	$(CC) -shared -Wl,--exclude-libs,ALL $(LINK_HARDENING) $(LDFLAGS) -o $@ $^ $(NL_LIBS)

$(python_files): $(B)/python/%: python/%
	@mkdir -p $(@D)
	install -m 644 $< $@

define man_rule
$(B)/man/$(notdir $(1:.scd=)): $(1)
	@mkdir -p $$(@D)
	scdoc <$$< >$$@
endef
$(foreach page,$(man_sources),$(eval $(call man_rule,$(page))))

# --- tests --------------------------------------------------------------------

# The kernel's own test headers, from its source package.
$(B)/source:
	@mkdir -p $(@D)
	ln -sfn "$$(vm-test/kernels --source)" $@

PROGRAM = $(CC) $(COMMON) -fvisibility=hidden -Wno-missing-prototypes -Wno-shadow $(NL_CFLAGS) $(CFLAGS) -isystem $(B)/source/tools/testing/selftests \
	-o $@ $< $(filter %.o,$^) $(PROGRAM_LIBS) $(B)/lib/libfaasctl.a $(NL_LIBS)

$(test_shared): $(B)/obj/selftests/%.o: selftests/%.c Makefile | $(headers)
	@mkdir -p $(@D)
	$(CC) $(COMMON) -fvisibility=hidden $(CFLAGS) -c -o $@ $<

$(B)/selftests/%: selftests/%.c $(test_shared) $(B)/lib/libfaasctl.a | $(B)/source
	@mkdir -p $(@D)
	$(PROGRAM) -luring -lpthread

# Tests of domains link that library, too.
domain_tests := $(filter $(B)/selftests/domain_% $(B)/bench/domain $(B)/bench/mixes,$(test_programs) $(bench_programs))
$(domain_tests): $(B)/lib/libfaasdomain.so
$(domain_tests): PROGRAM_LIBS = -L$(B)/lib -lfaasdomain -lm -Wl,-z,now,-rpath,'$$ORIGIN/../lib'

# To be compared with: its malloc() comes behind ours.
$(B)/bench/domain $(B)/bench/mixes: PROGRAM_LIBS += -Wl,--no-as-needed -ljemalloc

# Functions that tests load.
function_sources := $(wildcard selftests/functions/*.c)
functions := $(function_sources:%.c=$(B)/%.so)
$(functions): $(B)/%.so: %.c $(wildcard selftests/functions/*.h) Makefile | $(headers)
	@mkdir -p $(@D)
	$(CC) -shared -fPIC -D_GNU_SOURCE $(WARNINGS) -I$(B)/include $(CFLAGS) -o $@ $<
$(B)/selftests/domain_function_test: $(functions)

# What the tool makes of recorded counters needs no module.
$(B)/selftests/rates_test: $(B)/obj/faasctl/rates.o $(B)/obj/faasctl/bottleneck.o

$(uapi_objects): $(B)/obj/%.o: %.c Makefile | $(headers)
	@mkdir -p $(@D)
	$(CC) $(COMMON) -fvisibility=hidden -Iselftests $(CFLAGS) -c -o $@ $<

# Static: a fork copies what a process has mapped. libnl warns of what is not called.
$(B)/fuzz/uapi: $(uapi_objects) $(test_shared) $(B)/lib/libfaasctl.a
	@mkdir -p $(@D)
	$(CC) -static -Wl,--no-warnings $(LDFLAGS) -o $@ $^ $(NL_LIBS) -lpthread

$(B)/bench/%: bench/%.c $(B)/lib/libfaasctl.a | $(B)/source
	@mkdir -p $(@D)
	$(PROGRAM) -lpthread

# What rw and handoff move bytes by, and how they measure it.
bench_shared := $(patsubst %.c,$(B)/obj/%.o,$(wildcard bench/ways/*.c))
$(bench_shared): $(B)/obj/%.o: %.c Makefile | $(headers)
	@mkdir -p $(@D)
	$(CC) $(COMMON) -fvisibility=hidden $(CFLAGS) -c -o $@ $<
$(B)/bench/rw $(B)/bench/handoff: $(bench_shared)

$(B)/examples/%: examples/%.c $(B)/lib/libfaasctl.a | $(B)/source
	@mkdir -p $(@D)
	$(PROGRAM)

.PHONY: selftests
selftests: $(test_programs) $(functions) $(example_programs) ## build the test programs

.PHONY: modules-for-tests
modules-for-tests:
	@for kernel in $(KERNELS); do \
		$(MAKE) -s module KERNEL=$$kernel; \
	done

.PHONY: detectors-module
detectors-module:
	@$(call farm,detectors,selftests/detectors/Kbuild selftests/detectors/faasin_detectors.c); \
	$(KBUILD) -C "$$kdir" M="$$farm" modules

.PHONY: check check-all
check: tools selftests modules-for-tests ## run all tests on the first of $(KERNELS), on the others all that depend on the kernel
	@vm-test/check $(KERNELS)

check-all: tools selftests modules-for-tests ## run all tests on each of $(KERNELS)
	@vm-test/check --all $(KERNELS)

.PHONY: trust
trust: ## run every lane that looks for the module's bugs (hours; vm-test/trust --help)
	@vm-test/trust

.PHONY: FORCE
trust-%: FORCE ## run one of them: trust-storm, for one
	@vm-test/trust $*

.PHONY: coverage
coverage: ## which lines of the module the tests execute: build/coverage/index.html
	@vm-test/coverage

.PHONY: detectors
detectors: ## see that what finds faults finds them, on the debug kernel
	@selftests/detectors/run

.PHONY: fault
fault: tools selftests ## fail every allocation and every copy in turn, on the debug kernel (ROUNDS=1 STEP=1)
	@vm-test/fault --rounds '$(ROUNDS)' --step '$(STEP)'

# Variables that a user gives: a shell has one called SECONDS that is none of his.
FUZZ_KERNEL ?= debug
FUZZ_SECONDS := $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),300)

.PHONY: fuzz-uapi
fuzz-uapi: tools $(B)/fuzz/uapi ## fuzz all that user space can ask of the module (SECONDS=300 SEED=1 FUZZ_KERNEL=debug CORPUS=)
	@fuzz/uapi-planted --check
	@$(MAKE) -s module KERNEL='$(FUZZ_KERNEL)' KCOV=1
	@vm-test/run --kernel '$(FUZZ_KERNEL)' --timeout $$(($(FUZZ_SECONDS) + 600)) \
		--module '$(B)/kmod-kcov-$(FUZZ_KERNEL)/faasin.ko' --output '$(B)/fuzz/output' -- \
		fuzz/uapi-run --seconds '$(FUZZ_SECONDS)' $(if $(SEED),--seed '$(SEED)') \
		--seeds fuzz/seeds/uapi $(if $(CORPUS),--seeds '$(CORPUS)') --verbose

.PHONY: fuzz-planted
fuzz-planted: ## see that this fuzzer finds bugs that are planted (fuzz/uapi-planted --help)
	@fuzz/uapi-planted

.PHONY: demo
demo: ## install what is missing, build, and stream text through two containers in a guest
	@$(MAKE) deps
	@$(MAKE) -s tools
	@demo/run

.PHONY: bench
bench: tools $(bench_programs) $(B)/userspace/native/bench ## measure: natively, in a guest, in one that counts instructions
	@bench/run

.PHONY: instructions
instructions: ## count the instructions of operations, and fail if they became more than bench/baseline has
	@bench/instructions

# Fuzzers of what user space parses. Everything is built anew for them; what would
# leave the process is replaced (fuzz/harness.c).
FUZZ_CC ?= clang
FUZZ_CFLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_WRAPPED := faasctl__connect genl_ctrl_resolve_grp sendto recvmsg setsockopt setvbuf ppoll sigaction sigprocmask \
	fopen open openat mkdirat unlinkat fstatfs syscall execvp exit

$(B)/fuzz/obj/%.o: %.c VERSION Makefile | $(headers)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(COMMON) -Ifaasctl -Wno-shadow -Wno-missing-prototypes $(NL_CFLAGS) $(TOOL_CFLAGS) $(FUZZ_CFLAGS) -Dmain=faasctl_main -c -o $@ $<

$(B)/fuzz/%_fuzz: $(B)/fuzz/obj/fuzz/%_fuzz.o $(fuzz_objects)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer $(addprefix -Wl$(comma)--wrap=,$(FUZZ_WRAPPED)) -o $@ $^ $(NL_LIBS) $(TOOL_LIBS) $(ELF_LIBS)

$(B)/fuzz/record.so: fuzz/record.c Makefile
	@mkdir -p $(@D)
	$(CC) $(COMMON) $(CFLAGS) $(NL_CFLAGS) -fPIC -shared -o $@ $<

.PHONY: fuzz-programs
fuzz-programs: $(fuzz_programs)
.SECONDARY: $(fuzz_programs:$(B)/fuzz/%=$(B)/fuzz/obj/fuzz/%.o)

.PHONY: fuzz-parsers
fuzz-parsers: ## fuzz what parses in the library and the tool, 20 s a target (needs clang)
	@fuzz/parsers

.PHONY: lint
lint: ## static checks of all code
	@scripts/lint

.PHONY: deps
deps: ## install the packages that building and testing take (uses sudo where needed)
	@scripts/deps

# --- the channel in user space -----------------------------------------------

# The module's files but those that need the VFS, netlink or cgroups, which userspace/world.c
# stands for.
channel_sources := $(filter-out $(patsubst %,kmod/%.c,main fs inode workflow stage link wanted port mapping splice \
	cgroup event netlink netlink_link policy reply),$(patsubst %.o,%.c,$(shell sed -n 's/^faasin-y :*+*= //p' Kbuild)))
userspace_sources := $(channel_sources) $(wildcard userspace/kernel/*.c) userspace/world.c \
	userspace/turns.c userspace/merged.c userspace/crowd.c userspace/deals.c \
	userspace/process.c userspace/lanes.c
# What a process does at its end of a window. What it asks of the system, userspace/process.c answers.
userspace_library := libfaasctl/lane.c libfaasctl/window.c libfaasctl/error.c
USERSPACE_LIBRARY_CFLAGS = -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer $(WARNINGS) -MMD -MP $(NL_CFLAGS) \
	-idirafter $(B)/include $(foreach call,ioctl fcntl close mmap munmap,-D$(call)=process_$(call))
USERSPACE_CC ?= clang
USERSPACE_CFLAGS = -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer $(WARNINGS) -MMD -MP \
	-Wno-sign-compare -Wno-shadow -I$(B)/userspace/include -Iuserspace -iquote kmod \
	-Ilibfaasctl -idirafter $(B)/include \
	-DFAASIN_HAVE_MNT_IDMAP_OPS -DFAASIN_HAVE_SIMPLE_INODE_INIT_TS -DFAASIN_HAVE_VM_FLAGS_SET

# Each header of the kernel's that they name stands for userspace/kernel.h.
$(B)/userspace/include/made: $(channel_sources) $(wildcard kmod/*.h) Makefile
	@rm -rf $(@D)
	@sed -n 's/^#include <\(\(linux\|net\|trace\)\/.*\)>/\1/p' $(filter kmod/%,$^) | sort -u | while read -r name; do \
		mkdir -p "$(@D)/$${name%/*}"; \
		case $$name in linux/types.h | linux/limits.h) echo "#include_next <$$name>" ;; esac >"$(@D)/$$name"; \
		echo '#include "kernel.h"' >>"$(@D)/$$name"; \
	done
	@touch $@

# userspace_variant NAME,FLAGS,MORE: build/userspace/NAME/stress; MORE for the library's sources.
define userspace_variant
userspace_objects += $(patsubst %.c,$(B)/userspace/$(1)/%.o,$(userspace_sources) $(userspace_library) userspace/stress.c)
$(B)/userspace/$(1)/%.o: %.c $(B)/userspace/include/made Makefile | $(headers)
	@mkdir -p $$(@D)
	$$(USERSPACE_CC) $$(USERSPACE_CFLAGS) -DSHIM_YIELDS $(2) -c -o $$@ $$<

$(B)/userspace/$(1)/libfaasctl/%.o: libfaasctl/%.c Makefile | $(headers)
	@mkdir -p $$(@D)
	$$(USERSPACE_CC) $$(USERSPACE_LIBRARY_CFLAGS) $(2) $(3) -c -o $$@ $$<

$(B)/userspace/$(1)/stress: $(patsubst %.c,$(B)/userspace/$(1)/%.o,$(userspace_sources) $(userspace_library) userspace/stress.c)
	$$(USERSPACE_CC) $(2) -o $$@ $$^ -lpthread
userspace_programs += $(B)/userspace/$(1)/stress
endef
ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all
$(eval $(call userspace_variant,tsan,-fsanitize=thread))
$(eval $(call userspace_variant,asan,$(ASAN)))
# Negative controls: what has to be reported.
$(eval $(call userspace_variant,weaken,-fsanitize=thread -DSHIM_WEAKEN,-Wno-builtin-macro-redefined -include userspace/weak.h))
$(eval $(call userspace_variant,short-pages,$(ASAN) -DSHIM_SHORT_PAGES))

# What is measured has no sanitizer, and is built as the rest is.
native_objects := $(patsubst %.c,$(B)/userspace/native/%.o,$(filter-out userspace/lanes.c,$(userspace_sources)) userspace/bench.c)
userspace_objects += $(native_objects)
$(native_objects): $(B)/userspace/native/%.o: %.c $(B)/userspace/include/made Makefile | $(headers)
	@mkdir -p $(@D)
	$(CC) $(USERSPACE_CFLAGS) -O2 -c -o $@ $<

$(B)/userspace/native/bench: $(native_objects)
	$(CC) -o $@ $^ -lpthread
userspace_programs += $(B)/userspace/native/bench

.PHONY: bench-native
bench-native: $(B)/userspace/native/bench ## measure the channel in user space beside pipes and sockets of this machine
	@bench/run --places native

.PHONY: userspace-programs
userspace-programs: $(userspace_programs)

.PHONY: userspace
userspace: ## the channel in user space, under sanitizers and as a model (userspace/run --help)
	@userspace/run

# --- installing ---------------------------------------------------------------

# Only these are the library's interface; its other headers are its own.
lib_headers := $(filter-out %internal.h %private.h,$(wildcard libfaasctl/*.h))

.PHONY: install
install: tools ## install everything, the module through DKMS (DESTDIR, PREFIX)
	install -d '$(DESTDIR)$(bindir)' '$(DESTDIR)$(libdir)/pkgconfig' '$(DESTDIR)$(includedir)/linux' \
		'$(DESTDIR)$(includedir)/faasctl' \
		'$(DESTDIR)$(bashdir)' '$(DESTDIR)$(zshdir)' '$(DESTDIR)$(fishdir)'
	install -m 755 $(B)/bin/faasctl $(if $(HAVE_DOMAINS),$(B)/bin/faasin-host) '$(DESTDIR)$(bindir)'
	install -m 644 $(B)/lib/libfaasctl.a '$(DESTDIR)$(libdir)'
	@for name in libfaasctl $(if $(HAVE_DOMAINS),libfaasdomain); do \
		install -m 644 $(B)/lib/$$name.so.0 '$(DESTDIR)$(libdir)'; \
		ln -sf $$name.so.0 '$(DESTDIR)$(libdir)'/$$name.so; \
		sed 's|^prefix=.*|prefix=$(PREFIX)|' $(B)/lib/$$name.pc >'$(DESTDIR)$(libdir)'/pkgconfig/$$name.pc; \
		chmod 644 '$(DESTDIR)$(libdir)'/pkgconfig/$$name.pc; \
	done
	$(if $(lib_headers),install -m 644 $(lib_headers) '$(DESTDIR)$(includedir)')
	install -m 644 kmod/uapi/faasin.h '$(DESTDIR)$(includedir)/linux/faasin.h'
	$(if $(HAVE_DOMAINS),install -m 644 libfaasdomain/domain.h libfaasdomain/function.h '$(DESTDIR)$(includedir)/faasctl')
	$(if $(HAVE_PYTHON),install -d '$(DESTDIR)$(pythondir)/faasin' && \
		install -m 644 $(B)/python/faasin/_core.so $(python_files) '$(DESTDIR)$(pythondir)/faasin')
	@for page in $(man_pages); do \
		install -D -m 644 "$$page" '$(DESTDIR)$(mandir)'/man"$${page##*.}/$${page##*/}"; \
	done
	@for file in $(completions); do \
		case $$file in \
		*.bash) install -m 644 "$$file" '$(DESTDIR)$(bashdir)/faasctl' ;; \
		*.fish) install -m 644 "$$file" '$(DESTDIR)$(fishdir)' ;; \
		*) install -m 644 "$$file" '$(DESTDIR)$(zshdir)/_faasctl' ;; \
		esac; \
	done
	@scripts/module-install install '$(VERSION)' '$(DESTDIR)' '$(dkmsdir)'
	@[ -n '$(DESTDIR)' ] || ldconfig

.PHONY: uninstall
uninstall: ## undo install
	@scripts/module-install uninstall '$(VERSION)' '$(DESTDIR)' '$(dkmsdir)'
	rm -f '$(DESTDIR)$(bindir)'/{faasctl,faasin-host} '$(DESTDIR)$(libdir)'/libfaas{ctl,domain}.{so.0,so} '$(DESTDIR)$(libdir)/libfaasctl.a' \
		'$(DESTDIR)$(libdir)'/pkgconfig/libfaas{ctl,domain}.pc '$(DESTDIR)$(includedir)/linux/faasin.h' \
		'$(DESTDIR)$(includedir)'/faasctl/{domain,function}.h \
		'$(DESTDIR)$(bashdir)/faasctl' '$(DESTDIR)$(zshdir)/_faasctl' '$(DESTDIR)$(fishdir)/faasctl.fish' \
		$(foreach header,$(notdir $(lib_headers)),'$(DESTDIR)$(includedir)/$(header)')
	@for page in $(notdir $(man_sources:.scd=)); do \
		rm -f '$(DESTDIR)$(mandir)'/man"$${page##*.}/$$page"; \
	done
	$(if $(HAVE_PYTHON),rm -rf '$(DESTDIR)$(pythondir)/faasin')
	@rmdir --ignore-fail-on-non-empty '$(DESTDIR)$(libdir)/pkgconfig' '$(DESTDIR)$(includedir)'/{linux,faasctl} 2>/dev/null || true
	@[ -n '$(DESTDIR)' ] || ldconfig

.PHONY: clean
clean: ## remove build/ (the kernels' cache stays: vm-test/kernels --cache says where)
	rm -rf $(B)

-include $(lib_objects:.o=.d) $(domain_objects:.o=.d) $(host_objects:.o=.d) $(tool_objects:.o=.d) $(test_shared:.o=.d) $(test_programs:=.d) $(example_programs:=.d) $(bench_programs:=.d) $(bench_shared:.o=.d) \
	$(python_objects:.o=.d) $(uapi_objects:.o=.d) $(userspace_objects:.o=.d) \
	$(fuzz_objects:.o=.d) $(fuzz_programs:$(B)/fuzz/%=$(B)/fuzz/obj/fuzz/%.d)
