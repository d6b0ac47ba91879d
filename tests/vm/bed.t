#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The test bed itself: every promise of scripts/kernel and scripts/vm.
#
# LONG: when set, on every kernel, and what takes long
# BED_KERNELS: the kernels to boot (default: all with LONG, otherwise one)

# shellcheck disable=SC2317 # functions are passed by name
set -u

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

LONG=${LONG:-}
ALL="stock-6.1 stock-6.12 stock-7.2 base-7.2"
read -ra KERNELS <<<"${BED_KERNELS:-${LONG:+$ALL}}"
((${#KERNELS[@]})) || KERNELS=(stock-6.12)
# What no KVM matters to is tried on what boots in half the time; with LONG on the default kernel.
LEAN=(-k base-7.2 --no-kvm) ANY=()
[[ $LONG ]] || ANY=("${LEAN[@]}")

# ---- what needs no VM --------------------------------------------------------------------------

refused "unknown option" 2 "no option '--frobnicate'" "$VM" --frobnicate -- true
refused "no command" 2 "no command" "$VM" -c 1
refused "no command after --" 2 "no command" "$VM" --
refused "command without --" 2 "'--' is missing" "$VM" true
refused "option without its value" 2 "needs a value" "$VM" -c
for bad in 12abc '' -1 0 65 99999999999999999999 1.5 ' 1' 08; do
	refused "-c '$bad'" 2 "takes a number" "$VM" -c "$bad" -- true
done
refused "-m too small" 2 "takes a number" "$VM" -m 1 -- true
refused "--timeout 0" 2 "takes a number" "$VM" --timeout 0 -- true
refused "--iommu" 2 "intel amd none" "$VM" --iommu arm -- true
refused "--snoop-control" 2 "on off" "$VM" --snoop-control=maybe -- true
refused "--snoop-control without that IOMMU" 2 "needs --iommu intel" \
	"$VM" --iommu amd --snoop-control on -- true
refused "--icount with a thread per CPU" 2 "not --tcg multi" "$VM" --icount --tcg multi -- true
refused "--env without a value" 2 "NAME=VALUE" "$VM" --env FOO -- true
refused "-M with a name" 2 "its own modules" "$VM" -k stock-6.12 -M / -- true
refused "an empty device" 2 "takes a QEMU device" "$VM" --device '' -- true
refused "no such image" 125 "no kernel image" "$VM" -k /nonexistent/bzImage -- true
runs "$VM" -k stock-9.9 -- true
is "no such kernel" "$STATUS" 125
runs "$VM" --help
like "help" "$STATUS $(<"$OUT")" '^0 Usage: .*125.*126'

refused "kernel: unknown name" 2 "there are: stock-6.1 " "$GET_KERNEL" path stock-5.10
refused "kernel: unknown command" 2 "no command" "$GET_KERNEL" frob
refused "kernel: no command" 2 "command is missing" "$GET_KERNEL"
refused "kernel: tree of a stock kernel" 2 "not built here" "$GET_KERNEL" tree stock-6.12

# ---- the formats of reports, as kernels print them -----------------------------------------------

report() {
	grep -qE -f <(grep '^[^#]' "$TOP/scripts/config/reports") <<<"$1"
}

no_report() {
	! report "$1"
}

while IFS= read -r line; do
	ok "a report: $line" report "$line"
done <<'END'
WARNING: CPU: 0 PID: 1 at arch/x86/kvm/x86.c:12 kvm_arch_unregister_noncoherent_dma+0x1b/0x20 [kvm]
WARNING: arch/x86/kvm/x86.c:14061 at kvm_arch_unregister_noncoherent_dma+0x1b/0x20 [kvm], CPU#1: qemu/93
WARNING: at lkdtm_WARNING+0xf/0x20 [lkdtm], CPU#1: sh/93
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: inconsistent lock state
WARNING: suspicious RCU usage
WARNING: bad unlock balance detected!
INFO: task modprobe:123 blocked for more than 120 seconds.
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: INFO: rcu_sched self-detected stall on CPU
BUG: KASAN: slab-use-after-free in vfio_pci_core_close_device+0x1/0x2
BUG: kernel NULL pointer dereference, address: 0000000000000008
BUG: unable to handle page fault for address: ffffc90000a00000
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580
BUG: scheduling while atomic: swapper/0/0/0x00000002
watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [kworker/0:1:10]
NMI watchdog: Watchdog detected hard LOCKUP on cpu 27
watchdog: Watchdog detected hard LOCKUP on cpu 3
watchdog: CPU28: Watchdog detected hard LOCKUP on cpu 28
CPU1: Watchdog detected hard LOCKUP on cpu 1
UBSAN: array-index-out-of-bounds in drivers/vfio/pci/vfio_pci_config.c:1:2
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
kernel BUG at mm/slub.c:312!
Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP
Oops: 0002 [#1] PREEMPT SMP NOPTI
general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP
invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100
END
while IFS= read -r line; do
	ok "no report: $line" no_report "$line"
done <<'END'
This is not a bug
Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2
rcu: INFO: something else
debug: BUGs are reported as BUG: lines
NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
watchdog: Delayed init of the lockup detector failed: -19
Warning: unable to open an initial console.
WARNING: Support for unprivileged eBPF will be removed
DMAR: No RMRR found
END

# ---- the cache, with packages made here --------------------------------------------------------

# A package manager that knows one small kernel package and counts the downloads. PACE is how many
# seconds a download takes.
fake_apt() {
	local root=$TMP/deb release=6.12.999+deb99-amd64

	mkdir -p "$TMP/bin" "$root/DEBIAN" "$root/boot" "$root/lib/modules/$release/kernel"
	printf 'Package: linux-image-%s\nVersion: 6.12.999-1\nArchitecture: all\n%s\n' "$release" \
		$'Maintainer: nobody <nobody@example.org>\nDescription: a test' >"$root/DEBIAN/control"
	echo image >"$root/boot/vmlinuz-$release"
	echo config >"$root/boot/config-$release"
	: >"$root/boot/System.map-$release"
	: >"$root/lib/modules/$release/modules.order"
	: >"$root/lib/modules/$release/modules.builtin"
	dpkg-deb -b "$root" "$TMP/linux.deb" >/dev/null
	cat >"$TMP/bin/apt-get" <<-END
		#!/bin/bash
		[[ " \$* " != *" indextargets "* ]] || { echo "http://example.invalid/ bookworm main"; exit; }
		[[ " \$* " == *" download "* ]] || exit 0
		echo download >>"$TMP/downloads"
		head -c 100 "$TMP/linux.deb" >linux-image.deb
		sleep "\${PACE:-0}"
		cp "$TMP/linux.deb" linux-image.deb
	END
	cat >"$TMP/bin/apt-cache" <<-END
		#!/bin/bash
		case " \$* " in
		*" pkgnames "*) [[ \${EMPTY:-} ]] || echo linux-image-$release ;;
		*" policy linux-image-"*) [[ \${EMPTY:-} ]] || echo "  Candidate: 6.12.999-1" ;;
		esac
	END
	chmod +x "$TMP/bin"/*
}

# fake [exec] COMMAND...: with that package manager and a cache of its own
fake() {
	local -x PATH=$TMP/bin:$PATH XDG_CACHE_HOME=$TMP/cache

	"$@"
}

fake_apt
EMPTY=1 runs fake "$GET_KERNEL" get stock-6.12
is "a package that cannot be had" "$STATUS" 1
like "... names the suites that were tried" "$(tail -n 1 "$ERR")" \
	'^kernel: no package of Linux 6.12 can be had; suites tried: system .*bookworm-backports.* trixie'
(export PACE=20 && fake exec "$GET_KERNEL" get stock-6.12) >/dev/null 2>&1 &
pid=$!
until_true 60 test -e "$TMP/downloads"
sleep 0.5
kill "$pid"
wait "$pid"
is "an interrupted download ends at once" $? 143
is "... and leaves nothing behind" "$(find "$TMP/cache/dma-coherency/tmp" \
	"$TMP/cache/dma-coherency/kernels" -mindepth 1 2>/dev/null)" ""
: >"$TMP/downloads"
for i in 1 2 3; do
	PACE=1 fake "$GET_KERNEL" path stock-6.12 >"$TMP/path.$i" 2>"$TMP/err.$i" &
done
wait
is "three at once download once" "$(wc -l <"$TMP/downloads")" 1
ok "... and all get it" cmp "$TMP/path.1" "$TMP/path.3"
is "... which is the image" "$(cat "$(<"$TMP/path.2")")" image
is "its version" "$(fake "$GET_KERNEL" version stock-6.12)" 6.12.999+deb99-amd64
ok "its modules" test -d "$(fake "$GET_KERNEL" modules stock-6.12)/lib/modules/6.12.999+deb99-amd64"
like "the list" "$(fake "$GET_KERNEL" list)" $'stock-6.1 -\nstock-6.12 6.12.999\\+deb99-amd64\nstock-7.2 -'

mkdir "$TMP/cache/dma-coherency/kernels/stock-6.12/old" "$TMP/cache/dma-coherency/tmp/4194305.x"
ok "prune" fake "$GET_KERNEL" prune
is "... leaves what is in use" "$(cd "$TMP/cache/dma-coherency" && find tmp kernels -mindepth 1 -maxdepth 2 |
	sort | tr '\n' ' ')" \
	"kernels/stock-6.12 kernels/stock-6.12/6.12.999+deb99-amd64_6.12.999-1-2 kernels/stock-6.12/current "
ok "... and usable" test -e "$(fake "$GET_KERNEL" path stock-6.12)"

# ---- what every VM has -------------------------------------------------------------------------

# Runs in the VM; prints KEY=VALUE lines.
cat >"$TMP/probe" <<'END'
cd /
echo release=$(uname -r)
echo user=$(id -u)
echo pwd=$OLDPWD
echo path=$PATH
echo extra=$EXTRA
echo home=$HOME
echo leak=$LEAK
for dir in proc sys dev dev/pts dev/shm run sys/kernel/debug sys/kernel/tracing sys/fs/cgroup sys/fs/bpf; do
	while read -r _ at type _; do
		[ "$at" != "/$dir" ] || echo "mount.$dir=$type"
	done </proc/mounts
done
echo lo=$(cat /sys/class/net/lo/operstate) $(cat /sys/class/net/lo/flags)
[ -c /dev/kvm ] && echo kvm=yes || echo kvm=no
grep -q '^kvm_amd ' /proc/modules && echo kvm_amd=yes || echo kvm_amd=no
modprobe vfio-pci && echo vfio=$(cat /sys/module/vfio_pci/initstate)
[ -e /lib/modules/$(uname -r)/modules.dep ] && echo modules=yes
echo cpus=$(nproc)
echo kib=$(sed -n 's/^MemTotal: *//p' /proc/meminfo)
ls /sys/class/iommu | sed 's/^/iommu=/'
[ ! -e /sys/class/iommu/dmar0 ] || echo ecap=$(cat /sys/class/iommu/dmar0/intel-iommu/ecap)
for dev in /sys/bus/pci/devices/*; do
	[ "$(cat $dev/vendor)$(cat $dev/device)" != 0x80860x10d3 ] || readlink -f $dev | sed 's/^/e1000e=/'
done
echo clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
END

snoop_bit() {
	echo $((16#$(value ecap) >> 7 & 1))
}

export LEAK=leaked
snoop=on
for kernel in "${KERNELS[@]}"; do
	release=$("$GET_KERNEL" version "$kernel") || release=
	cd "$TMP" || exit
	vm -k "$kernel" --snoop-control $snoop --device e1000e --env EXTRA='a b' -- sh "$TMP/probe"
	cd "$TOP" || exit
	[[ "$STATUS $(value release)" == "0 $release" ]]
	verdict "$kernel: boots" $? "status $STATUS, Linux $(value release), wanted $release" "$(<"$ERR")"
	is "$kernel: root" "$(value user)" 0
	is "$kernel: the same working directory" "$(value pwd)" "$TMP"
	like "$kernel: PATH has sbin" "$(value path)" ':/sbin'
	is "$kernel: environment" "$(value extra)$(value home)$(value leak)" "a b/root"
	for mount in proc:proc sys:sysfs dev:devtmpfs dev/pts:devpts dev/shm:tmpfs run:tmpfs \
		sys/kernel/debug:debugfs sys/kernel/tracing:tracefs sys/fs/cgroup:cgroup2 sys/fs/bpf:bpf; do
		is "$kernel: /${mount%:*}" "$(value "mount.${mount%:*}")" "${mount#*:}"
	done
	like "$kernel: loopback is up" "$(value lo)" ' 0x[0-9]*9$'
	is "$kernel: KVM" "$(value kvm) $(value kvm_amd)" "yes yes"
	is "$kernel: modprobe" "$(value modules) $(value vfio)" "yes live"
	is "$kernel: CPUs" "$(value cpus)" 2
	compare "$kernel: memory" "$(value kib | cut -d' ' -f1)" -gt 1900000
	is "$kernel: the IOMMU" "$(value iommu)" dmar0
	is "$kernel: snoop control $snoop" "$(snoop_bit)" "$([[ $snoop == on ]] && echo 1 || echo 0)"
	like "$kernel: a device has a root port of its own" "$(value e1000e)" \
		'/pci0000:00/0000:00:[0-9a-f.]*/0000:01:00.0$'
	is "$kernel: the clock" "$(value clock)" tsc
	[[ $snoop == off ]] && snoop=on || snoop=off

	for i in 1 2; do
		vm -k "$kernel" -- true
		# In hundredths: of the last minute, or what wants to run now, beside this.
		load=$(awk '{ split($4, now, "/"); now[1]--; printf "%d", 100 * ($1 > now[1] ? $1 : now[1]) }' /proc/loadavg)
		# Where about as much wants to run as there are CPUs, CPU time says more than the clock, though not much.
		if ((load < $(nproc) * 100 - 50)); then
			took=$ELAPSED limit=10
		else
			took=$TOOK limit=20
		fi
		((took >= limit)) || break
	done
	compare "$kernel: starts and stops in time, at a load of $load %" "$took" -lt "$limit"
done

# ---- options -----------------------------------------------------------------------------------

vm --iommu amd --no-kvm -c 1 -m 512 --device e1000e,bus=pcie.0,addr=9 --device pcie-root-port,id=mine,bus=pcie.0,chassis=1 \
	--device e1000e,bus=mine --device edu -- sh "$TMP/probe"
is "--iommu amd, --no-kvm, -c, -m: boots" "$STATUS" 0
is "--iommu amd" "$(value iommu)" ivhd0
is "--no-kvm" "$(value kvm_amd)" no
is "-c 1" "$(value cpus)" 1
compare "-m 512" "$(value kib | cut -d' ' -f1)" -lt 524288
mapfile -t paths < <(sed -n 's/^e1000e=//p' "$OUT")
like "a device that names a bus is there" "${paths[0]}" '/pci0000:00/0000:00:09\.0$'
like "... and behind a port of the user's" "${paths[1]}" '/pci0000:00/[^/]*/[^/]*$'

image=$("$GET_KERNEL" path stock-6.12)
vm -k "$image" -M "$("$GET_KERNEL" modules stock-6.12)" --iommu none --append "one.two=three" -- \
	sh -c 'ls /sys/class/iommu; cat /proc/cmdline; modprobe vfio-pci'
is "a kernel by its path" "$STATUS" 0
like "--iommu none, --append" "$(<"$OUT")" '^console=.*one\.two=three'

# ---- the command's own output and status -------------------------------------------------------

head -c 300000 /dev/urandom >"$TMP/noise"
echo before >"$TMP/file"
# shellcheck disable=SC2016 # for the shell in the VM
vm -- sh -c 'cat "$0/noise"; cat "$0/noise" "$0/noise" >&2; echo after >"$0/file"; : >"$0/new"
	echo x >/etc/vm-was-here; read -r line && exit 9; exit 37' "$TMP"
is "the exit status" "$STATUS" 37
ok "standard output, byte for byte" cmp "$OUT" "$TMP/noise"
ok "standard error, byte for byte" cmp "$ERR" <(cat "$TMP/noise" "$TMP/noise")
is "the host's files stay" "$(cat "$TMP/file"; ls "$TMP/new" /etc/vm-was-here 2>/dev/null)" before

# shellcheck disable=SC2016
vm "${ANY[@]}" -- sh -c 'sleep 1000 & echo "it'"'"'s $0" "$@" >/dev/stderr; kill -TERM $$' 'a  b' '$HOME' '' '*' '"'
is "a signal" "$STATUS" 143
is "arguments as they are, /dev/stderr, a process left behind" "$(<"$ERR")" "it's a  b \$HOME  * \""

if [[ $LONG ]]; then
	vm "${ANY[@]}" -- nosuchcommand
	is "a command that is not there" "$STATUS" 127
fi

# ---- failures ----------------------------------------------------------------------------------

vm "${ANY[@]}" --log "$TMP/log" -- sh -c 'echo said; echo c >/proc/sysrq-trigger; sleep 60'
is "a panic" "$STATUS" 125
is "... keeps what was said" "$(<"$OUT")" said
like "... and shows the log" "$(<"$ERR")" 'Kernel panic - not syncing: sysrq triggered crash'
like "--log" "$(<"$TMP/log")" 'Linux version .*Kernel panic'
compare "... at once" "$TOOK" -lt 40

# A busy machine takes longer until the command has begun.
for timeout in 10 20 40 80 160; do
	start=$SECONDS
	vm "${ANY[@]}" --timeout $timeout -- sh -c 'echo begun; sleep 1000'
	[[ ! -s $OUT ]] || break
done
is "a timeout" "$STATUS $(<"$OUT")" "125 begun"
like "... is said" "$(<"$ERR")" "^vm: the VM did not end within $timeout s"
compare "... and kept" $((SECONDS - start)) -le $((timeout + 10))

vm "${ANY[@]}" --device nosuchdevice -- true
is "what QEMU refuses" "$STATUS" 125
like "... in QEMU's words" "$(<"$ERR")" "'nosuchdevice' is not a valid device"

vm "${ANY[@]}" -- sh -c 'echo "This is not a bug, a WARNING: or an Oops" >/dev/kmsg; echo "no BUG: here" >/dev/kmsg; echo fine'
is "words are no report" "$STATUS $(<"$OUT") $(<"$ERR")" "0 fine "

vm "${LEAN[@]}" -- sh -c 'modprobe lkdtm && echo WARNING >/sys/kernel/debug/provoke-crash/DIRECT; echo fine'
is "a report of the kernel's" "$STATUS $(<"$OUT")" "126 fine"
like "... is shown" "$(<"$ERR")" 'WARNING: .*lkdtm_WARNING'
if [[ $LONG ]]; then
	vm "${LEAN[@]}" -- sh -c 'modprobe lkdtm; echo WARNING >/sys/kernel/debug/provoke-crash/DIRECT; exit 3'
	is "a failure is the command's even so" "$STATUS" 3
	like "... and the report is shown" "$(<"$ERR")" 'WARNING: .*lkdtm_WARNING'
fi

# ---- while it runs -----------------------------------------------------------------------------

"$VM" "${ANY[@]}" -- sh -c 'echo first; sleep 1000' >"$TMP/live" 2>/dev/null &
pid=$!
soon test -s "$TMP/live"
is "output comes while the command runs" "$(cat "$TMP/live")" first
qemu=$(pgrep -P "$(pgrep -P "$pid" -x timeout)")
ok "QEMU runs" kill -0 "$qemu"
kill -TERM "$pid"
wait "$pid"
is "SIGTERM ends the VM" $? 143
ok "... QEMU too" sh -c "! kill -0 $qemu"

runs bash -c "'$VM' ${ANY[*]} -- sh -c 'while echo y; do :; done' | head -n 1; exit \${PIPESTATUS[0]}"
is "a reader that goes away ends the VM" "$STATUS $(<"$OUT")" "141 y"

runs script -qec "stty rows 33 cols 101; '$VM' ${ANY[*]} -- sh -c 'tty; stty size; test -t 0 && test -t 2 && exit 5'" /dev/null
is "a terminal for a terminal" "$STATUS" 5
like "... of the VM" "$(<"$OUT")" '/dev/hvc0'
like "... of the same size" "$(<"$OUT")" '33 101'

# ---- instruction counts ------------------------------------------------------------------------

# The fastest of many short stretches, none of which a timer interrupts.
cat >"$TMP/count.pl" <<'END'
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
my $min;
for (1 .. 300) {
	my ($x, $start) = (0, clock_gettime(CLOCK_MONOTONIC));
	$x += $_ for 1 .. 1000;
	my $ns = int((clock_gettime(CLOCK_MONOTONIC) - $start) * 1e9 + 0.5);
	$min = $ns if !defined $min || $ns < $min;
}
print "ns=$min\n";
END
# There the APIC's timer fails its test, for which such an emulator takes half a minute.
COUNTING=("${LEAN[@]}" -c 1 --icount --append nolapic_timer --env PERL_HASH_SEED=0)
vm "${COUNTING[@]}" -- perl "$TMP/count.pl"
first=$(value ns)
compare "--icount counts" "$first" -gt 10000
vm "${COUNTING[@]}" -- perl "$TMP/count.pl"
is "--icount repeats to the digit" "$(value ns)" "$first"

done_testing
