# SPDX-License-Identifier: GPL-2.0
#
# make            build everything into $(OUT)
# make demo       show the main job, in a VM (STOCK=1: on a kernel of Debian)
# make check      tests, as CI runs them     make check-long   the long ones
# make kernel     build the patched kernel   make check-series all checks of the kernel series
# make lint       static checks              make bench        measurements
# make install    DESTDIR= PREFIX=           make help         this text
#
# SAN=1 builds all user code with ASan and UBSan into build-san.

CC	?= gcc
CLANG	?= clang
BPFTOOL	?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
RST2MAN	?= $(firstword $(wildcard /usr/bin/rst2man /usr/bin/rst2man.py) rst2man)
PREFIX	?= /usr/local
DESTDIR	?=
V	?= 0

ifeq ($(SAN),1)
OUT	?= build-san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1
else
OUT	?= build
SANFLAGS :=
endif

ifeq ($(V),0)
Q := @
say = @printf '  %-8s%s\n'
else
Q :=
say = @:
endif

VERSION := 0.1
CFLAGS	?= -O2 -g
WARN	:= -Wall -Wextra -Werror -Wmissing-prototypes -Wshadow \
	   -Wno-missing-field-initializers
ALLCFLAGS = -std=gnu11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' $(WARN) $(CFLAGS) $(SANFLAGS) \
	    -Itools/lib -I$(OUT) -MMD -MP
LDLIBS	:= -lbpf -lelf -lz -ljansson -lpci -lpthread -lm
CURSES	:= -lncursesw -ltinfo

