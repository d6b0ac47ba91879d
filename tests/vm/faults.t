#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What goes wrong around wbinvdtop on a running kernel: rights, BTF, lockdown, a source that is
# refused, KVM that comes late, VMs that die, process numbers that return, CPUs that go, pipes and
# disks that end, and SIGKILL, which must leave nothing behind.
#
# FAULT_KERNEL: the kernel (default: stock-6.12).
#
# One thread for all CPUs: see exact.t.

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"

# ---- inside a VM -------------------------------------------------------------------------------

# as_nobody CAPS COMMAND...: another user, with these capabilities (+x,+y) or none ('')
as_nobody() {
	local caps=$1

	shift
	setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
		--inh-caps "-all${caps:+,$caps}" ${caps:+--ambient-caps "-all,$caps"} -- "$@"
}

test_rights() {
	# Where anyone may execute it.
	install -m 755 "$WBINVDTOP" /run/wbinvdtop
	refused "not root" 3 'needs root' as_nobody '' /run/wbinvdtop -b -n 1 -d 0.2
	refused "not root, with CAP_BPF and CAP_PERFMON" 3 'needs root .CAP_SYS_ADMIN' \
		as_nobody +bpf,+perfmon,+dac_read_search /run/wbinvdtop -b -n 1 -d 0.2
	refused "root of a user namespace alone" 3 'needs root .CAP_SYS_ADMIN. of the initial user namespace' \
		unshare -Ur /run/wbinvdtop -b -n 1 -d 0.2
	refused "no BTF" 4 'carries no BTF' unshare -m bash -c \
		'mkdir /run/empty && mount --bind /run/empty /sys/kernel/btf && exec "$@"' \
		bash "$WBINVDTOP" -b -n 1 -d 0.2
}

# KVM is not loaded yet.
test_late_kvm() {
	monitor late
	judged is "KVM absent: waits" waiting "$TMP/late" '.[0].source' -s
	modprobe kvm_amd
	until_true 60 late_attached
	verdict "KVM absent: attaches when it is loaded" $? "$(tail -n 1 "$TMP/late")"
	bench -n 2000
	finish
	last_ok "KVM absent: then counts" late '.source == "fentry" and .sum.total.exits == 2000'
	judged is "each of its frames, the last too, has a maximum where exits were timed" true "$TMP/late" \
		'[.[].vms[]] | (map(select(.ended)) | length == 1) and any(.[].delta; .exits > .untimed) and
		all(.[].delta; .exits == .untimed or .max_ns > 0)' -s
}

# kvm.ko alone has no vCPU; function tracing is off as well, so that the last of all sources is taken.
test_without_vendor() {
	modprobe kvm
	"$WBINVDTOP" --json -n 1 -d 0.2 --source exit >"$OUT"
	judged is "vendor module absent: --source exit says what it waits for" \
		'waiting KVM is loaded without kvm_intel or kvm_amd; waiting for one of them' "$OUT" '"\(.source) \(.notice)"'
	sysctl -q kernel.ftrace_enabled=0
	"$WBINVDTOP" --json -n 1 -d 0.2 --threshold 5 >"$OUT" 2>"$ERR"
	judged like "vendor module absent: --threshold reports nothing, a notice says" \
		'^insn fentry refused: .*; --threshold reports nothing: insn has no times$' "$OUT" '"\(.source) \(.notice)"'
	like "vendor module absent: and a sentence" "$(<"$ERR")" '^wbinvdtop: --threshold reports nothing: source insn has no times$'
	sysctl -q kernel.ftrace_enabled=1
	modprobe -r kvm
}

late_attached() { tail -n 1 "$TMP/late" | grep -q '"source":"fentry"'; }

