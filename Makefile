# moonwire: libmoonwire.a, the Lua module moonwire/core.so, C tests, and fuzz targets.
#
#   make [FLAVOUR=release|debug|asan|tsan|fuzz|coverage]   the library and the module, in build/<flavour>/
#   make test-c FLAVOUR=asan                               builds and runs all C tests
#   make fuzz                                              builds the fuzz targets (always FLAVOUR=fuzz)
#   make bench                                             builds the programs of bench/ (Linux)
#   make install PREFIX=/usr/local                         command, Lua files, module
#   make install-lib PREFIX=/usr/local                     libmoonwire.a, moonwire.h, moonwire.pc
#
# LuaRocks and distributions may set CC, CFLAGS, LDFLAGS, LIBFLAG, LUA_INCDIR, LIBUV_INCDIR,
# LIBUV_LIBDIR (also CRYPTO_, ZLIB_, JANSSON_, HIREDIS_, and CURL_), LLHTTP_SRC and LLHTTP_INC,
# INST_LIBDIR, INST_LUADIR, INST_BINDIR. WERROR=1 makes warnings errors, for contributors: a newer
# compiler may have new warnings. V=1 shows whole command lines.

FLAVOUR ?= release
B := build/$(FLAVOUR)
PKG_CONFIG ?= pkg-config
OBJCOPY ?= objcopy
NM ?= nm
SYSTEM := $(shell uname -s)
WERROR ?= 0

.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# $(call say,WORD) prints one short line for a command that is not shown. With -s, it prints nothing.
ifneq ($(V),1)
Q := @
say = @$(if $(findstring s,$(firstword -$(MAKEFLAGS))),:,printf '  %-5s %s\n') $(1) $@
endif

# ---- Flavours ------------------------------------------------------------------------------------

# DEBUG_INFO=-g1 keeps the lines of a report and makes a build a quarter shorter.
DEBUG_INFO ?= -g
FLAGS_release := -O2
FLAGS_debug := -O0 -g3
FLAGS_asan := -O1 $(DEBUG_INFO) -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan := -O1 $(DEBUG_INFO) -fno-omit-frame-pointer -fsanitize=thread
FLAGS_fuzz := -O1 $(DEBUG_INFO) -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FLAGS_coverage := -O0 -g --coverage
ifeq ($(FLAGS_$(FLAVOUR)),)
$(error unknown FLAVOUR '$(FLAVOUR)': release, debug, asan, tsan, fuzz or coverage)
endif

ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(FLAVOUR)),clang,cc)
endif

# The caller's CFLAGS come last, so that they take precedence. Ours are required to build and to hide
# symbols. No LTO: localizing symbols needs real object files.
CFLAGS ?=
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes $(if $(filter 1,$(WERROR)),-Werror)
COMMON_FLAGS = $(FLAGS_$(FLAVOUR)) $(CFLAGS) -std=c11 -fPIC -pthread -fno-lto $(CPPFLAGS)
LINK_FLAGS = $(FLAGS_$(FLAVOUR)) $(CFLAGS) -pthread -fno-lto $(LDFLAGS)
ifeq ($(SYSTEM),Darwin)
LIBFLAG ?= -bundle -undefined dynamic_lookup
else
LIBFLAG ?= -shared
endif

# ---- Dependencies --------------------------------------------------------------------------------

# $(call cflags,VAR,package), $(call libs,VAR,package,library): the given directory, else the result
# of pkg-config
cflags = $(if $($(1)_INCDIR),-I$($(1)_INCDIR),$(shell $(PKG_CONFIG) --cflags $(2) 2>/dev/null))
libs = $(if $($(1)_LIBDIR),-L$($(1)_LIBDIR) -l$(3),$(or $(shell $(PKG_CONFIG) --libs $(2) 2>/dev/null),-l$(3)))
# $(call missing,VAR,package,message): empty if it exists
missing = $(if $($(1)_INCDIR),,$(if $(shell $(PKG_CONFIG) --exists $(2) 2>/dev/null && echo yes),,$(3)))

