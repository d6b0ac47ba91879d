#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/check, in a tree of its own: what was built is what is tested, in whatever directory, and kernels and the series
# are built beside the steps that need none of them.

set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"

TREE=$TMP/tree
unset OUT WBINVDTOP NOSNOOP SAN MAKEFLAGS MAKEOVERRIDES LONG SERIES_KERNEL
# As many CPUs as the tests want, whatever there are.
mkdir -p "$TMP/bin"
# shellcheck disable=SC2016
printf '%s\n' '#!/bin/sh' 'echo "${CPUS:-2}"' >"$TMP/bin/nproc"
chmod +x "$TMP/bin/nproc"
PATH=$TMP/bin:$PATH
mkdir -p "$TREE"/{scripts,tests/cli}
cp "$TOP"/scripts/{check,lib.sh} "$TREE/scripts"
# A build is a file that says which one it is: the one before is there, too.
cat >"$TREE/Makefile" <<'END'
OUT ?= build$(if $(SAN),-san)
all tools units:
	@mkdir -p $(OUT)/unit
	@printf '#!/bin/sh\necho 1..1; echo ok 1; echo new unit %s >>$(CURDIR)/ran\n' '$(SAN)' >$(OUT)/unit/test_some
	@echo 'new tool $(SAN)' >$(OUT)/wbinvdtop
	@chmod +x $(OUT)/unit/test_some
check:
	@scripts/check build unit cli sanitize
END
# shellcheck disable=SC2016 # it is the test's
printf '%s\n' '#!/bin/bash' 'cat "${WBINVDTOP:-build/wbinvdtop}" >>ran' 'echo ok 1; echo 1..1' >"$TREE/tests/cli/options.t"
# shellcheck disable=SC2016
for file in cost watch; do
	printf '%s\n' '#!/bin/bash' "echo $file "'"${NOSNOOP%/*}" >>builds' 'echo ok 1; echo 1..1' >"$TREE/tests/cli/nosnoop-$file.t"
done

# tested NAME COMMAND [ARG]...
tested() {
	local name=$1 dir

	shift
	for dir in build build-san; do
		mkdir -p "$TREE/$dir/unit"
		printf '#!/bin/sh\necho 1..1; echo ok 1; echo OLD unit >>%s/ran\n' "$TREE" >"$TREE/$dir/unit/test_some"
		chmod +x "$TREE/$dir/unit/test_some"
		echo "OLD tool" >"$TREE/$dir/wbinvdtop"
	done
	rm -f "$TREE/ran"
	(cd "$TREE" && "$@") >"$TMP/said" 2>&1
	is "$name: status" $? 0
	is "$name: what was built" "$(sed 's/ *$//' "$TREE/ran" | paste -sd ,)" 'new unit,new tool,new unit 1,new tool 1'
}

tested "make check" make check
tested "make check OUT=" make check OUT="$TMP/other"
tested "OUT in the environment" env OUT="$TMP/third" scripts/check build unit cli sanitize
tested "OUT below the tree" env OUT=fourth scripts/check build unit cli sanitize

# by_build NAME WANTED ARG...: by which builds the tests of nosnoop were run
by_build() {
	local name=$1 wanted=$2

	shift 2
	rm -f "$TREE/builds"
	(cd "$TREE" && scripts/check "$@") >"$TMP/said" 2>&1
	is "$name" "$(sed 's,/.*/,,' "$TREE/builds" | sort | paste -sd ,)" "$wanted"
}

by_build "nosnoop: cost without sanitizers, all else with them" 'cost build,watch build-san' build cli sanitize
by_build "... in the long check all else without, too" 'cost build,watch build,watch build-san' --long build cli sanitize
by_build "... and where there are none" 'cost build,watch build' build cli

# stub NAME TEXT...: a script of it, a line each
stub() {
	printf '%s\n' '#!/bin/bash' "${@:2}" >"$TREE/scripts/$1"
	chmod +x "$TREE/scripts/$1"
}

# kernel COMMAND: what the script that obtains kernels does, here
kernel() {
	# shellcheck disable=SC2016 # it is the stub's
	stub kernel 'echo "kernel $2" >>ran' "$1"
	rm -f "$TREE/ran"
}