# Without ftrace, programs on functions attach and never run: refused, and the next source is taken.
test_refused_source() {
	monitor running --source fentry
	sysctl -q kernel.ftrace_enabled=0
	soon test -s "$TMP/running.err"
	like "ftrace goes off while counting: said" "$(<"$TMP/running.err")" 'exits are missed'
	: >"$TMP/running.err"
	sysctl -q kernel.ftrace_enabled=1
	finish
	sysctl -q kernel.ftrace_enabled=0
	refused "no ftrace: --source fentry" 4 'fentry refused: function tracing is off' \
		"$WBINVDTOP" -b -n 1 -d 0.2 --source fentry
	echo yesterday >"$TMP/recording"
	"$WBINVDTOP" -b -n 1 -d 0.2 --source fentry --record "$TMP/recording" 2>"$ERR"
	is "no ftrace: an earlier recording is left as it was" "$(<"$TMP/recording")" yesterday
	tmux -L ladder -f /dev/null new-session -d -x 150 -y 30 "$WBINVDTOP -d 0.3"
	monitor ladder
	bench -n 1000
	finish
	last_ok "no ftrace: the next source that works" ladder \
		'.source == "exit" and .sum.total.exits == 1000 and .lost.total == 0'
	last_ok "no ftrace: what was refused is named, and what is used" ladder \
		'.notice | test("^fentry refused: .*; kprobe refused: .*; using exit instead$")'
	last_ok "no ftrace: what it cannot know is null" ladder \
		'.sum.total | .flushes == null and .skips == null and .cpus_flushed == null and .p50_ns > 0'
	soon explained
	verdict "no ftrace: the screen says why" $? "$(tmux -L ladder capture-pane -p)"
	tmux -L ladder kill-server
	sysctl -q kernel.ftrace_enabled=1
}

explained() { tmux -L ladder capture-pane -p | grep -q 'fentry refused: .*kprobe refused: '; }

# What the manual calls enough is enough.
test_one_capability() {
	local WBINVDTOP=$TMP/as-nobody

	printf '#!/bin/bash\nexec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps -all,+sys_admin \
		--ambient-caps -all,+sys_admin -- /run/wbinvdtop "$@"\n' >"$WBINVDTOP"
	chmod 755 "$WBINVDTOP"
	monitor nobody
	bench -n 300
	finish
	last_ok "not root, with CAP_SYS_ADMIN alone: counts" nobody \
		'.source == "fentry" and .sum.total.exits == 300 and .lost.total == 0'
}

# scope NAME COMMAND...: as libvirt's and systemd's VMs run, in a control group of that name
scope() {
	local dir="/run/cgroups/machine-qemu\\x2d3\\x2d$1.scope"

	mkdir -p /run/cgroups
	mountpoint -q /run/cgroups || mount -t cgroup2 cgroup2 /run/cgroups
	mkdir -p "$dir"
	bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$dir" "${@:2}"
}

# long_flushes NAME: reports those of VMs that -g NAME selects; in long intervals
long_flushes() {
	"$WBINVDTOP" -b -d 10 --threshold 1 -g "$1" >"$TMP/long-$1" 2>&1 &
	MONITORS+=("long-$1:$!")
}

# Programs on trampolines are forbidden, and no others.
test_forbidden_source() {
	refused "fentry forbidden: --source fentry" 4 \
		"^wbinvdtop: this kernel lets no source attach: fentry refused: prog '[a-z_]+': BPF program load failed: Operation not permitted\$" \
		"$HELPERS/notrampoline" "$WBINVDTOP" -b -n 1 -d 0.2 --source fentry
	"$HELPERS/notrampoline" "$WBINVDTOP" --json -n 1 -d 0.2 >"$OUT"
	judged like "fentry forbidden: the next source, and why" \
		"^kprobe fentry refused: prog '[a-z_]+': BPF program load failed: Operation not permitted; using kprobe instead\$" \
		"$OUT" '"\(.source) \(.notice)"'
}