LUA_PC := $(or $(shell for name in lua5.4 lua-5.4 lua54 lua; do \
  $(PKG_CONFIG) --exists "$$name >= 5.4" 2>/dev/null && echo $$name && break; done),lua5.4)
LUA_CFLAGS := $(call cflags,LUA,$(LUA_PC))
# only for programs; a module uses the Lua that loads it
LUA_LIBS = $(shell $(PKG_CONFIG) --libs $(LUA_PC))
LIBUV_CFLAGS := $(call cflags,LIBUV,libuv)
LIBUV_LIBS := $(call libs,LIBUV,libuv,uv)
CRYPTO_CFLAGS := $(call cflags,CRYPTO,libcrypto)
# libssl first: it uses libcrypto
CRYPTO_LIBS := $(if $(CRYPTO_LIBDIR),-L$(CRYPTO_LIBDIR) -lssl -lcrypto,$(or $(shell $(PKG_CONFIG) --libs libssl libcrypto 2>/dev/null),-lssl -lcrypto))
ZLIB_CFLAGS := $(call cflags,ZLIB,zlib)
ZLIB_LIBS := $(call libs,ZLIB,zlib,z)
JANSSON_CFLAGS := $(call cflags,JANSSON,jansson)
JANSSON_LIBS := $(call libs,JANSSON,jansson,jansson)
HIREDIS_CFLAGS := $(call cflags,HIREDIS,hiredis)
HIREDIS_LIBS := $(call libs,HIREDIS,hiredis,hiredis)
# only for the module
CURL_CFLAGS := $(call cflags,CURL,libcurl)
CURL_LIBS := $(call libs,CURL,libcurl,curl)

# llhttp as a library, else Debian's node-llhttp: sources (api.c, http.c, llhttp.c) and a header
ifeq ($(LLHTTP_SRC)$(shell $(PKG_CONFIG) --exists libllhttp 2>/dev/null && echo yes),yes)
LLHTTP_CFLAGS := $(shell $(PKG_CONFIG) --cflags libllhttp)
LLHTTP_LIBS := $(shell $(PKG_CONFIG) --libs libllhttp)
else
LLHTTP_SRC ?= $(patsubst %/llhttp.c,%,$(wildcard /usr/share/llhttp/llhttp.c))
LLHTTP_INC ?= $(patsubst %/llhttp.h,%,$(wildcard /usr/share/include/llhttp/llhttp.h))
LLHTTP_CFLAGS := -I$(LLHTTP_INC) -DLLHTTP_STRICT_MODE=1
LLHTTP_OBJ := $(if $(LLHTTP_SRC),$(patsubst %,$(B)/obj/llhttp/%.o,api http llhttp))
endif

MISSING := $(strip \
  $(call missing,LUA,$(LUA_PC),Lua-5.4-headers[liblua5.4-dev]) \
  $(call missing,LIBUV,libuv,libuv[libuv1-dev]) \
  $(call missing,CRYPTO,libcrypto,OpenSSL[libssl-dev]) \
  $(call missing,ZLIB,zlib,zlib[zlib1g-dev]) \
  $(call missing,JANSSON,jansson,jansson[libjansson-dev]) \
  $(call missing,HIREDIS,hiredis,hiredis[libhiredis-dev]) \
  $(call missing,CURL,libcurl,libcurl[libcurl4-openssl-dev]) \
  $(if $(LLHTTP_LIBS)$(LLHTTP_OBJ),,llhttp[node-llhttp or libllhttp-dev]))
