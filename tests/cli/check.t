#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/check, in a tree of its own: what was built is what is tested, in whatever directory.

set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"

TREE=$TMP/tree
unset OUT WBINVDTOP NOSNOOP SAN MAKEFLAGS MAKEOVERRIDES
mkdir -p "$TREE"/{scripts,tests/cli}
cp "$TOP/scripts/check" "$TREE/scripts"
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
printf '%s\n' '#!/bin/bash' 'cat "${WBINVDTOP:-build/wbinvdtop}" >>ran' 'echo ok 1; echo 1..1' >"$TREE/tests/cli/x.t"

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
done_testing
