#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/prove-again, in a tree of its own: what passed is not run again, until anything is another that
# may decide how it ends.

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"

TREE=$TMP/tree
export XDG_CACHE_HOME=$TMP/cache
# Whoever runs this may have set some of what is tried.
unset AGAIN LONG WBINVDTOP BENCH NOSNOOP CC BED_KERNELS FAULT_KERNEL BENCH_KERNEL SERIES_KERNEL
export OUT=$TREE/build

mkdir -p "$TREE"/{tests/vm,tests/cli,docs/examples,scripts/config,scripts/bench,tools/wbinvdbench,bpf,patches,build}
cp "$TOP"/scripts/{prove-again,lib.sh} "$TREE/scripts"
touch "$TREE"/{docs/verdicts.{awk,md},scripts/{vm,vm-run,guest,vfio.sh,series.sh},tests/cli/nsrec.sh,bpf/x.c,Makefile} \
	"$TREE"/tools/{x.c,wbinvdbench/uapi.h}
# Where there is no such file in the directory "kernels", it is not cached.
cat >"$TREE/scripts/kernel" <<'END'
#!/bin/bash
kernel=${0%/*}/../kernels/$2
[[ $1 != has ]] || exec test -e "$kernel"
[[ -e $kernel ]] || echo "$2" >>"${0%/*}/../built"
[[ ! -e $kernel ]] || cat "$kernel"
END
mkdir "$TREE/kernels"
printf '#!/bin/sh\n' | tee "$TREE/build/wbinvdtop" >"$TREE/elsewhere"
chmod +x "$TREE"/scripts/kernel "$TREE"/build/wbinvdtop "$TREE"/elsewhere

# a_test NAME [LINE]...: a file of tests that passes if none of these lines ends it
a_test() {
	local name=$1

	shift
	printf '%s\n' '#!/bin/bash' "$@" "echo ran >>$TREE/ran" "echo 'ok 1'" 'echo 1..1' >"$TREE/tests/vm/$name.t"
}

# ran [VARIABLE=VALUE]... FILE: how often that is run now
ran() {
	local file=${*: -1}

	rm -f "$TREE/ran"
	env "${@:1:$#-1}" "$TREE/scripts/prove-again" "tests/vm/$file.t" >"$TMP/said" 2>&1
	echo $? >"$TMP/status"
	if [[ -e $TREE/ran ]]; then wc -l <"$TREE/ran"; else echo 0; fi
}

# once NAME [VARIABLE=VALUE]... FILE: is run once, and not again
once() {
	local name=$1

	shift
	is "$name: is run" "$(ran "$@")" 1
	is "$name: once" "$(ran "$@")" 0
}

a_test plain '# LONG CC FAULT_KERNEL BED_KERNELS BENCH_KERNEL'
a_test tools-not '# Uses none of the tools.'
a_test series-x
a_test names '# on patched-7.2'
once "the first time" plain
like "what is not run is named" "$(<"$TMP/said")" 'tests/vm/plain.t: passed before'
is "AGAIN" "$(ran AGAIN=1 plain)" 1

for file in docs/verdicts.md scripts/vm-run scripts/series.sh scripts/vfio.sh tests/cli/nsrec.sh tools/x.c bpf/x.c; do
	echo "# other" >>"$TREE/$file"
	once "$file" plain
done
echo "# other" >>"$TREE/tests/vm/plain.t"
once "the file itself" plain
for setting in LONG=1 FAULT_KERNEL=stock-6.1 BED_KERNELS=stock-6.1 BENCH_KERNEL=stock-6.1 CC=clang; do
	once "$setting" "$setting" plain
done

ran series-x >/dev/null
is "a variable that only others know" "$(ran FAULT_KERNEL=stock-6.1 series-x)" 0

# The sources say nothing about binaries that were not built of them, or with other options.
is "before another binary" "$(ran plain)" 0
once "before another binary: without the tools" tools-not
echo "# other" >>"$TREE/build/wbinvdtop"
once "a binary" plain
is "a binary: not of what uses none" "$(ran tools-not)" 0
once "a binary by its name" WBINVDTOP="$TREE/elsewhere" plain
mkdir "$TREE/other"
once "another directory of binaries" OUT="$TREE/other" plain

once "before another kernel" series-x
once "before another kernel: named in the file" names
echo new >"$TREE/kernels/patched-7.2"
once "a kernel" series-x
once "a kernel: named in the file" names
is "a kernel: another's" "$(ran plain)" 0
ran FAULT_KERNEL=debug-7.2 plain >/dev/null
echo new >"$TREE/kernels/debug-7.2"
once "a kernel: named in the environment" FAULT_KERNEL=debug-7.2 plain
is "a kernel by its path is not known" "$(ran FAULT_KERNEL=/x/bzImage plain; ran FAULT_KERNEL=/x/bzImage plain)" $'1\n1'

is "kernels that are not there are not built" "$(cat "$TREE/built" 2>/dev/null)" ""

# Three tries, and the fourth time too
a_test bad 'echo ran >>'"$TREE/ran" 'echo not ok 1; echo 1..1; exit 1'
is "what fails is tried three times" "$(ran bad)" 3
is "... and the status says so" "$(<"$TMP/status")" 1
is "what failed is run again" "$(ran bad)" 3
# Which bytes passed nobody knows.
a_test slow "[[ -e $TREE/changed ]] || echo '# while it runs' >>$TREE/tools/x.c" "touch $TREE/changed"
is "a source that is changed meanwhile" "$(ran slow)" 1
sed -i '/while it runs/d' "$TREE/tools/x.c"
once "a source that is changed meanwhile, and back" slow
done_testing