ifneq ($(MISSING),)
ifneq ($(filter-out clean,$(or $(MAKECMDGOALS),all)),)
$(error not found (Debian's package in brackets): $(MISSING). "scripts/install-deps --for demo" installs them, and names the \
  packages of Fedora, Alpine, Arch and Homebrew. pkg-config is needed, too)
endif
endif

# ---- Sources -------------------------------------------------------------------------------------

FLOORS := base codec hub net auth delivery app dialect http script session transport broker server
sources = $(sort $(wildcard csrc/$(1)/*.c))
# with those of its subdirectories
floor_sources = $(sort $(wildcard csrc/$(1)/*.c csrc/$(1)/*/*.c))
objects = $(patsubst csrc/%.c,$(B)/obj/%.o,$(1))

# the browser client is part of the library, so that it is always available
CLIENT_OBJ := $(B)/obj/transport/client_files.o
# as are the scripts that Redis runs
SCRIPTS_OBJ := $(B)/obj/broker/script_texts.o
LIB_OBJ := $(call objects,$(foreach floor,$(FLOORS),$(call floor_sources,$(floor)))) $(CLIENT_OBJ) $(SCRIPTS_OBJ) $(LLHTTP_OBJ)
LUA_OBJ := $(call objects,$(call floor_sources,lua))
LIBRARY := $(B)/libmoonwire.a
MODULE := $(if $(LUA_OBJ),$(B)/moonwire/core.so)
CORE_LIBS := $(LLHTTP_LIBS) $(LIBUV_LIBS) $(CRYPTO_LIBS) $(JANSSON_LIBS) $(HIREDIS_LIBS) $(ZLIB_LIBS)

CPPFLAGS_OURS = -Icsrc/include -Icsrc $(LIBUV_CFLAGS) $(CRYPTO_CFLAGS) $(ZLIB_CFLAGS) $(LLHTTP_CFLAGS) $(JANSSON_CFLAGS) $(HIREDIS_CFLAGS) $(CURL_CFLAGS) $(LUA_CFLAGS)

.PHONY: all lib module tests test-c fuzz bench symbols format docs install install-lib clean FORCE
all: $(if $(filter fuzz,$(FLAVOUR)),fuzz,lib module)
lib: $(LIBRARY)
module: $(MODULE)
# keeps objects, which make would remove as intermediate files
.SECONDARY:

# Rewritten only when the flags change. Then everything is recompiled.
STAMP := $(B)/obj/flags
FLAGS_NOW := $(CC) $(filter-out -Werror,$(WARNINGS)) $(COMMON_FLAGS) $(CPPFLAGS_OURS) $(LIBFLAG) $(LDFLAGS) $(CORE_LIBS)
$(STAMP): FORCE
	@mkdir -p $(@D); printf '%s\n' '$(FLAGS_NOW)' | cmp -s - $@ || printf '%s\n' '$(FLAGS_NOW)' > $@

# strict C11 hides what libuv's header and some files need of POSIX
$(foreach floor,net auth delivery app http script session transport broker server,$(B)/obj/$(floor)/%.o $(B)/obj/test/$(floor)/%.o): FEATURES := -D_XOPEN_SOURCE=700

$(B)/obj/llhttp/%.o: $(LLHTTP_SRC)/%.c $(STAMP)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON_FLAGS) $(LLHTTP_CFLAGS) -w -fvisibility=hidden -c $< -o $@

$(B)/obj/%.o: csrc/%.c $(STAMP)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON_FLAGS) $(FEATURES) $(WARNINGS) $(CPPFLAGS_OURS) -MMD -MP -c $< -o $@

$(CLIENT_OBJ:.o=.c): client/moonwire.js client/moonwire.classic.js scripts/embed
	@mkdir -p $(@D)
	@(echo '#include "transport/client_files.h"'; ./scripts/embed module client/moonwire.js; \
	  ./scripts/embed classic client/moonwire.classic.js) > $@
$(CLIENT_OBJ): $(CLIENT_OBJ:.o=.c) $(STAMP)
	$(call say,CC)
	$(Q)$(CC) $(COMMON_FLAGS) $(WARNINGS) -Icsrc -c $< -o $@

