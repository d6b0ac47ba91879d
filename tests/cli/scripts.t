#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Every script says how it is used, and refuses what it does not know with one sentence, before it does
# anything else; and what they all do about the cache and about paths.

set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"
cd -- "$TOP" || exit 1

for script in scripts/* scripts/bench/*; do
	[[ -f $script && -x $script ]] || continue
	for option in -h --help; do
		runs timeout 20 "$script" "$option"
		is "$script $option" "$STATUS $(grep -c "^Usage: $script" "$OUT") $(<"$ERR")" "0 1 "
	done
	for bad in --no-such-option -%; do
		refused "$script $bad" 2 "^${script##*/}: .*no (option|command) '$bad'" timeout 20 "$script" "$bad"
	done
done
compare "scripts were found" "$TESTS" -ge 80

# ---- the cache ----------------------------------------------------------------------------------

: >"$TMP/file"
XDG_CACHE_HOME=$TMP/file refused "guest --prepare: the cache cannot be written" 1 \
	"^guest: the cache cannot be written: $TMP/file/" scripts/guest --prepare
XDG_CACHE_HOME=$TMP/cache runs scripts/guest --prepare
ok "guest --prepare prints what there is" test -s "$(<"$OUT")"
runs env -u HOME -u XDG_CACHE_HOME scripts/kernel list
is "no HOME: the list of users says where it is" "$STATUS $(<"$ERR")" '0 '
XDG_CACHE_HOME=here refused "a cache that moves with the directory" 1 \
	'^kernel: there is no place for the cache: set HOME, or XDG_CACHE_HOME' scripts/kernel list

# ---- paths --------------------------------------------------------------------------------------

# Without a slash, too.
refused "vm: a file in the directory at hand" 125 '^vm: file is no bzImage' env -C "$TMP" "$TOP/scripts/vm" -k file -- true
refused "vm: an image that is not there" 125 '^vm: there is no kernel image' scripts/vm -k ./file -- true

mkdir -p "$TMP/built/man"
touch "$TMP"/built/{wbinvdtop,wbinvdbench,nosnoop} "$TMP"/built/man/{wbinvdtop,wbinvdbench,nosnoop}.8
ok "make install: into a directory with a blank in its name" \
	make -s -o all install OUT="$TMP/built" DESTDIR="$TMP/a b" PREFIX="/c d"
is "make install: all files" "$(find "$TMP/a b" -type f | wc -l)" 6
done_testing