TOOLS	:= wbinvdtop wbinvdbench nosnoop
LIBOBJ	:= $(patsubst tools/%.c,$(OUT)/obj/%.o,$(wildcard tools/lib/*.c))
TOPOBJ	:= $(patsubst tools/%.c,$(OUT)/obj/%.o,$(wildcard tools/wbinvdtop/*.c))
BENCHOBJ := $(patsubst tools/%.c,$(OUT)/obj/%.o,$(wildcard tools/wbinvdbench/*.c))
NSOBJ	:= $(patsubst tools/%.c,$(OUT)/obj/%.o,$(wildcard tools/nosnoop/*.c))
UNITS	:= $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZERS	:= $(patsubst tests/fuzz/%.c,$(OUT)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
MANS	:= $(patsubst tools/man/%.rst,$(OUT)/man/%,$(wildcard tools/man/*.8.rst))

.PHONY: all bpf tools man units fuzzers check check-long check-series kernel lint bench demo install clean help deps
.DELETE_ON_ERROR:
.SECONDARY:

all: tools man

help:
	@sed -n '3,11s/^# \{0,1\}//p' Makefile

# Names what is missing (with the one line that installs it) before a compiler
# can fail on it.  Root installs it from the targets that need nothing else.
deps:
	@scripts/deps build

$(OUT)/.deps: scripts/deps
	@mkdir -p $(@D)
	@scripts/deps build
	@touch $@

tools: $(addprefix $(OUT)/,$(TOOLS))
bpf: $(OUT)/wbinvd.bpf.o $(OUT)/dmalog.bpf.o $(OUT)/told.bpf.o $(OUT)/cfgwrite.bpf.o
man: $(MANS)
units: $(UNITS)
fuzzers: $(FUZZERS)

# BPF: each object has one skeleton, and one file knows it.
BPFHDR := $(wildcard bpf/*.h)
$(OUT)/%.bpf.o: bpf/%.bpf.c $(BPFHDR) | $(OUT)/.deps
	$(say) BPF $@
	$(Q)$(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Wextra -Werror -Wno-unused-parameter \
		-idirafter /usr/include/$(shell $(CC) -print-multiarch) \
		-c $< -o $@

$(OUT)/%.skel.h: $(OUT)/%.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(OUT)/obj/wbinvdtop/bpf_obj.o: $(OUT)/wbinvd.skel.h
$(OUT)/obj/lib/dmalog.o: $(OUT)/dmalog.skel.h
$(OUT)/obj/wbinvdtop/src_told.o: $(OUT)/told.skel.h
$(OUT)/obj/nosnoop/guestwrites.o: $(OUT)/cfgwrite.skel.h

$(OUT)/rule_table.h: docs/rule.md tools/nosnoop/rule.awk
	@mkdir -p $(@D)
	$(Q)awk -v mode=c -f tools/nosnoop/rule.awk docs/rule.md > $@

$(NSOBJ): $(OUT)/rule_table.h

$(OUT)/obj/%.o: tools/%.c | $(OUT)/.deps
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALLCFLAGS) -MMD -MP -c $< -o $@

$(OUT)/lib.a: $(LIBOBJ)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/wbinvdtop.a: $(filter-out %/main.o,$(TOPOBJ))
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/wbinvdbench.a: $(filter-out %/main.o,$(BENCHOBJ))
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/nosnoop.a: $(filter-out %/main.o,$(NSOBJ))
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/wbinvdtop: $(OUT)/obj/wbinvdtop/main.o $(OUT)/wbinvdtop.a $(OUT)/lib.a
	$(say) LINK $@
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(CURSES) $(LDLIBS)

$(OUT)/wbinvdbench: $(OUT)/obj/wbinvdbench/main.o $(OUT)/wbinvdbench.a $(OUT)/lib.a
	$(say) LINK $@
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)

$(OUT)/nosnoop: $(OUT)/obj/nosnoop/main.o $(OUT)/nosnoop.a $(OUT)/lib.a
	$(say) LINK $@
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)

$(OUT)/unit/test_ns_%: tests/unit/test_ns_%.c $(OUT)/nosnoop.a $(OUT)/lib.a
	@mkdir -p $(@D)
	$(say) TEST $@
	$(Q)$(CC) $(ALLCFLAGS) -Itools $< $(filter %.a,$^) -o $@ -lcmocka $(LDLIBS)

$(OUT)/unit/%: tests/unit/%.c $(OUT)/wbinvdtop.a $(OUT)/wbinvdbench.a $(OUT)/lib.a
	@mkdir -p $(@D)
	$(say) TEST $@
	$(Q)$(CC) $(ALLCFLAGS) -Itools $< $(filter %.a,$^) -o $@ -lcmocka $(CURSES) $(LDLIBS)

# Fuzzers want every source instrumented: they have objects of their own.
FUZZCC	= $(CLANG) -std=gnu11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' $(WARN) -g -O1 -I$(OUT) -Itools -Itools/lib -MMD -MP
FUZZLIB	:= $(patsubst tools/%.c,$(OUT)/fuzz/obj/%.o,$(wildcard tools/lib/*.c))
FUZZTOP	:= $(patsubst tools/%.c,$(OUT)/fuzz/obj/%.o,$(filter-out %/main.c %/bpf_obj.c %/bpf_read.c %/bpf_victims.c %/src_bpf.c %/src_told.c, \
	   $(wildcard tools/wbinvdtop/*.c)))
FUZZNS	:= $(patsubst tools/%.c,$(OUT)/fuzz/obj/%.o,$(filter-out %/main.c,$(wildcard tools/nosnoop/*.c)))
$(OUT)/fuzz/obj/lib/dmalog.o: $(OUT)/dmalog.skel.h
$(OUT)/fuzz/obj/nosnoop/guestwrites.o: $(OUT)/cfgwrite.skel.h
$(FUZZNS): $(OUT)/rule_table.h

$(OUT)/fuzz/obj/%.o: tools/%.c | $(OUT)/.deps
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(FUZZCC) -fsanitize=fuzzer-no-link,address,undefined -c $< -o $@

$(OUT)/fuzz/fuzz_nosnoop: tests/fuzz/fuzz_nosnoop.c $(FUZZLIB) $(FUZZNS)
	$(say) FUZZ $@
	$(Q)$(FUZZCC) -fsanitize=fuzzer,address,undefined $< $(filter %.o,$^) -o $@ $(LDLIBS)

$(OUT)/fuzz/%: tests/fuzz/%.c $(FUZZLIB) $(FUZZTOP)
	$(say) FUZZ $@
	$(Q)$(FUZZCC) -fsanitize=fuzzer,address,undefined $< $(filter %.o,$^) -o $@ $(CURSES) $(LDLIBS)

$(OUT)/man/%: tools/man/%.rst $(wildcard tools/man/*.rsti) | $(OUT)/.deps
	@mkdir -p $(@D)
	$(say) MAN $@
	$(Q)$(RST2MAN) --strict $< $@

check:
	@scripts/check

check-long:
	@scripts/check --long

check-series: tools
	@scripts/series

kernel:
	@scripts/deps kernel
	@scripts/kernel get patched-7.2

lint:
	@scripts/lint

bench:
	@OUT=$(OUT) scripts/bench/all $(BENCH)

demo:
	@scripts/demo $(if $(STOCK),--stock)

install: all
	install -d "$(DESTDIR)$(PREFIX)/sbin" "$(DESTDIR)$(PREFIX)/share/man/man8"
	install -m 755 $(addprefix $(OUT)/,$(TOOLS)) "$(DESTDIR)$(PREFIX)/sbin"
	install -m 644 $(MANS) "$(DESTDIR)$(PREFIX)/share/man/man8"

clean:
	rm -rf build build-san

-include $(wildcard $(OUT)/obj/*/*.d $(OUT)/fuzz/*.d $(OUT)/fuzz/obj/*/*.d)