# A VM that no reading has met yet is chosen and named as the next one will name it.
test_threshold_name() {
	local m

	long_flushes web01
	long_flushes wbinvdbench
	soon test -s "$TMP/long-web01" -a -s "$TMP/long-wbinvdbench"
	scope web01 "$BENCH" -n 5 --vfio "${BDF[0]}" >"$TMP/bench" 2>&1 || fail "web01 runs" "$(<"$TMP/bench")"
	soon reported 'long flush' web01
	for m in "${MONITORS[@]}"; do
		kill -TERM "${m#*:}"
		wait "${m#*:}"
	done
	MONITORS=()
	is "--threshold: each flush of a VM that is younger than the last reading, by -g and its name" \
		"$(grep -c 'long flush: VM .* (web01) vCPU 0 ' "$TMP/long-web01")" 5
	ok "--threshold: the table has that name" grep -qE '^ +[0-9]+ (\(ended\) )?web01 ' "$TMP/long-web01"
	unlike "--threshold: no flush by the command of a VM that has a name" "$(<"$TMP/long-wbinvdbench")" 'long flush'
}

reported() { (($(grep -c "$1" "$TMP/long-$2") >= 5)); }

# "-name" among the arguments of what is no VM is not its name.
test_task_name() {
	local spinner pid hop

	taskset -c 1 bash -c 'while :; do :; done' find -name decoy &
	spinner=$!
	monitor task --source fentry
	"$BENCH" -n 500 --rate 200 --dirty 1 --vfio "${BDF[0]}" >"$TMP/bench" 2>&1 &
	pid=$!
	"$HELPERS/hop" $pid vcpu/0 0 1 &
	hop=$!
	wait $pid $hop
	finish
	kill $spinner
	wait $spinner 2>/dev/null
	judged is "victims: a task is named by its command, not by its arguments" 'task bash' "$TMP/task" \
		"[.[].victims[] | select(.pid == $spinner) | \"\(.kind) \(.name)\"] | unique | join(\", \")" -s
}

# A VM is killed between two readings.
test_killed() {
	local pid id

	monitor killed -d 2
	"$BENCH" -n 100 --hold 60 >"$TMP/hold" 2>&1 &
	pid=$!
	soon grep -q 'VM ' "$TMP/hold"
	sleep 0.5
	id=$(sed -n 's/.*VM \([0-9]*-[0-9]*\).*/\1/p' "$TMP/hold" | head -n 1)
	kill -KILL $pid
	wait $pid 2>/dev/null
	sleep 5
	finish
	judged is "killed VM: in one frame as ended, with its id, name and counts" "$id wbinvdbench $pid 100" "$TMP/killed" \
		'.vms[] | select(.ended) | "\(.id) \(.name) \(.pid) \(.total.exits)"'
	last_ok "killed VM: then gone, but in the sum" killed '.vms == [] and .sum.total.exits == 100'
}

