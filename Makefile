# Kindling. `make` alone prints the menu and builds nothing; docs/contributing.md explains the rest.
#
# What is built lies under $(BUILD), and a variant has its own folder there:
#   make test                  build/
#   make test SAN=address      build/san-address/     with undefined behaviour; also SAN=thread
#   make test CXX=clang++      build/clang++/
#   make test-f64              build/f64/             real = double
# ARGS="..." is handed to the program that is run; V=1 shows the commands.

MAKEFLAGS += --no-builtin-rules --no-print-directory
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif
# Some goals call make again, and two makes must not build one file at the same time.
ifneq ($(word 2,$(MAKECMDGOALS)),)
ifneq ($(filter test test-f64 fuzz tour record,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif
endif
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:

BUILD  ?= build
PREFIX ?= /usr/local
REAL   ?= float
ifeq ($(origin CXX),default)
CXX := g++
endif
VERSION := $(shell $(CXX) --version 2>/dev/null | head -n 1)
GCC   := $(if $(findstring clang,$(VERSION)),,yes)
Q     := $(if $(V),,@)
comma := ,
space := $(subst ,, )

variant := $(strip $(if $(filter double,$(REAL)),f64) $(if $(SAN),san-$(SAN)) \
                   $(filter-out g++ c++,$(notdir $(firstword $(CXX)))))
O := $(BUILD)$(if $(variant),/$(subst $(space),-,$(variant)))
export KINDLING_BUILD := $(O)
# A request that is too large fails under a sanitizer as it does without.
export ASAN_OPTIONS ?= allocator_may_return_null=1
export TSAN_OPTIONS ?= allocator_may_return_null=1

# ---- Packages ------------------------------------------------------------------------------------
# DEPS is what the tour and the tests need; DEPS_DEV adds the tools of developers. Names of Debian.
DEPS     := g++ pkg-config libfmt-dev libstb-dev libjansson-dev zlib1g-dev catch2 \
            dataset-fashion-mnist curl
DEPS_DEV := clang clang-format libclang-rt-dev g++-aarch64-linux-gnu qemu-user librsvg2-bin \
            graphviz strace

package       = $(shell pkg-config $(1) 2>/dev/null)
PACKAGE_FLAGS := $(call package,--cflags fmt zlib jansson stb)
LIBS          := $(call package,--libs fmt zlib jansson stb) -pthread
# Version 2 of Catch2 is a header alone, version 3 has a library too.
CATCH_LIBS    := $(call package,--libs catch2)

# ---- Flags ---------------------------------------------------------------------------------------
OPT        := $(if $(SAN),-O1,-O2)
# Undefined behaviour is looked for together with bad addresses; SAN=fuzzer (clang only) adds the
# coverage that libFuzzer follows.
SANITIZE   := $(SAN:fuzzer=fuzzer-no-link$(comma)address)
SANITIZE   := $(SANITIZE:%address=%address$(comma)undefined)
DEBUG      := $(if $(SAN),-g1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) \
                          -fno-sanitize-recover=all)
# GCC warns of its own <regex> when it compiles for a sanitizer.
WARN       := -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
              $(if $(SAN),$(if $(GCC),-Wno-maybe-uninitialized))
DEFINES    := $(if $(filter double,$(REAL)),-DKINDLING_DOUBLE) \
              $(if $(filter address fuzzer,$(SAN)),-DKINDLING_ASAN)
TARGET_FLAGS :=
COMPILE     = $(CXX) -std=c++20 $(OPT) $(DEBUG) $(WARN) $(DEFINES) -Iframework $(INCLUDES) \
              $(PACKAGE_FLAGS) -pthread $(TARGET_FLAGS) $(CXXFLAGS) $(BEGIN) -MMD -MP
LINK        = $(CXX) $(DEBUG) $(LDFLAGS)

$(O)/objects/%.o: %.cpp $(O)/flags | packages
	@mkdir -p $(@D)
	@echo "  compile $<"
	$(Q)$(COMPILE) -c $< -o $@ $(AFTER)

# Says in one line what is missing, before the compiler says it in a hundred.
packages:
	@missing=; \
	command -v $(firstword $(CXX)) >/dev/null || missing="$$missing $(firstword $(CXX))"; \
	for p in fmt zlib jansson stb; do \
	  pkg-config --exists $$p 2>/dev/null || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] || { echo "missing:$$missing. Run: make deps"; exit 1; }