REDIS_SCRIPTS := $(sort $(notdir $(basename $(wildcard csrc/broker/scripts/*.lua))))
$(SCRIPTS_OBJ:.o=.c): $(REDIS_SCRIPTS:%=csrc/broker/scripts/%.lua) scripts/embed
	@mkdir -p $(@D)
	@(echo '#include "broker/scripts.h"'; \
	  for name in $(REDIS_SCRIPTS); do ./scripts/embed --text $$name csrc/broker/scripts/$$name.lua; done; \
	  echo 'const struct link_script broker_scripts[SCRIPT_COUNT] = {'; \
	  for name in $(REDIS_SCRIPTS); do \
	    echo "[SCRIPT_$$(echo $$name | tr a-z A-Z)] = {\"$$name\", {$${name}_text, sizeof $${name}_text}},"; done; \
	  echo '};') > $@
$(SCRIPTS_OBJ): $(SCRIPTS_OBJ:.o=.c) $(STAMP)
	$(call say,CC)
	$(Q)$(CC) $(COMMON_FLAGS) $(WARNINGS) -Icsrc -Icsrc/include -c $< -o $@

# ---- The library ---------------------------------------------------------------------------------

# One object in which only mw_* is global, so that the library cannot conflict with a host program.
$(LIBRARY): $(LIB_OBJ)
	$(call say,LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) -r -nostdlib -o $(B)/obj/moonwire.o $(LIB_OBJ)
ifneq ($(SYSTEM),Darwin)
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='mw_*' $(B)/obj/moonwire.o
endif
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(B)/obj/moonwire.o

# ---- The Lua module ------------------------------------------------------------------------------

ifeq ($(SYSTEM),Darwin)
EXPORTS := -Wl,-exported_symbol,_luaopen_moonwire_core
else
EXPORTS := -Wl,--version-script=$(B)/obj/core.map -Wl,--as-needed
endif

$(B)/moonwire/core.so: $(LUA_OBJ) $(LIB_OBJ)
	$(call say,LINK)
	@mkdir -p $(@D)
	@echo '{ global: luaopen_moonwire_core; local: *; };' > $(B)/obj/core.map
	$(Q)$(CC) $(LIBFLAG) $(LINK_FLAGS) $(EXPORTS) -o $@ $(LUA_OBJ) $(LIB_OBJ) $(CORE_LIBS) $(CURL_LIBS)

# ---- C tests and fuzz targets --------------------------------------------------------------------

# One archive for each floor: a test links only the floors that its own floor may include, so the
# linker checks the table of floors.
floor_archives = $(foreach floor,$(1),$(if $(call floor_sources,$(floor)),$(B)/obj/$(floor).a)) $(if $(LLHTTP_OBJ),$(B)/obj/llhttp.a)
# Tests that need a whole server link all floors.
WHOLE := server broker transport session script http dialect app delivery auth net hub codec base
FLOORS_base := base
FLOORS_codec := codec base
FLOORS_hub := hub base
FLOORS_net := net base
FLOORS_auth := auth base
FLOORS_delivery := delivery auth net hub codec base
FLOORS_app := app auth net hub codec base
FLOORS_dialect := dialect app delivery auth net hub codec base
FLOORS_http := $(WHOLE)
FLOORS_script := $(WHOLE)
FLOORS_session := $(WHOLE)
FLOORS_transport := $(WHOLE)
FLOORS_broker := broker auth net hub codec base
FLOORS_server := $(WHOLE)
FLOORS_lua := lua $(FLOORS_server)
# parsers and pure state, which do not need a loop
FLOORS_fuzz := auth hub codec base
FLOORS_fuzz_resp := broker base
FLOORS_fuzz_push := broker hub base
FLOORS_fuzz_record := broker hub codec base
FLOORS_fuzz_lag := $(FLOORS_server)
FLOORS_fuzz_server := $(FLOORS_server)
FLOORS_fuzz_workers := $(FLOORS_server)

define floor_archive
$(B)/obj/$(1).a: $(2)
	$$(Q)rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
endef
$(foreach floor,$(FLOORS) lua,$(eval $(call floor_archive,$(floor),$(call objects,$(call floor_sources,$(floor))) \
  $(if $(filter transport,$(floor)),$(CLIENT_OBJ)) $(if $(filter broker,$(floor)),$(SCRIPTS_OBJ)))))
$(eval $(call floor_archive,llhttp,$(LLHTTP_OBJ)))

# what tests share: csrc/test/*.c, csrc/test/support with its subdirectories, and the subdirectories of csrc/fuzz that have sources
SUPPORT_OBJ := $(call objects,$(call sources,test) $(call floor_sources,test/support))
FUZZ_SUPPORT_OBJ := $(call objects,$(sort $(wildcard csrc/fuzz/*/*.c)))
$(eval $(call floor_archive,test_support,$(SUPPORT_OBJ)))
$(eval $(call floor_archive,fuzz_support,$(FUZZ_SUPPORT_OBJ)))
SUPPORT := $(if $(SUPPORT_OBJ),$(B)/obj/test_support.a)
FUZZ_SUPPORT := $(if $(FUZZ_SUPPORT_OBJ),$(B)/obj/fuzz_support.a)

# $(call test_program,FLOOR,NAME,OBJECT)
define test_program
TESTS += $(B)/test/$(1)_$(2)
$(B)/test/$(1)_$(2): $(3) $(if $(filter server_workers,$(1)_$(2)),$(FUZZ_SUPPORT)) $(SUPPORT) $(call floor_archives,$(FLOORS_$(1)))
	$$(call say,LINK)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LINK_FLAGS) -o $$@ $$+ -lcmocka $$(CORE_LIBS) $(if $(filter lua,$(1)),$$(LUA_LIBS) $$(CURL_LIBS)) \
	  $(if $(filter broker_simulation broker_scripts,$(1)_$(2)),$$(LUA_LIBS))
