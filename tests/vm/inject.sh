# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For tests that decide how a function's Enable No Snoop behaves, by the module no_snoop_inject of the
# series; read after live.sh.

CONTROL=/sys/kernel/debug/pci_no_snoop_inject/control

# inject COMMAND...: to the injector
inject() {
	printf '%s' "$*" 2>/dev/null >"$CONTROL"
}

# rescan BDF: removes it and scans its bus again; it is on vfio-pci then
rescan() {
	local bus

	bus=$(dirname -- "$(readlink -f "/sys/bus/pci/devices/$1")")
	echo 1 >"/sys/bus/pci/devices/$1/remove"
	echo 1 >"$bus/rescan" 2>/dev/null || echo 1 >/sys/bus/pci/rescan
	soon test -e "/sys/bus/pci/devices/$1" && vfio_bind "$1"
}