# ---- Library: the .cpp files that framework/ORDER names ------------------------------------------
ORDER     := $(shell sed 's/\#.*//' framework/ORDER 2>/dev/null)
MACHINE   := $(shell $(CXX) -dumpmachine 2>/dev/null || uname -m)
# One file for each instruction set, with its own flags; the double build has the scalar one alone.
ISA_NAMES := scalar $(if $(filter double,$(REAL)),,$(if $(filter x86_64%,$(MACHINE)),avx2 avx512) \
                                                   $(if $(filter aarch64% arm64%,$(MACHINE)),neon))
NOT_HERE  := $(filter-out $(ISA_NAMES:%=kernels/isa_%.cpp),$(filter kernels/isa_%.cpp,$(ORDER)))
# A file that ORDER names and that is missing is left out here: `make check` tells of it.
SOURCES   := $(wildcard $(addprefix framework/,$(filter-out $(NOT_HERE),$(filter %.cpp,$(ORDER)))))
OBJECTS   := $(SOURCES:%.cpp=$(O)/objects/%.o)
LIB       := $(O)/libkindling.a

# For another machine only the kernels and what they stand on are compiled, and qemu runs their
# tests: the headers of packages are the same there, the libraries are not.
CROSS := $(if $(filter aarch64%,$(MACHINE)),$(if $(filter aarch64 arm64,$(shell uname -m)),,yes))
ifneq ($(CROSS),)
PACKAGE_FLAGS := -idirafter /usr/include -DFMT_HEADER_ONLY
LIBS       := -pthread -static
CATCH_LIBS :=
SOURCES    := $(filter framework/base/% framework/kernels/%,$(SOURCES))
OBJECTS    := $(SOURCES:%.cpp=$(O)/objects/%.o)
AR         := $(MACHINE)-ar
OBJCOPY    := $(MACHINE)-objcopy
endif

# GCC compiles the files of several folders as one: most of a file's time goes into its headers,
# which are then read once. Clang compiles each alone, and so tells of one that lacks an include.
define together
part := $(filter $(addprefix framework/,$(addsuffix /%,$(2))),$(SOURCES))
$(O)/objects/framework/$(1).o: private PART := $$(part:framework/%=%)
$(O)/objects/framework/$(1).o: $$(part) $(O)/flags | packages
	@mkdir -p $$(@D)
	@echo "  compile framework/: $(2)"
	$$(Q)printf '#include "%s"\n' $$(PART) | $$(COMPILE) -x c++ -c - -o $$@
OBJECTS := $(O)/objects/framework/$(1).o $$(filter-out $$(part:%.cpp=$(O)/objects/%.o),$(OBJECTS))
endef
ifeq ($(GCC)$(CROSS),yes)
$(eval $(call together,engine,base tensor autograd ops))
$(eval $(call together,data,data io))
$(eval $(call together,train,train))
# GCC inlines less once a file is large, which costs a tenth of the graph's speed.
$(O)/objects/framework/engine.o: OPT += --param large-unit-insns=1000000
endif
# Files, options, reports and what a lesson does around its operations take no time that counts.
$(addprefix $(O)/objects/framework/,data.o train.o) $(O)/objects/lessons/%.o: OPT := -O1
# But the ladder of lesson 03 is what is timed: as written, no loop made one over registers unasked.
$(O)/objects/lessons/03-matmul/ladder.o: OPT := -O2 -ffp-contract=fast -fno-tree-vectorize -fno-tree-slp-vectorize

# Every object is made again when the compiler, its flags or the library's list of files change. The
# text is made here and once (:=), since OPT has other values where single objects are made.
STAMP := $(CXX) $(VERSION) $(OPT) $(DEBUG) $(WARN) $(DEFINES) $(CXXFLAGS) \
         $(PACKAGE_FLAGS) $(SOURCES)
$(O)/flags: force
	@mkdir -p $(@D)
	@echo '$(STAMP)' | cmp -s - $@ || echo '$(STAMP)' >$@

kernels := $(O)/objects/framework/kernels
# No kernel looks at errno or at floating-point traps, which would keep a compiler from choosing
# between two vectors. The order of operations stays as it is written.
FAST    := -ffp-contract=fast -fno-math-errno -fno-trapping-math $(if $(GCC),-fno-gnu-unique)
$(kernels)/isa_%.o:      TARGET_FLAGS := $(FAST)
$(kernels)/isa_avx2.o:   TARGET_FLAGS := $(FAST) -mavx2 -mfma
$(kernels)/isa_avx512.o: TARGET_FLAGS := $(FAST) -mavx2 -mfma -mavx512f -mavx512bw -mavx512dq \
                                         -mavx512vl -mprefer-vector-width=512