# Started before the monitor, and idle: listed all the same. What anybody may call like a VM is none.
test_idle_vm() {
	local pid other forger

	mkdir -m 777 /run/forged
	"${NOBODY[@]}" bash -c \
		'cd /run/forged && mkfifo kvm-vm kvm-vcpu:0 && exec sleep 3600 3<>kvm-vm 4<>kvm-vcpu:0' &
	forger=$!
	"$BENCH" -n 50 --start-delay 3600 --vfio "${BDF[0]}" >"$TMP/idle.out" 2>&1 &
	pid=$!
	soon grep -q 'VM ' "$TMP/idle.out"
	"$BENCH" -n 50 --start-delay 3600 >"$TMP/idle2.out" 2>&1 &
	other=$!
	soon grep -q 'VM ' "$TMP/idle2.out"
	ok "files called like a VM are open" until_true 60 test -e /proc/$forger/fd/4
	monitor idle
	sleep 1
	finish
	last_ok "VMs from before: listed, one non-coherent with its device" idle \
		"[.vms[] | {noncoherent, n: .total.exits, bdf: [.devices[].bdf]}] | sort_by(.noncoherent) ==
		[{noncoherent: false, n: 0, bdf: []}, {noncoherent: true, n: 0, bdf: [\"${BDF[0]}\"]}]"
	last_ok "VMs from before: the pid is right" idle "any(.vms[]; .pid == $pid)"
	kill $pid $other $forger
	wait $pid $other $forger 2>/dev/null
}

# In a pid namespace of its own the numbers that BPF sees mean nothing to it.
test_foreign_namespace() {
	local pid

	rm -f "$TMP/ns"
	unshare -pf --mount-proc "$WBINVDTOP" --json -n 20 -d 0.5 >"$TMP/ns" 2>"$TMP/ns.err" &
	pid=$!
	until_true 60 test -s "$TMP/ns"
	bench -n 100
	wait $pid
	judged is "pid namespace: counts, and the name says that it is the other's" 'wbinvdbench (other pid ns) 100' "$TMP/ns" \
		'.vms[] | select(.ended) | "\(.name) \(.total.exits)"'
}

test_several() {
	local pid fds

	monitor several
	"$HELPERS/several" 300 70 5 >"$TMP/fds" &
	pid=$!
	soon three_lines
	sleep 1
	finish
	mapfile -t fds <"$TMP/fds"
	last_ok "several VMs in one process: each by its id" several "[.vms[] | [.id, .total.exits]] | sort ==
		([[\"$pid-${fds[0]}\", 300], [\"$pid-${fds[1]}\", 70], [\"$pid-${fds[2]}\", 5]] | sort)"
	kill $pid
	wait $pid 2>/dev/null
}

three_lines() { (($(wc -l <"$TMP/fds") == 3)); }

# The number of a dead VM's process comes back as another VM's.
test_pid_reuse() {
	local first second tries

	monitor reuse -d 3
	"$BENCH" -n 111 >"$TMP/bench" 2>&1 &
	first=$!
	wait $first
	for ((tries = 0; tries < 20; tries++)); do
		echo $((first - 1)) >/proc/sys/kernel/ns_last_pid
		"$BENCH" -n 222 --hold 60 >"$TMP/bench" 2>&1 &
		second=$!
		((first != second)) || break
		kill $second
		wait $second 2>/dev/null
	done
	sleep 4
	kill $second
	wait $second 2>/dev/null
	finish
	if ((first != second)); then
		skip "pid reused: two VMs" "the kernel did not give the number again"
		return
	fi
	judged is "pid reused: two VMs, each with its own counts" '[111,222]' "$TMP/reuse" "[.[].vms[] | select(.pid == $first) |
		{start, n: .total.exits}] | group_by(.start) | map(max_by(.n).n) | sort" -s -c
}

# A CPU that a vCPU has just been on goes away.
test_cpu_offline() {
	local before after pid hop i

	callbacks_start
	monitor offline --source fentry
	before=$(callbacks)
	"$BENCH" -n 1500 --dirty 1 --vfio "${BDF[0]}" >"$TMP/bench" 2>&1 &
	pid=$!
	"$HELPERS/hop" $pid vcpu/0 0 1 &
	hop=$!
	for ((i = 0; i < 5; i++)); do
		sleep 0.3
		echo 0 >/sys/devices/system/cpu/cpu1/online || fail "CPU 1 does not go offline"
		sleep 0.3
		echo 1 >/sys/devices/system/cpu/cpu1/online
	done
	wait $pid $hop
	after=$(callbacks)
	finish
	callbacks_stop
	last_ok "CPU offline: every exit counted" offline \
		'.lost.total == 0 and (.sum.total | .exits == 1500 and .flushes == 1500)'
	last_ok "CPU offline: it was flushed while it was there" offline '.sum.total.cpus_flushed > 1510'
	last_ok "CPU offline: CPUs flushed = $((after - before)) callbacks" offline \
		".sum.total.cpus_flushed == $((after - before))"
}

# bpf_objects: what is loaded and attached, without the numbers that only grow
bpf_objects() {
	{
		bpftool -j prog show
		bpftool -j map show
		bpftool -j link show
	} | grep -oE '"(name|type)":"[^"]*"' | sort
	grep -c . "$TRACE/enabled_functions"
}

test_sigkill() {
	local source pid before

	sleep 1
	before=$(bpf_objects)
	for source in fentry kprobe exit insn; do
		monitor killed --source $source
		pid=${MONITORS[0]#*:}
		unlike "SIGKILL: $source: is attached" "$(bpf_objects)" "^$before\$"
		kill -KILL "$pid"
		wait "$pid" 2>/dev/null
		MONITORS=()
		soon nothing_left "$before"
		verdict "SIGKILL: $source: leaves no BPF object" $? "$(diff <(echo "$before") <(bpf_objects))"
	done
	is "SIGKILL: nothing is pinned" "$(find /sys/fs/bpf -mindepth 1 | grep -v '\.debug$')" ""
	monitor next --source kprobe
	pid=${MONITORS[0]#*:}
	is "SIGKILL: the next start removes the probes left behind" \
		"$(grep -c wbinvdtop_ "$TRACE/kprobe_events") $(grep -c "wbinvdtop_$pid/" "$TRACE/kprobe_events")" \
		"$(grep -c . "$TRACE/kprobe_events") $(grep -c . "$TRACE/kprobe_events")"
	finish
	is "SIGTERM: leaves no probe" "$(grep -c . "$TRACE/kprobe_events")" 0
	ok "SIGTERM: leaves no BPF object" nothing_left "$before"
}

nothing_left() { [[ $(bpf_objects) == "$1" ]]; }

test_pipe() {
	local statuses

	"$WBINVDTOP" --json -d 0.2 2>"$ERR" | head -n 1 >"$OUT"
	statuses=("${PIPESTATUS[@]}")
	is "output pipe closed: ends well, without a word" "${statuses[0]} $(<"$ERR")" "0 "
	judged is "output pipe closed: what was read is whole" 'wbinvdtop/1' "$OUT" .schema
	"$WBINVDTOP" --json -d 0.2 >/dev/full 2>"$ERR"
	like "output on a full disk: says so" "$? $(<"$ERR")" '^1 .*No space left'
}

test_disk_full() {
	local status=0

	mkdir /run/small
	mount -t tmpfs -o size=16k tmpfs /run/small
	"$WBINVDTOP" --json -d 0.1 -n 40 --record /run/small/rec >"$OUT" 2>"$ERR" || status=$?
	like "disk full while recording: one sentence" "$status $(wc -l <"$ERR") $(<"$ERR")" \
		'^1 1 .*(No space left|full)'
	is "disk full: every frame is shown all the same" "$(wc -l <"$OUT")" 40
	"$WBINVDTOP" --replay /run/small/rec --json >"$TMP/replayed" 2>"$ERR"
	is "disk full: what was recorded can be replayed" "$? $(<"$ERR")" "0 "
	ok "disk full: to the byte" cmp -n "$(stat -c %s "$TMP/replayed")" "$TMP/replayed" "$OUT"
	compare "disk full: it holds frames" "$(wc -l <"$TMP/replayed")" -gt 3
	umount /run/small
}

# Raised at run time; it cannot be lowered again.
test_lockdown() {
	[[ -e /sys/kernel/security/lockdown ]] || {
		skip "lockdown" "this kernel has none"
		return
	}
	echo integrity >/sys/kernel/security/lockdown
	monitor integrity
	bench -n 500
	finish
	last_ok "lockdown=integrity: counts" integrity '.source == "fentry" and .sum.total.exits == 500'
	echo confidentiality >/sys/kernel/security/lockdown
	refused "lockdown=confidentiality" 3 'lockdown is in confidentiality mode' \
		"$WBINVDTOP" -b -n 1 -d 0.2
}

inside() {
	test_rights
	test_without_vendor
	test_late_kvm
	devices || exit
	test_one_capability
	test_refused_source
	test_forbidden_source
	test_threshold_name
	test_task_name
	test_killed
	test_idle_vm
	test_foreign_namespace
	test_several
	test_pid_reuse
	test_cpu_offline
	test_sigkill
	test_pipe
	test_disk_full
	test_lockdown
	done_testing
}

[[ ${1:-} != --inside ]] || inside

kernel=${FAULT_KERNEL:-stock-6.12}
helper hop || exit
helper several || exit
helper notrampoline || exit
all_of "$kernel" faults -k "$kernel" -c 2 --tcg single --no-kvm --snoop-control off --device e1000e
done_testing
