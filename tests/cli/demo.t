#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/demo: what it refuses, before anything is obtained, built or started; and what it says before it
# obtains a kernel.

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

# Whoever asks a mirror keeps what was said until then, and gets no answer.
mkdir "$TMP/bin" "$TMP/cache"
cat >"$TMP/bin/apt-get" <<STUB
#!/bin/sh
[ -e "$TMP/said" ] || cp -- "$ERR" "$TMP/said"
exit 1
STUB
chmod 755 "$TMP/bin/apt-get"
ln -s apt-get "$TMP/bin/apt-cache"
# said_by [OPTION]...: what the demo says before it asks for a package
said_by() {
	rm -f -- "$TMP/said"
	XDG_CACHE_HOME=$TMP/cache PATH=$TMP/bin:$PATH runs timeout 60 "$TOP/scripts/demo" "$@"
	is "demo $*: fails without a mirror" "$STATUS" 1
	SAID=$(cat -- "$TMP/said")
}
said_by
like 'it says first how long the kernel takes, and what needs none' "$SAID" \
	'^demo: 1 of 4: .*, patched-7\.2: not in the cache; to build it takes about [0-9]+ minutes .*STOCK=1'
said_by --stock
like '--stock: it says first which kernel it obtains' "$SAID" '^demo: 1 of 4: .*, stock-6\.12$'
is 'asking for a kernel obtains nothing' "$(XDG_CACHE_HOME=$TMP/cache PATH=$TMP/bin:$PATH "$GET_KERNEL" has stock-6.12 2>&1
	echo $?)" 1
done_testing