# Nothing of such a file but its table is seen by others: a function of the standard library that it
# compiled for a wide machine would otherwise stand for that function everywhere.
OBJCOPY ?= objcopy
$(kernels)/isa_%.o:      AFTER = && $(OBJCOPY) -R .group --wildcard \
                                    --keep-global-symbol='*kernels_*' $@

$(LIB): $(OBJECTS)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(OBJECTS)

# ---- Lessons: the first word of each line of lessons/index.txt -----------------------------------
LESSONS         := $(shell sed 's/\#.*//; s/[[:space:]].*//' lessons/index.txt 2>/dev/null)
LESSON_BINARIES := $(LESSONS:%=$(O)/lesson-%)

define lesson_rules
$(O)/lesson-$(1): $(patsubst %.cpp,$(O)/objects/%.o,$(wildcard lessons/$(1)/*.cpp)) $(LIB)
	$$(Q)$$(LINK) $$^ $$(LIBS) -o $$@
$(O)/objects/lessons/$(1)/%.o: INCLUDES := -Ilessons -I$(O)/records/$(1)
$(O)/objects/lessons/$(1)/lesson.o: $(O)/records/$(1)/records.inc
# The recorded runs of a lesson as one C string: for each file a line "# file NAME", then its lines.
$(O)/records/$(1)/records.inc: $(wildcard lessons/$(1)/records lessons/$(1)/records/*.tsv)
	@mkdir -p $$(@D)
	@{ for file in $$(sort $$(filter %.tsv,$$^)); do echo "# file $$$${file##*/}"; cat $$$$file; \
	   done; } | sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' >$$@
	@[ -s $$@ ] || echo '""' >$$@
.PHONY: lesson-$(1) lesson-$(firstword $(subst -, ,$(1)))
lesson-$(1) lesson-$(firstword $(subst -, ,$(1))): $(O)/lesson-$(1)
	@$(O)/lesson-$(1) $$(ARGS)
endef
$(foreach lesson,$(LESSONS),$(eval $(call lesson_rules,$(lesson))))

# ---- Tests and tools -----------------------------------------------------------------------------
objects_of = $(patsubst %.cpp,$(O)/objects/%.o,$(wildcard $(1)))
SUPPORT   := $(call objects_of,$(if $(CROSS),tests/support/main.cpp tests/support/command.cpp, \
                                            tests/support/*.cpp))
# A test is about ten times slower under a sanitizer, so whole trainings that quick runs do as well
# are left out; with ThreadSanitizer all are but those that use threads.
THREAD_TAGS := [threads] [loader] [parallel]
TESTS     := $(call objects_of,$(if $(filter double,$(REAL)),tests/f64/*.cpp, \
                               $(if $(CROSS),tests/test_kernels_*.cpp, \
                               $(if $(filter thread,$(SAN)), \
                                 $(shell grep -lF $(THREAD_TAGS:%=-e '%') tests/test_*.cpp \
                                         tests/lessons/*.cpp), \
                                 tests/test_*.cpp tests/lessons/*.cpp))))
TEST_ARGS := $(strip $(if $(filter thread,$(SAN)),$(subst $(space),$(comma),$(THREAD_TAGS)), \
                       $(if $(SAN),~[long])))
FUZZERS   := $(patsubst tests/fuzz/%.cpp,$(O)/fuzz-%,$(wildcard tests/fuzz/*.cpp))
BENCHES   := $(call objects_of,tests/bench/*.cpp)

$(O)/objects/tests/%.o:       INCLUDES := -Itests -Ilessons
$(O)/objects/tests/%.o:       OPT := -O1
$(O)/objects/tests/bench/%.o: OPT := $(OPT)
# What every test includes, compiled once, with GCC alone, as above.
ifneq ($(GCC),)
$(O)/objects/tests/all.h.gch: INCLUDES := -Itests
$(O)/objects/tests/all.h.gch: $(O)/flags | packages
	@mkdir -p $(@D)
	@printf '#include "%s"\n' support/catch.h ops/ops.h >$(@:.gch=)
	@echo "  compile support/catch.h ops/ops.h"
	$(Q)$(COMPILE) -x c++-header $(@:.gch=) -o $@
$(TESTS): $(O)/objects/tests/all.h.gch
$(TESTS): private BEGIN := -Winvalid-pch -include $(O)/objects/tests/all.h
endif
# This file holds all of Catch2 version 2, which is slow to compile and need not be fast.
$(O)/objects/tests/support/main.o: override OPT := -O0
$(O)/objects/tests/support/main.o: DEFINES += -DCATCH_CONFIG_RUNNER

$(O)/tests: $(TESTS) $(SUPPORT) $(LIB)
	$(Q)$(LINK) $^ $(LIBS) $(CATCH_LIBS) -o $@
# The tests of one file: make build/only/test_tensor
$(O)/only/%: $(O)/objects/tests/%.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	$(Q)$(LINK) $^ $(LIBS) $(CATCH_LIBS) -o $@
$(O)/bench: $(BENCHES) $(LIB)
	$(Q)$(LINK) $^ $(LIBS) -ldl -o $@
$(O)/fuzz-%: $(O)/objects/tests/fuzz/%.o $(LIB)
	$(Q)$(LINK) -fsanitize=fuzzer $^ $(LIBS) -o $@
$(O)/check $(O)/mutants: $(O)/%: $(O)/objects/tests/%.o
	$(Q)$(LINK) $^ $(LIBS) -o $@
$(O)/weave: $(call objects_of,docs/*.cpp)
	$(Q)$(LINK) $^ $(LIBS) -o $@

-include $(shell find $(O)/objects -name '*.d' 2>/dev/null)
# What was moved or removed since is no reason to stop: what was made of it is made again.
framework/%.cpp framework/%.h: ;

# ---- Peers of the bench: other people's libraries, which nothing else uses -----------------------
# Each is a shared object of its own that the bench opens; what cannot be built is left out. Always
# GCC, whose OpenMP these libraries are built with, and for this machine, as Eigen wants it.
PEER_DEPS := libopenblas0-openmp libblis4-openmp libeigen3-dev libxsmm-dev libdnnl-dev python3-torch
PEERS_ALL := $(patsubst tests/bench/%.cpp,$(O)/%.so,$(wildcard tests/bench/peers/*.cpp))
PEERS_ASKED := $(if $(filter-out 0,$(PEERS)),$(PEERS_ALL))
PEER_LIBS := onednn:-ldnnl libxsmm:-lxsmm libxsmm:-lxsmmnoblas
PEER_CPU  := $(if $(shell grep -w avx512f /proc/cpuinfo 2>/dev/null),-march=x86-64-v4, \
                  $(if $(shell grep -w avx2 /proc/cpuinfo 2>/dev/null),-march=x86-64-v3))

$(O)/peers/%.so: tests/bench/peers/%.cpp $(wildcard tests/bench/peers/*.h) $(O)/flags | peer-deps
	@mkdir -p $(@D)
	@rm -f $@
	@echo "  compile $<"
	$(Q)g++ -std=c++20 -O3 -w $(PEER_CPU) -fopenmp -fPIC -shared -isystem /usr/include/eigen3 $< \
	  $(patsubst $*:%,%,$(filter $*:%,$(PEER_LIBS))) -ldl -o $@ 2>$(@:.so=.log) \
	  || echo "# no peer $*: $(@:.so=.log) says why"

# ---- Targets -------------------------------------------------------------------------------------
define install_packages
missing=; for p in $(1); do \
  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' \
    || missing="$$missing $$p"; done; \
if [ -z "$$missing" ]; then \
  $(if $(filter deps deps-dev,$(MAKECMDGOALS)),echo "every package is installed";) exit 0; fi; \
if ! command -v apt-get >/dev/null; then \
  echo "no apt-get here: see to it that these are installed:$$missing"; exit 0; fi; \
echo "installing:$$missing"; \
[ "$$(id -u)" = 0 ] && sudo= || sudo=sudo; \
$$sudo apt-get update -qq || echo "the package lists are not fresh; going on with those at hand"; \
$$sudo env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends $$missing >/dev/null
endef

## For readers

help: ## this menu
	@sed -n -e 's/^## \(.*\)/\n\1/p' \
	        -e 's/^\([a-z][a-zA-Z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) \
	  | expand -t 24

tour: deps ## install what is missing, build, and run every lesson quickly, in order
	@MAKE="$(MAKE)" exec lessons/tour

lessons: $(LESSON_BINARIES) ## build every lesson

lesson-NN: ## build and run one lesson: make lesson-02 ARGS="--quick"
	@echo "NN stands for a number; the lessons are: $(LESSONS)"; exit 2
lesson-%:
	@echo "there is no $@; there are: $(LESSONS)"; exit 2

data-NAME: ## fetch a data set: make data-mnist (datasets/README.md lists them)
	@echo "NAME stands for a data set; datasets/README.md lists them"; exit 2
data-%:
	@datasets/fetch $*

doctor: ## say in plain words what this machine has and lacks
	@DEPS="$(DEPS)" DEPS_DEV="$(DEPS_DEV)" CXX="$(CXX)" tests/doctor

deps: ## install the packages that the tour and the tests need
	@$(call install_packages,$(DEPS))

## For those who change the code

build: $(LIB) ## build the library

test: deps ## build and run the tests; SAN=address or thread for the sanitizers
	@$(MAKE) run-tests

test-f64: deps ## check every gradient in double precision
	@$(MAKE) run-tests REAL=double

test-neon: ## compile the kernels for ARM and run their tests in an emulator
	@command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null || { \
	  echo "missing: the ARM compiler or qemu-aarch64. Run: make deps-dev"; exit 1; }
	@$(MAKE) $(BUILD)/aarch64-linux-gnu-g++/tests CXX=aarch64-linux-gnu-g++
	@KINDLING_BUILD=$(BUILD)/aarch64-linux-gnu-g++ NM=aarch64-linux-gnu-nm \
	  qemu-aarch64 $(BUILD)/aarch64-linux-gnu-g++/tests

check: $(O)/check $(O)/weave $(O)/mutants $(LESSON_BINARIES) ## check order, style, budgets, pages
	@$(O)/check .; order=$$?; $(O)/mutants --check && $(O)/weave --check && exit $$order

docs: $(O)/weave $(LESSON_BINARIES) ## write code, output and numbers into the pages again
	@$(O)/weave

mutants: $(O)/mutants ## apply small wrong edits and see the tests fail; PART=1/6 for a sixth
	@$(O)/mutants $(PART)

fuzz: ## feed damaged input to the parsers (libFuzzer), each for SECONDS=60
	@$(MAKE) run-fuzz CXX=clang++ SAN=fuzzer

bench: $(PEERS_ASKED) $(O)/bench ## measure the speed; BENCH=gemm a part, PEERS=1 other libraries
	@$(O)/bench

record: ## run the experiments that are not yet recorded: make record EXP=fashion-mnist
	@MAKE="$(MAKE)" exec lessons/record $(EXP)

deps-dev: deps ## install the tools of developers: clang, clang-format, cross compiler, ...
	@$(call install_packages,$(DEPS_DEV))

install: override PREFIX := $(abspath $(PREFIX))
install: $(LIB) ## install headers, library and pkg-config file; PREFIX=/usr/local DESTDIR=
	@cd framework && for header in $(filter %.h,$(ORDER)); do \
	  install -D -m 644 $$header $(DESTDIR)$(PREFIX)/include/kindling/$$header \
	  || { echo "choose a folder you may write to: make install PREFIX=..."; exit 1; }; done
	@install -D -m 644 $(LIB) $(DESTDIR)$(PREFIX)/lib/libkindling.a
	@mkdir -p $(DESTDIR)$(PREFIX)/lib/pkgconfig
	@printf '%s\n' 'Name: kindling' 'Description: a deep-learning framework to read' 'Version: 0.2' \
	  'Requires: fmt zlib jansson' 'Cflags: -I$(PREFIX)/include/kindling' \
	  'Libs: -L$(PREFIX)/lib -lkindling -pthread' >$(DESTDIR)$(PREFIX)/lib/pkgconfig/kindling.pc
	@echo "installed in $(DESTDIR)$(PREFIX)"

clean: ## remove what was built
	rm -rf $(BUILD)

# ---- Behind the targets --------------------------------------------------------------------------
# The tests of float run the lessons and the tools, too.
run-tests: $(O)/tests \
           $(if $(filter double,$(REAL)),,$(LESSON_BINARIES) \
             $(if $(filter thread,$(SAN)),,$(O)/bench $(O)/check $(O)/mutants $(O)/weave))
	@$(O)/tests $(if $(TEST_ARGS),"$(TEST_ARGS)") $(ARGS)

peer-deps:
	@$(foreach p,$(PEER_DEPS),( $(call install_packages,$(p)) ) || echo "# no package $(p)";)

run-fuzz: $(FUZZERS)
	@for fuzzer in $(FUZZERS); do mkdir -p $$fuzzer-corpus && echo "$$fuzzer" \
	  && $$fuzzer -max_total_time=$(or $(SECONDS),60) -max_len=4096 -print_final_stats=1 \
	       -artifact_prefix=$$fuzzer- $$fuzzer-corpus tests/fuzz >$$fuzzer.log 2>&1 \
	  && tail -n 6 $$fuzzer.log || { tail -n 30 $$fuzzer.log; exit 1; }; done

force:
.PHONY: help tour lessons lesson-NN data-NAME doctor deps build test test-f64 test-neon check docs \
        mutants fuzz bench record deps-dev install clean packages run-tests run-fuzz peer-deps force
