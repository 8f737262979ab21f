# f6: an event store as a PostgreSQL extension.  `make help` lists the targets.

EXTENSION = f6
EXTVERSION = 0.1
MODULE_big = f6

# The C files of src/, lowest layer first (.ci/check-layers knows which may include which).
SOURCES = \
	guc acting relation registry spi_connection own_statement part time_limit index_plan table_writer jsonb_walk json_tree json_pointer json_patch uuid uuid_array iso_time uri \
	format format_time format_text format_uri format_address format_mail format_host format_idna \
	metaschema schema_document schema_dialect schema_resource schema_regex schema_pattern \
	schema_assertions schema_applicators schema_keywords schema_compile \
	schema_failure schema_content schema_assert schema_validate schema_cache \
	registered_function instruction upcast_steps upcast_chain event_type event_type_trigger zone guard sequence marker waiting horizon lock \
	event_row event_batch event_query event_scan event_basis event_cause event condition event_json event_link event_write event_trigger append validate \
	upcast event_type_check \
	fold_path fold_rules fold_program fold fold_aggregate projection_key projection object_events claim_type question resolution state snapshot snapshot_state provenance asof explain object_history known_claims claim_fold span span_change rectangle timeline field_span kept_field find reading read events_between event_graph consequence decision \
	event_thread projection_direct projection_table projection_source projection_event projection_fold projection_run projection_inline projection_progress projection_making projection_refresh projection_admin projection_live projection_rebuild rebuild_helper \
	subscription subscription_next subscription_deliver subscription_poll subscription_ack subscription_admin subscription_lag notify \
	schedule schedule_admin \
	command_context command command_answer command_run command_execute \
	reaction reaction_handler reaction_due reaction_turn reaction_watch reaction_admin \
	worker_process worker launcher init

# The schemas of JSON Schema itself, by the paths of their URIs; the text is in src/metaschema/.
METASCHEMAS = \
	draft-04/schema draft-06/schema draft-07/schema \
	$(addprefix draft/2019-09/, schema $(addprefix meta/, \
		core applicator validation meta-data format content)) \
	$(addprefix draft/2020-12/, schema $(addprefix meta/, \
		core applicator unevaluated validation meta-data format-annotation format-assertion content))

# The SQL files of sql/ in the order in which CREATE EXTENSION runs them.
SQL_PARTS = \
	schema zone schema_document event_type event horizon upcaster append validate fold snapshot asof explain timeline find read consequence decision projection subscription schedule command reaction cloudevent given access graphql

# The tests, by name: test/sql/*.sql for pg_regress and test/specs/*.spec for the isolation tester;
# their expected output is in expected/.  (PostgreSQL 15 would take a file of sql/ for a test of the
# same name.)  What test/pgtap and test/t hold is found by test/run.
REGRESS = errors json_schema
ISOLATION = append-same-id append-order command condition decision horizon projection register-type register-upcaster schedule

OBJS = $(SOURCES:%=src/%.o)
DATA_built = sql/f6--$(EXTVERSION).sql
EXTRA_CLEAN = .built-for $(DATA_built).new src/metaschema.inc src/metaschema.inc.new

REGRESS_OPTS = --inputdir=test --load-extension=f6
ISOLATION_OPTS = --inputdir=test --load-extension=f6
ifneq (,$(strip $(ISOLATION)))
REGRESS_PREP = output_iso/expected
endif

PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

.DEFAULT_GOAL := all
.PHONY: deps test test-stress bench bench-growth bench-projections bench-subscriptions fuzz demo demo-stop picture format help

ifneq (,$(PGXS))

PCRE2_CFLAGS := $(shell pcre2-config --cflags 2>/dev/null)
PCRE2_LIBS := $(or $(shell pcre2-config --libs8 2>/dev/null),-lpcre2-8)

# The server's headers count as the system's: -Wextra is for f6's own files.  (A folder that is
# given both by -isystem and by -I is searched as the former.)
PG_CPPFLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server) $(PCRE2_CFLAGS)
PG_CFLAGS = -Wextra -fvisibility=hidden
SHLIB_LINK = $(PCRE2_LIBS) -lidn2

# A server configured with LLVM wants bitcode too; do without where its tools are not installed.
PGXS_GLOBAL := $(dir $(PGXS))../Makefile.global
LLVM_TOOLS := $(shell sed -n -e 's/^CLANG *= *//p' -e 's,^LLVM_BINPATH *= *\(.*\),\1/llvm-lto,p' $(PGXS_GLOBAL))
ifneq ($(words $(LLVM_TOOLS)),$(words $(wildcard $(LLVM_TOOLS))))
override with_llvm = no
endif

include $(PGXS)

# PGXS tracks no headers: any change of one rebuilds everything, which takes seconds.  So does a
# build for another server than the last.
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h) Makefile .built-for
src/metaschema.o src/metaschema.bc: src/metaschema.inc

.PHONY: FORCE
.built-for: FORCE
	@echo '$(VERSION) $(PGXS)' | cmp -s - $@ || echo '$(VERSION) $(PGXS)' >$@

# PostgreSQL 15 looks for the expected output of isolation tests below their output folder.
output_iso/expected:
	@$(MKDIR_P) output_iso
	@ln -s ../expected $@

else

