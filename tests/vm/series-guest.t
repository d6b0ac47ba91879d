#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The Linux guest of linux-guest.t on the kernel series.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.

export SERIES_KERNEL=${SERIES_KERNEL:-patched-7.2}
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/linux-guest.t" "$@"
