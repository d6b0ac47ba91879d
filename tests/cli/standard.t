#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The standard files of every tool: an output that is closed, full, or that nobody reads any more.
#
# WBINVDTOP names one binary, the others are beside it (default: build).

set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"
cd -- "$TOP" || exit 1

BUILD=${WBINVDTOP:-$TOP/build/wbinvdtop}
BUILD=$(dirname -- "$BUILD")

# 5 is a pipe that nobody reads
mkfifo "$TMP/fifo"
# shellcheck disable=SC2094
exec 4<>"$TMP/fifo" 5>"$TMP/fifo" 4<&-

# Fields are those of a command of nosnoop.
for tool in wbinvdtop wbinvdbench nosnoop; do
	[[ -x $BUILD/$tool ]] || {
		echo "Bail out! $BUILD/$tool is not built"
		exit 1
	}
	for words in --help --version "${tool/nosnoop/list}"' --list-fields'; do
		words=${words#wbinvd* }
		# shellcheck disable=SC2086 # words they are
		timeout 20 "$BUILD/$tool" $words >&5 2>"$ERR"
		is "$tool $words, and nobody reads it" "$? $(<"$ERR")" '0 '
		# shellcheck disable=SC2086
		timeout 20 "$BUILD/$tool" $words >/dev/full 2>"$ERR"
		is "$tool $words, and the disk is full" "$? $(<"$ERR")" \
			"1 $tool: standard output cannot be written: No space left on device"
	done
	timeout 20 "$BUILD/$tool" >&- 2>"$ERR"
	is "$tool, standard output closed" "$? $(<"$ERR")" "1 $tool: standard output is closed"
done
exec 5>&-
done_testing
