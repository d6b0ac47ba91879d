# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# A tree of sysfs and procfs made by hand, for nosnoop --sysroot. Set TREE first.

# bytes INDEX=HEX...: 256 bytes of config space, those not named 00
bytes() {
	local -a b=()
	local i text=''

	for ((i = 0; i < 256; i++)); do b[i]=00; done
	for i; do b[${i%%=*}]=${i#*=}; done
	for i in "${b[@]}"; do text+="\\x$i"; done
	# shellcheck disable=SC2059 # the bytes are the format
	printf "$text"
}

# config TYPE BIT [MASTER]: an endpoint as QEMU's e1000e shows it, of that device/port type, with
# Enable No Snoop 1 or 0: capabilities at c8 (power management), d0 (MSI), e0 (PCI Express)
config() {
	bytes 0=86 1=80 2=d3 3=10 4="0${3:-2}" 6=10 52=c8 200=01 201=d0 208=05 209=e0 \
		224=10 225=00 226="${1}2" 232=10 233="2$((8 * $2))"
}

# function BDF VENDOR DEVICE CLASS [DRIVER]: without IOMMU, group and config space
pci() {
	local dir=$TREE/sys/bus/pci/devices/$1

	mkdir -p "$dir/power" "$TREE/sys/bus/pci/drivers/${5:-none}"
	echo "0x$2" >"$dir/vendor"
	echo "0x$3" >"$dir/device"
	echo "0x$4" >"$dir/class"
	echo active >"$dir/power/runtime_status"
	if [[ ${5-} ]]; then
		ln -sfn "../../drivers/$5" "$dir/driver"
	fi
}

# behind BDF IOMMU ECAP GROUP: puts it behind a VT-d unit; ECAP in hex, bit 7 is Snoop Control
behind() {
	local dir=$TREE/sys/bus/pci/devices/$1 unit=$TREE/sys/class/iommu/$2 group=$TREE/sys/kernel/iommu_groups/$4

	mkdir -p "$unit/intel-iommu" "$group/devices"
	echo "$3" >"$unit/intel-iommu/ecap"
	echo DMA-FQ >"$group/type"
	ln -sfn "../../../../class/iommu/$2" "$dir/iommu"
	ln -sfn "../../../../kernel/iommu_groups/$4" "$dir/iommu_group"
	ln -sfn "../../../../bus/pci/devices/$1" "$group/devices/$1"
}

# process PID COMM START TARGET...: with these descriptors from 3 on
process() {
	local dir=$TREE/proc/$1 fd=3 target i zeros=''

	mkdir -p "$dir/fd" "$dir/fdinfo"
	for ((i = 4; i <= 21; i++)); do zeros+='0 '; done
	printf '%s (%s) S %s%s 0 0\n' "$1" "$2" "$zeros" "$3" >"$dir/stat"
	echo "$2" >"$dir/comm"
	printf '%s\0' "$2" >"$dir/cmdline"
	for target in "${@:4}"; do
		ln -sfn "$target" "$dir/fd/$fd"
		fd=$((fd + 1))
	done
}

SC=f020de # a real unit's Extended Capability Register with Snoop Control
NOSC=f0205a

# Four boxes and what is less certain. Bit 1 cannot be made hardwired without a device.
demo_tree() {
	mkdir -p "$TREE"/{proc,sys/bus/pci/devices,sys/devices/system/cpu,usr/share/misc}
	echo 'Linux version 6.1.99-tree (builder@host) (gcc 12.2.0) #1 SMP' >"$TREE/proc/version"
	echo 0-2,5 >"$TREE/sys/devices/system/cpu/online"
	printf '8086  Intel Corporation\n\t10d3  82574L Gigabit Network Connection\n10de  NVIDIA Corporation\n\t1b80  GP104\n' \
		>"$TREE/usr/share/misc/pci.ids"
	local d=$TREE/sys/bus/pci/devices

	pci 0000:01:00.0 8086 10d3 020000 vfio-pci # box 1
	config 0 1 >"$d/0000:01:00.0/config"
	behind 0000:01:00.0 dmar0 "$SC" 1
	pci 0000:02:00.0 8086 10d3 020000 vfio-pci # box 3
	config 0 1 >"$d/0000:02:00.0/config"
	behind 0000:02:00.0 dmar1 "$NOSC" 2
	pci 0000:03:00.0 144d a808 010802 nvme # 1 or 2: the bit is merely cleared
	config 0 0 >"$d/0000:03:00.0/config"
	behind 0000:03:00.0 dmar0 "$SC" 3
	pci 0000:04:00.0 144d a808 010802 # 3 or 4, unbound
	config 0 0 >"$d/0000:04:00.0/config"
	behind 0000:04:00.0 dmar1 "$NOSC" 4
	pci 0000:05:00.0 8086 10ed 020000 # a VF
	config 0 0 >"$d/0000:05:00.0/config"
	ln -sfn ../0000:03:00.0 "$d/0000:05:00.0/physfn"
	behind 0000:05:00.0 dmar1 "$NOSC" 5
	pci 0000:00:02.0 8086 3e92 030000 i915 # an integrated display, bit cleared
	config 9 0 >"$d/0000:00:02.0/config"
	behind 0000:00:02.0 dmar2 "$NOSC" 6
	pci 0000:06:00.0 10de 1b80 030000 nvidia # a display with a back door
	config 0 1 >"$d/0000:06:00.0/config"
	behind 0000:06:00.0 dmar1 "$NOSC" 7
	pci 0000:07:00.0 8086 10d3 020000 # gone: all ones
	head -c 256 /dev/zero | tr '\0' '\377' >"$d/0000:07:00.0/config"
	behind 0000:07:00.0 dmar0 "$SC" 8
	pci 0000:08:00.0 8086 10d3 020000 # 64 bytes: not root
	config 0 1 | head -c 64 >"$d/0000:08:00.0/config"
	behind 0000:08:00.0 dmar0 "$SC" 9
	pci 0000:09:00.0 8086 10d3 020000 # truncated in the header
	config 0 1 | head -c 20 >"$d/0000:09:00.0/config"
	behind 0000:09:00.0 dmar0 "$SC" 10
	pci 0000:0a:00.0 8086 10d3 020000 # asleep
	config 0 1 >"$d/0000:0a:00.0/config"
	echo suspended >"$d/0000:0a:00.0/power/runtime_status"
	behind 0000:0a:00.0 dmar0 "$SC" 11
	pci 0000:0b:00.0 8086 10d3 020000 # no IOMMU
	config 0 1 >"$d/0000:0b:00.0/config"
	pci 0000:0c:00.0 8086 10d3 020000 # a list of capabilities that bites its tail
	bytes 0=86 1=80 2=d3 3=10 6=10 52=40 64=05 65=40 >"$d/0000:0c:00.0/config"
	behind 0000:0c:00.0 dmar0 "$SC" 12
	process 4711 qemu-system-x86 123456 /dev/vfio/vfio /dev/vfio/2 anon_inode:kvm-vm
	printf 'qemu-system-x86_64\0-name\0guest=web01,debug-threads=on\0' >"$TREE/proc/4711/cmdline"
	process 4712 holder 123999 /dev/vfio/1
}

# large_tree N: that many endpoints behind an IOMMU that can block no-snoop
large_tree() {
	local first=0000:01:00.0 bdf i

	mkdir -p "$TREE"/{proc,usr/share/misc} && cp /usr/share/misc/pci.ids "$TREE/usr/share/misc/" || return
	pci "$first" 8086 10d3 020000 vfio-pci
	config 0 1 >"$TREE/sys/bus/pci/devices/$first/config"
	behind "$first" dmar0 "$SC" 1
	for ((i = 1; i < $1; i++)); do
		printf -v bdf '0001:%02x:%02x.0' $((i >> 5)) $((i & 31))
		cp -a -- "$TREE/sys/bus/pci/devices/$first" "$TREE/sys/bus/pci/devices/$bdf" || return
	done
}