endef
$(foreach floor,$(FLOORS) lua,$(foreach file,$(call floor_sources,test/$(floor)),\
  $(eval $(call test_program,$(floor),$(patsubst test_%.c,%,$(notdir $(file))),$(call objects,$(file))))))

define fuzz_program
FUZZERS += $(B)/fuzz/$(1)
$(B)/fuzz/$(1): $(B)/obj/fuzz/fuzz_$(1).o $(FUZZ_SUPPORT) $(SUPPORT) $(call floor_archives,$(or $(FLOORS_fuzz_$(1)),$(FLOORS_fuzz)))
	$$(call say,LINK)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LINK_FLAGS) -fsanitize=fuzzer -o $$@ $$+ $$(CORE_LIBS)
endef
$(foreach file,$(filter csrc/fuzz/fuzz_%,$(call sources,fuzz)),$(eval $(call fuzz_program,$(patsubst fuzz_%.c,%,$(notdir $(file))))))

tests: $(TESTS)
test-c: tests
	@failed=0; for program in $(TESTS); do echo "== $$program"; $$program || failed=1; done; exit $$failed

ifeq ($(FLAVOUR),fuzz)
fuzz: $(FUZZERS)
else
fuzz:
	$(MAKE) FLAVOUR=fuzz fuzz
endif

# ---- Benchmarks: bench/run uses them. They are not installed. -------------------------------------

$(B)/obj/bench/%.o: bench/%.c $(STAMP)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON_FLAGS) -D_GNU_SOURCE $(WARNINGS) -Ibench $(CPPFLAGS_OURS) -MMD -MP -c $< -o $@