# The kernels cannot end before the units ran, nor the series before the tools were in VMs, nor those before the series
# has begun.
stub series 'echo begun >>ran; until grep -q "^vm.*exact" ran; do sleep 0.1; done; echo series | tee -a ran'
# shellcheck disable=SC2016
stub prove-again 'until grep -q begun ran; do sleep 0.1; done; echo "vm $*" >>ran'
# shellcheck disable=SC2016
kernel 'until [[ $2 != stock-6.1 ]] || grep -q unit ran; do sleep 0.1; done; echo "got $2"'
(cd "$TREE" && timeout 60 scripts/check kernels unit series vm series-vm) >"$TMP/said" 2>&1
is "beside: status" $? 0
is "beside: what waits for what" "$(sed -n '/^series\|^begun/p; s/^kernel \(base\|patched\)-.*/\1/p
	/^vm.*exact/s/.*/tools/p; /^vm.*series-/s/.*/series in VMs/p' "$TREE/ran" | paste -sd ,)" 'base,begun,tools,series,patched,series in VMs'
is "beside: what was said" "$(grep -c '^got \|^series' "$TMP/said") $(grep -c '^== .*: passed' "$TMP/said")" '6 5'

# ran NAME WANTED STATUS ARG...: what was done in which order
ran() {
	local name=$1 wanted=$2 status=$3

	shift 3
	rm -f "$TREE/ran" "$TREE"/build/*.log
	(cd "$TREE" && timeout 60 scripts/check "$@") >"$TMP/said" 2>&1
	is "$name" "$? $(cut -d ' ' -f 1 "$TREE/ran" | uniq | paste -sd ,)" "$status $wanted"
}

kernel true
ran "kernels alone" kernel 0 kernels
like "... is said" "$(<"$TMP/said")" 'steps: 1 passed, 0 failed'
stub series 'echo series >>ran; exit 3'
stub prove-again 'echo vm >>ran'
ran "the series alone, which fails" series 1 series
like "... is said" "$(<"$TMP/said")" 'steps that failed: series'
ran "a series that fails: its VMs are tried all the same" kernel,series,kernel,vm 1 kernels series series-vm
stub series 'echo series >>ran'
ran "the long check has nothing beside VMs" kernel,series,vm,kernel,vm 0 --long kernels series vm series-vm
CPUS=1 ran "nor has a machine of one CPU" kernel,series,vm,kernel,vm 0 kernels series vm series-vm
# The second ends when the tools were in VMs.
stub series 'until ! grep -q series ran || grep -q vm ran; do sleep 0.1; done; echo series >>ran'
ran "named twice" kernel,series,vm,series,kernel,vm 0 kernels series series vm series-vm

# shellcheck disable=SC2016
kernel '[[ $2 != stock-6.12 ]]'
(cd "$TREE" && timeout 60 scripts/check kernels unit) >"$TMP/said" 2>&1
is "a kernel that cannot be had: status" $? 1
like "a kernel that cannot be had: said" "$(<"$TMP/said")" 'steps that failed: kernels'
is "a kernel that cannot be had: the next is not tried" "$(grep -c kernel "$TREE/ran")" 2

kernel 'trap "echo ended >>ran; exit 143" TERM; echo ready >>ran; sleep 60 & wait'
# To the whole group, as by Ctrl-C.
printf '%s\n' '#!/bin/bash' 'until grep -q ready ran; do sleep 0.1; done; kill -INT 0; sleep 60' >"$TREE/tests/cli/options.t"
(cd "$TREE" && exec timeout 60 scripts/check kernels cli) >"$TMP/said" 2>&1
is "interrupted: status" $? 130
until_true 60 grep -qx ended "$TREE/ran"
like "interrupted: so is what runs beside" "$(<"$TREE/ran")" 'ended'

# By a signal to it alone, while it waits for them.
rm "$TREE/ran"
(cd "$TREE" && exec scripts/check kernels) >"$TMP/said" 2>&1 &
pid=$!
until_true 60 grep -qs ready "$TREE/ran"
kill "$pid"
took=$SECONDS
wait "$pid"
is "terminated: status" $? 143
compare "... at once" $((SECONDS - took)) -lt 30
until_true 60 grep -qx ended "$TREE/ran"
like "terminated: so is what runs beside" "$(<"$TREE/ran")" 'ended'
done_testing
