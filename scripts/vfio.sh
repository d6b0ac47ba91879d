# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For what runs inside a VM: PCI functions and vfio-pci. Source it.

# vfio_find VENDOR:DEVICE [N]: the address of the Nth such function (the first one), 0000:01:00.0
vfio_find() {
	local dev vendor device n=${2:-1}

	vendor=0x${1%:*} device=0x${1#*:}
	for dev in /sys/bus/pci/devices/*; do
		[[ $(<"$dev/vendor") == "$vendor" && $(<"$dev/device") == "$device" ]] || continue
		((--n)) || {
			basename "$dev"
			return 0
		}
	done
	echo "no PCI function $1" >&2
	return 1
}

# pci_bind BDF DRIVER: takes it from its driver and puts it on this one, whose module is called the same
pci_bind() {
	local dir=/sys/bus/pci/devices/$1

	modprobe "$2" || return
	echo "$2" >"$dir/driver_override" || return
	[[ ! -e $dir/driver ]] || echo "$1" >"$dir/driver/unbind" || return
	echo "$1" >/sys/bus/pci/drivers_probe || return
	[[ $(basename "$(readlink -f "$dir/driver")") == "$2" ]] || {
		echo "$1 does not go on $2" >&2
		return 1
	}
}

# vfio_bind BDF
vfio_bind() {
	pci_bind "$1" vfio-pci
}

# vfio_unbind BDF: without a driver, and free for any
vfio_unbind() {
	local dir=/sys/bus/pci/devices/$1

	[[ ! -e $dir/driver ]] || echo "$1" >"$dir/driver/unbind" || return
	echo >"$dir/driver_override"
}
