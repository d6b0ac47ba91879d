# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the tests of nosnoop begin with: the TAP functions, and TOOL, which they need no root for. OUT names
# the build directory (default: build), NOSNOOP another binary.

BUILD=$(realpath -- "${OUT:-build}")
# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"
cd -- "$TOP" || exit 1

TOOL=${NOSNOOP:-$BUILD/nosnoop}
[[ -x $TOOL ]] || {
	echo "Bail out! $TOOL is not built"
	exit 1
}
export LC_ALL=C.UTF-8
