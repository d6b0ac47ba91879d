#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/demo: what it refuses, before anything is obtained, built or started.

set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"

while IFS='|' read -r args regex; do
	# shellcheck disable=SC2086 # words of a command line
	refused "$args" 2 "$regex" timeout 20 "$TOP/scripts/demo" $args
done <<'TABLE'
--frob|no option '--frob'
--seconds|--seconds needs a value
--seconds 19|from 20 to 3600, not '19'
--seconds 020|from 20 to 3600, not '020'
--seconds 3601|from 20 to 3600, not '3601'
--stock --advise|exclude each other
--advise --seconds 74|--advise needs --seconds 75 or more
--seconds 74 --advise|--advise needs --seconds 75 or more
TABLE
done_testing