bench_objects = $(patsubst %.c,$(B)/obj/%.o,$(sort $(wildcard bench/$(1)/*.c bench/net/*.c)))
define bench_program
BENCH += $(B)/bench/$(1)
$(B)/bench/$(1): $(call bench_objects,$(1)) $(call floor_archives,codec base)
	$$(call say,LINK)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LINK_FLAGS) -o $$@ $$+ $$(LLHTTP_LIBS) $$(CRYPTO_LIBS) $$(ZLIB_LIBS)
endef
$(foreach program,load floor,$(eval $(call bench_program,$(program))))
ifeq ($(SYSTEM),Linux)
bench: $(BENCH)
else
bench:
	@echo 'make: the programs of bench/ need epoll and /proc, which only Linux has' >&2; false
endif

# All global symbols of the library are public, the module exports only its entry, and no symbol of
# ours is missing.
symbols: $(LIBRARY) $(MODULE)
	@! $(NM) -g --defined-only $(LIBRARY) | awk 'NF == 3 && $$3 !~ /^mw_/ { print "not public, but global: " $$3 }' | grep .
ifneq ($(MODULE),)
	@test "$$($(NM) -D --defined-only $(MODULE) | awk '{ print $$NF }')" = luaopen_moonwire_core || \
	  { $(NM) -D --defined-only $(MODULE); echo "$(MODULE) must export luaopen_moonwire_core and nothing else"; false; }
	@! $(NM) -D --undefined-only $(MODULE) | grep -w 'mw_[a-z_]*'
endif

# scripts/test lists the Lua files, with any extension.
format:
	clang-format -i $$(find csrc bench -name node_modules -prune -o -name '*.[ch]' -print)
	node_modules/.bin/stylua $$(./scripts/test --lua-files)

# The documents as a static site, by pandoc
docs:
	scripts/site/build build/docs
	scripts/site/check build/docs

# ---- Installation --------------------------------------------------------------------------------

PREFIX ?= /usr/local
LUA_VERSION ?= 5.4
LUA ?= $(or $(shell command -v lua$(LUA_VERSION) || command -v lua),lua$(LUA_VERSION))
INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
INST_LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
INST_BINDIR ?= $(PREFIX)/bin
LUA_FILES := $(patsubst lua/%,%,$(sort $(shell find lua -name '*.lua' 2>/dev/null)))

install: $(MODULE)
	@test -n '$(MODULE)' || { echo 'make: csrc/lua has no sources, there is no module to install' >&2; exit 1; }
	install -d $(DESTDIR)$(INST_LIBDIR)/moonwire $(DESTDIR)$(INST_BINDIR)
	install -m 755 $(MODULE) $(DESTDIR)$(INST_LIBDIR)/moonwire/core.so
	for file in $(LUA_FILES); do install -d $(DESTDIR)$(INST_LUADIR)/$${file%/*} && \
	  install -m 644 lua/$$file $(DESTDIR)$(INST_LUADIR)/$$file || exit 1; done
	sed '1s|^#!.*|#!/usr/bin/env $(notdir $(LUA))|' bin/moonwire > $(DESTDIR)$(INST_BINDIR)/moonwire
	chmod 755 $(DESTDIR)$(INST_BINDIR)/moonwire

VERSION = $(shell sed -n 's/^\#define MW_VERSION "\(.*\)"/\1/p' csrc/include/moonwire.h)
PC_REQUIRES := libuv libssl libcrypto jansson hiredis zlib $(if $(LLHTTP_OBJ),,libllhttp)
install-lib: $(LIBRARY)
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 644 $(LIBRARY) $(DESTDIR)$(PREFIX)/lib/libmoonwire.a
	install -m 644 csrc/include/moonwire.h $(DESTDIR)$(PREFIX)/include/moonwire.h
	printf '%s\n' 'Name: moonwire' 'Description: Real-time message server' 'Version: $(VERSION)' \
	  'Requires: $(PC_REQUIRES)' 'Libs: -L$(PREFIX)/lib -lmoonwire -pthread' 'Cflags: -I$(PREFIX)/include' \
	  > $(DESTDIR)$(PREFIX)/lib/pkgconfig/moonwire.pc

clean:
	rm -rf build

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d $(B)/obj/*/*/*/*.d)
