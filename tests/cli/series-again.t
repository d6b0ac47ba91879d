#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/series, in a tree of its own with nothing to build: that a step passed before says nothing of tests
# in VMs, which depend on more than the patches and know themselves.

set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"

TREE=$TMP/tree
export XDG_CACHE_HOME=$TMP/cache
unset AGAIN SERIES SERIES_KERNEL

mkdir -p "$TREE"/{scripts/config,patches/7.2,patches/debug,tests/vm,base-7.2.1}
cp "$TOP"/scripts/{series,series.sh,lib.sh} "$TREE/scripts"
touch "$TREE"/scripts/{vm,config/base,config/patched,config/debug} "$TREE"/patches/{checkpatch.exceptions,7.2/0001-x.patch} \
	"$TREE/tests/vm/series-x.t"
# shellcheck disable=SC2016 # it is the stub's
printf '#!/bin/bash\n[[ $1 != tree ]] || echo %s/base-7.2.1\n' "$TREE" >"$TREE/scripts/kernel"
for script in prove-again selftests; do
	# shellcheck disable=SC2016 # it is the stub's
	printf '#!/bin/bash\necho "${SERIES_KERNEL-} $*" >>%s/%s\n' "$TREE" "$script" >"$TREE/scripts/$script"
done
chmod +x "$TREE"/scripts/{kernel,prove-again,selftests}

# The steps that need a kernel's source fail here.
"$TREE/scripts/series" >"$TMP/first" 2>&1
"$TREE/scripts/series" >"$TMP/second" 2>&1
like "a step that passed is not repeated" "$(<"$TMP/second")" 'style +-  passed before'
is "tests in VMs are asked each time" "$(cut -d ' ' -f 1 "$TREE/prove-again" | paste -sd ' ')" \
	"patched-7.2 debug-7.2 patched-7.2 debug-7.2"
is "selftests that passed are not repeated" "$(<"$TREE/selftests")" \
	$' -k patched-7.2 iommufd vfio kvm\n -k debug-7.2 --timeout 7200'
echo "# other" >>"$TREE/scripts/vm"
"$TREE/scripts/series" >"$TMP/third" 2>&1
is "selftests: until the test bed changes" "$(wc -l <"$TREE/selftests")" 4
done_testing