.PHONY: all install installcheck uninstall clean
all install installcheck uninstall:
	@echo "f6: '$(PG_CONFIG) --pgxs' names no PostgreSQL to build for." >&2
	@echo "Run 'make deps' (Debian, as root or with sudo), or set PG_CONFIG=/path/to/pg_config." >&2
	@exit 1

clean:
	rm -rf $(OBJS) $(OBJS:.o=.bc) $(MODULE_big).so $(DATA_built) $(EXTRA_CLEAN)
	rm -rf results regression.diffs regression.out output_iso tmp_check log

endif

$(DATA_built): $(SQL_PARTS:%=sql/%.sql) Makefile
	@printf '%s\n' '\echo Use "CREATE EXTENSION f6" to load this file. \quit' >$@.new
	awk 'FNR == 1 { printf "\n-- %s\n\n", FILENAME } { print }' $(filter %.sql,$^) >>$@.new
	@mv $@.new $@

# Each document becomes a path and a string literal of C.
src/metaschema.inc: $(METASCHEMAS:%=src/metaschema/%.json) Makefile
	@for path in $(METASCHEMAS); do \
		echo "{ \"$$path\","; \
		sed -e 's/["\\]/\\&/g' -e 's/.*/"&"/' src/metaschema/$$path.json || exit 1; \
		echo '},'; \
	done >$@.new
	@mv $@.new $@

# The targets below run make anew after `deps`, because only then is there a PGXS to read.
# Installing writes into the server's folders: with sudo where the caller may not.
define build_and_install
$(MAKE) deps
$(MAKE) all COPT=-Werror
if test -w "`$(PG_CONFIG) --pkglibdir`"; then $(MAKE) install; \
else sudo $(MAKE) install PG_CONFIG="`command -v $(PG_CONFIG)`"; fi
endef

deps:
	@PG_CONFIG='$(PG_CONFIG)' .ci/deps

test:
	$(build_and_install)
	@PG_CONFIG='$(PG_CONFIG)' .ci/deps test
	@PG_CONFIG='$(PG_CONFIG)' test/run $(TESTS)

test-stress:
	$(build_and_install)
	@PG_CONFIG='$(PG_CONFIG)' test/run stress
	@PG_CONFIG='$(PG_CONFIG)' F6_HISTORIES=300 test/run t/058_snapshots.pl
	@PG_CONFIG='$(PG_CONFIG)' F6_SEED=random F6_ROUNDS=40 test/run t/060_model.pl
	@PG_CONFIG='$(PG_CONFIG)' F6_SEED=random F6_FOLDS=4000 test/run t/062_fold_rules.pl
	@PG_CONFIG='$(PG_CONFIG)' F6_SEED=random F6_ROUNDS=12 F6_SECONDS=15 test/run t/064_projections.pl

bench:
	$(build_and_install)
	PG_CONFIG='$(PG_CONFIG)' bench/run

bench-growth:
	$(build_and_install)
	PG_CONFIG='$(PG_CONFIG)' bench/growth

bench-projections:
	$(build_and_install)
	PG_CONFIG='$(PG_CONFIG)' bench/projections

bench-subscriptions:
	$(build_and_install)
	PG_CONFIG='$(PG_CONFIG)' bench/subscriptions

fuzz:
	$(build_and_install)
	@PG_CONFIG='$(PG_CONFIG)' .ci/deps fuzz
	@PG_CONFIG='$(PG_CONFIG)' fuzz/run

demo:
	$(build_and_install)
	@PG_CONFIG='$(PG_CONFIG)' docs/demo/run

demo-stop:
	@PG_CONFIG='$(PG_CONFIG)' docs/demo/run stop

picture:
	$(build_and_install)
	@PG_CONFIG='$(PG_CONFIG)' docs/picture/run

format:
	clang-format -i src/*.[ch]

help:
	@echo 'make               build the extension for the server of PG_CONFIG (default: pg_config)'
	@echo 'make install       install it into that server'
	@echo 'make installcheck  regression tests on the running server that PGHOST, PGPORT ... name'
	@echo 'make deps          install what building and testing need (Debian; root or sudo)'
	@echo 'make test          deps (Node.js and pgbouncer too), build, install, and all tests on private servers'
	@echo '                   TESTS="regress pgtap/NAME.sql t/NAME.pl" runs only those'
	@echo 'make test-stress   deps, build, install, a minute of racing writers in each isolation level, 100,000'
	@echo '                   states from snapshots, new random histories against the model, and'
	@echo '                   projections under load, with crashes'
	@echo 'make bench         deps, build, install, and measure on a private server'
	@echo 'make bench-growth  the same for appends to a log of ten million events'
	@echo 'make bench-projections  the same for projections'
	@echo 'make bench-subscriptions  the same for subscriptions'
	@echo 'make fuzz          deps (clang and Node.js too), build, install, and fuzz the validator:'
	@echo '                   libFuzzer for FUZZ_SECONDS (60), then random schemas against ajv'
	@echo 'make demo          deps, build, install, and a scripted session on a private server'
	@echo 'make demo-stop     stop and remove the server of the demo'
	@echo 'make picture       deps, build, install, and draw docs/time.svg from the examples of docs/time.md'
	@echo 'make format        clang-format the C files in place'
	@echo 'make clean         remove what was built'
