# LiteVFS: the front door. Everything a developer or a visitor runs goes through here.
#
#   make run         a sqlite3 shell on a database that lives on a server of its own (data: ./litevfs-data)
#   make test        all tests; ends with "N passed, N failed"
#   make test-unit   cargo test of the extension and of the server
#   make test-sql    tests/sql: SQL scripts through the sqlite3 shell, against the real server
#   make test-sh     tests/sh and tests/py: crashes, faults, caches, other clients, random SQL
#   make test-tcl    tests/tcl: SQLite's own tests with the extension as the default VFS, all of them; takes hours
#   make test-wasm   tests/wasm: the build for browsers in Chromium, beside native clients
#   make test-slow   tests/slow: speedtest1, random SQL, several writers at full size, more than 1 GiB; takes hours
#   make fuzz        tests/fuzz: every decoder and parser against bytes that libFuzzer makes up; SECONDS_EACH=60
#   make bench       the extension beside its peers and plain SQLite, a quarter of an hour; see docs/bench.md
#   make bench-server  the server under load beside the bare disk and bucket; see docs/bench-server.md
#   make lint        format, clippy, no_std, imports, unsafe, ASCII, file lengths
#   make extension   target/release/liblitevfs.so
#   make server      target/release/litevfs-cloud
#   make sqlite3     build/sqlite3: a shell with the extension linked in statically
#   make wasm        target/sqlite3-wasm: SQLite's JavaScript API for browsers with LiteVFS inside
#   make wasm-npm    target/litevfs-VERSION.tgz: the npm package for browsers and Node, and how large it is
#   make demo-web    a server with a sample database, and a page where a browser queries it; PORT=8020
#   make wasm-setup  installs what `make wasm` needs, on Debian
#   make clean       remove what was built (not ./litevfs-data)
#   make help        this list
#
# Variables: SQLITE3 and PYTHON (programs to use), SEEDS and ROUNDS (size of the random and crash
# tests), COMMITS, FAULTS and POINTS (size of the tests with buckets, with a store that fails, of the
# points in a history: full are 10000, 10000 and 100), SIZE (of speedtest1; full 100), WRITER_ROUNDS
# (of several writers against a model; full 100000), TRANSFERS (of several databases), EVERY, FAULT_SEEDS
# and TURNS (of the disks that fail: every k-th call, random scripts), SECONDS_EACH
# (of the fuzzing, and with SPARSE_GB of the loads), RUNS, LATENCY, ROWS, SCENARIOS, TARGETS, GROWTH and TURBOLITE (of `make
# bench`; see tests/bench/compare.py), TESTS ("name name": only these tests), JOBS (how many tests
# run at a time), ACCEPT=1 (rewrite tests/sql/*.expected), SQLITE_SRC (an unpacked
# SQLite source for `make sqlite3`, `make wasm` and `make test-tcl`), EMCC, WASM_CARGO_ENV and
# WASM_CARGO_FLAGS (of `make wasm`; see scripts/build-wasm), CARGO_TARGET_DIR.

CARGO_TARGET_DIR ?= target
SEEDS            ?= 200
ROUNDS           ?= 100
EXT              ?= $(abspath $(CARGO_TARGET_DIR))/release/liblitevfs.so
SERVER           ?= $(abspath $(CARGO_TARGET_DIR))/release/litevfs-cloud
export CARGO_TARGET_DIR SEEDS ROUNDS EXT SERVER
export SQLITE3 PYTHON TESTS JOBS ACCEPT SQLITE_SRC COMMITS TRANSFERS FAULTS POINTS EVERY FAULT_SEEDS TURNS SECONDS_EACH SPARSE_GB SIZE
export EMCC WASM_CARGO_ENV WASM_CARGO_FLAGS
export RUNS LATENCY ROWS SCENARIOS TARGETS GROWTH TURBOLITE

.PHONY: help run test test-unit test-sql test-sh test-tcl test-wasm test-slow fuzz lint bench bench-server extension server sqlite3 wasm wasm-npm demo-web wasm-setup clean

help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile

run:
	@scripts/setup run
	@scripts/build
	@scripts/run

test:
	@scripts/setup test
	@scripts/setup wasm
	@scripts/test unit sql sh tcl wasm

test-unit:
	@scripts/setup build
	@scripts/test unit

test-tcl:
	@scripts/setup test-tcl
	@scripts/test tcl-all

test-wasm:
	@scripts/setup test-wasm
	@scripts/setup wasm
	@scripts/test wasm

test-sql test-sh test-slow:
	@scripts/setup test
	@scripts/test $(@:test-%=%)

fuzz:
	@scripts/setup fuzz
	@scripts/fuzz

lint:
	@scripts/setup lint
	@scripts/lint

bench:
	@scripts/setup bench
	@scripts/bench

bench-server:
	@scripts/setup test
	@scripts/bench-server

extension server:
	@scripts/setup build
	@scripts/build $@

sqlite3:
	@scripts/setup sqlite3
	@scripts/build-sqlite3

wasm:
	@scripts/setup wasm
	@scripts/build-wasm

wasm-npm: wasm
	@scripts/setup wasm-npm
	@scripts/wasm-npm

demo-web: wasm-npm
	@scripts/setup demo
	@scripts/build server
	@scripts/demo-web

wasm-setup:
	@scripts/setup wasm

clean:
	rm -rf "$(CARGO_TARGET_DIR)" build
