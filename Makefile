# Verbs only; CMake and its presets do the work. `make help` lists them.
JOBS ?= $(shell nproc 2>/dev/null || echo 1)
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
SOAK_RUNS ?= 1000
SOAK_MINUTES ?= 1

.DEFAULT_GOAL := help
.PHONY: help build setup demo check test browser soak asan tsan fuzz bench bench-search bench-gallery bench-train parity accuracy docs cross format install deb clean

# $(call build,preset): configure if needed and build
build = cmake --preset $(1) -DCMAKE_INSTALL_PREFIX=$(PREFIX) >build/$(1).log 2>&1 || { cat build/$(1).log; exit 1; }; \
	cmake --build --preset $(1) -j $(JOBS)
# $(call tests,preset,options): run CTest; its summary comes last
tests = ctest --test-dir build/$(1) --output-on-failure -j $(JOBS) $(2)

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

setup: ## install missing Debian packages
	@scripts/setup

build: ## build the library, the program and the tests (build/release)
	@mkdir -p build
	@$(call build,release)

demo: setup build ## recognise people in sample photographs; writes demo-out/annotated.jpg
	@scripts/demo build/release/mien demo-out

check: setup build ## build and run all tests
	@$(call tests,release)

test: build ## run the quick tests only
	@$(call tests,release,-LE slow)

soak: build ## long runs: many pictures in one process, the server under load; memory must not grow
	@SOAK_RUNS=$(SOAK_RUNS) scripts/soak build/release/mien
	@python3 tests/http/load.py build/release/mien $(SOAK_MINUTES)
	@python3 tests/http/faults.py build/release/mien

browser: setup build ## drive the page in a headless browser; screenshots in build/browser
	@scripts/browser_tools
	@node tests/browser/run.mjs build/release/mien build/browser

asan: setup ## all tests under address and undefined-behaviour sanitizers
	@mkdir -p build
	@$(call build,asan)
	@LSAN_OPTIONS=suppressions=$(CURDIR)/tests/asan.supp:print_suppressions=0 UBSAN_OPTIONS=print_stacktrace=1 $(call tests,asan)

tsan: setup ## all tests under the thread sanitizer
	@mkdir -p build
	@$(call build,tsan)
	@TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp $(call tests,tsan)

fuzz: ## run every fuzz target for FUZZ_SECONDS (default 60)
	@scripts/setup dev
	@mkdir -p build
	@$(call build,fuzz)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz build/fuzz

bench: setup build ## measure speed beside the peers found on this machine
	@python3 bench/run.py

bench-search: setup build ## measure the search index beside FAISS
	@python3 bench/search.py $(BENCH_ARGS)

bench-gallery: setup build ## measure how galleries grow, to a million people (4 GB of disk, some minutes)
	@cmake --build --preset release --target bench_gallery bench_fuse >/dev/null
	@for n in 1000 100000 1000000; do build/release/bench_gallery $$n; build/release/bench_gallery $$n encrypted; done

bench-train: setup build ## measure training beside PyTorch
	@cmake --build --preset release -j $(JOBS) --target mien_both >/dev/null
	@MIEN_LIB=build/release/libmien_both.so python3 bench/train.py

parity: setup build ## hold every model against its reference runtime on real pictures
	@python3 tests/parity/check_models.py --all

accuracy: setup build ## accuracy on labelled pairs, beside the reference runtimes
	@python3 bench/accuracy.py

docs: build ## write the man pages, completions and API pages to build/docs
	@scripts/docs build/release/mien build/docs

cross: ## build for 64-bit Arm and run the tests under qemu-user
	@scripts/setup cross
	@mkdir -p build
	@$(call build,aarch64)
	@$(call tests,aarch64)

format: ## lay out the source with clang-format
	@scripts/check_format --fix

install: build ## install to PREFIX (default /usr/local); DESTDIR is honoured
	@cmake --install build/release --prefix $(PREFIX)

deb: PREFIX = /usr
deb: setup ## build a Debian package into build/package
	@mkdir -p build
	@$(call build,deb)
	@scripts/deb build/deb build/package

clean: ## remove what was built
	rm -rf build demo-out
