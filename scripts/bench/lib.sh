# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the sections of the benchmark share. A section is a script that measures one thing and leaves
# in its directory
#
#   host.json     machine, kernel, CPU, microcode, options
#   data.csv      what was measured, under the same as comments; more CSV, JSON or text beside it
#   table.txt     the same for people, with what it says
#   method.txt    one paragraph: how it was measured
#   missing.txt   what this host could not do, a sentence a line; absent: nothing
#   failed.txt    why it was not finished; absent: it was, or nothing failed
#   *.svg         plots; the first line of NAME.caption is the title of NAME.svg
#   done          the options it was finished with
#
# and ends with a status of lib.sh; EX_KERNEL: nothing could be measured here.

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"

BUILD=${OUT:-$REPO/build}
[[ $BUILD == /* ]] || BUILD=$REPO/$BUILD
DIR='' FORCE='' STAMP=''

# As that of scripts/lib.sh. Once a section has begun the report says the sentence, too.
die() {
	local status=$1

	shift
	say "$*"
	[[ ! $STAMP ]] || failed "$*"
	exit "$status"
}

# failed SENTENCE: the disk may be what failed
failed() {
	printf '%s\n' "$*" 2>/dev/null >"$DIR/failed.txt" || true
}

# option_value OPTION COUNT: COUNT arguments are left, with OPTION
option_value() {
	(($2 > 1)) || usage_error "$1 needs a value"
}

# number_option OPTION TEXT MIN MAX
number_option() {
	is_uint "$2" "$3" "$4" || usage_error "$1 takes a number from $3 to $4, not '$2'"
}

# number_list OPTION TEXT MIN MAX: numbers with commas between, one per line
number_list() {
	local n list

	[[ $2 && $2 != *, ]] || usage_error "$1 takes numbers with commas between them, not '$2'"
	IFS=, read -r -a list <<<"$2"
	for n in "${list[@]}"; do
		is_uint "$n" "$3" "$4" || usage_error "$1 takes numbers from $3 to $4 with commas between them, not '$2'"
	done
	printf '%s\n' "${list[@]}"
}

# bdf_option OPTION TEXT: the full address
bdf_option() {
	local bdf=${2,,}

	[[ $bdf =~ ^[0-9a-f]{4}: ]] || bdf=0000:$bdf
	[[ $bdf =~ ^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$ ]] ||
		usage_error "$1 takes a PCI address as 0000:01:00.0, not '$2'"
	printf '%s\n' "$bdf"
}

# check_device BDF: it is there and on vfio-pci, or a sentence says what to do
check_device() {
	local dir=/sys/bus/pci/devices/$1 driver=none

	[[ -d $dir ]] || die "$EX_RUNTIME" "there is no PCI function $1"
	[[ ! -e $dir/driver ]] || driver=$(basename "$(readlink -f "$dir/driver")")
	[[ $driver == vfio-pci ]] || die "$EX_RUNTIME" "$1 is on driver $driver: put it on vfio-pci" \
		"(echo vfio-pci > $dir/driver_override, unbind it, echo $1 > /sys/bus/pci/drivers_probe)"
}

need_tool() {
	[[ -x $BUILD/$1 ]] || die "$EX_RUNTIME" "there is no $1 in $BUILD: run make"
}

# helper NAME: builds NAME.c from here into $BUILD/bench if it is not there; prints its path
helper() {
	local src=$REPO/scripts/bench/$1.c bin=$BUILD/bench/$1

	if [[ ! -x $bin || $src -nt $bin ]]; then
		need "${CC:-gcc}" gcc "compiles $1.c"
		mkdir -p "$BUILD/bench"
		"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror "$src" -o "$bin.$$" ||
			die "$EX_RUNTIME" "$src does not compile"
		mv -f "$bin.$$" "$bin"
	fi
	printf '%s\n' "$bin"
}

# online_cpus: one per line
online_cpus() {
	awk -v RS=, '{ split($1, r, "-"); for (c = r[1]; c <= (r[2] == "" ? r[1] : r[2]); c++) print c }' \
		/sys/devices/system/cpu/online
}

# ---- the machine -------------------------------------------------------------------------------

cpuinfo() {
	awk -F '[ \t]*: ' -v key="$1" '$1 == key { print $2; exit }' /proc/cpuinfo
}

# What the machine's times are worth.
machine_kind() {
	case $(cpuinfo 'model name') in
	*TCG*) echo "emulated: counts valid, times not" ;;
	*) if cpuinfo flags | grep -qw hypervisor; then
		echo "a virtual machine: times are those of nested virtualization"
	else
		echo "bare metal"
	fi ;;
	esac
}

# json_string TEXT: as JSON has it; "": null
json_string() {
	local s=$1

	s=${s//\\/\\\\}
	s=${s//\"/\\\"}
	[[ ! $1 ]] && echo null || printf '"%s"\n' "${s//[[:cntrl:]]/ }"
}

# json_object [KEY VALUE]...: a member a line; VALUE is JSON. Not all sections need jq.
json_object() {
	local comma=''

	printf '{'
	while (($#)); do
		printf '%s\n  "%s": %s' "$comma" "$1" "$2"
		comma=,
		shift 2
	done
	printf '\n}\n'
}

# write_host OPTIONS: host.json
write_host() {
	json_object kernel "$(json_string "$(uname -r)")" cpu "$(json_string "$(cpuinfo 'model name')")" \
		microcode "$(json_string "$(cpuinfo microcode)")" cpus "$(online_cpus | wc -l)" \
		kind "$(json_string "$(machine_kind)")" command_line "$(json_string "$(</proc/cmdline)")" \
		options "$(json_string "$1")" perf "$(json_string "$(perf --version 2>/dev/null || true)")" \
		time "$(json_string "$(date -u +%FT%TZ)")" >"$DIR/host.json"
}

# host_lines HOST_JSON: "key: value"
host_lines() {
	sed -nE 's/^  "([a-z_]+)": /\1: /; T; s/,$//; s/: "(.*)"$/: \1/; s/\\(["\\])/\1/g; p' "$1"
}

# machine_line HOST_JSON
machine_line() {
	host_lines "$1" | awk -F ': ' '{ v[$1] = substr($0, length($1) + 3) }
		END { printf "%s (%s), microcode %s, %s CPUs, Linux %s, %s\n", v["cpu"], v["kind"],
			v["microcode"] == "null" ? "unknown" : v["microcode"], v["cpus"], v["kernel"], v["time"] }'
}

# csv_comments: the machine, as the first lines of a CSV file
csv_comments() {
	host_lines "$DIR/host.json" | sed 's/^/# /'
}

# ---- a section ---------------------------------------------------------------------------------

# run_needed STAMP: whether the section is to be run, by what it was finished with here. 1: it was with
# the same; 2: with something else, which is not thrown away without --force
run_needed() {
	[[ ! $FORCE && -f $DIR/done ]] || return 0
	if [[ $(<"$DIR/done") == "$1" ]]; then
		say "finished already, in $DIR (--force runs it again)"
		return 1
	fi
	say "$DIR has a finished result of other options or of another kernel: --force replaces it, --output leaves it there"
	return 2
}

# section_begin OPTIONS [extend]: ends the script if the section was finished here. extend: what was
# measured before is a part of the new result
section_begin() {
	local stamp status=0

	stamp="$(uname -r) $1"
	if [[ ! ${2-} || ($(cat "$DIR/done" 2>/dev/null || true) == "$stamp") ]]; then
		run_needed "$stamp" || status=$?
	fi
	((status != 1)) || exit 0
	((status != 2)) || exit "$EX_RUNTIME"
	mkdir -p "$DIR" 2>/dev/null || die "$EX_RUNTIME" "$DIR cannot be written to: choose another with --output"
	rm -f "$DIR"/{done,missing.txt,failed.txt,table.txt,data.csv} "$DIR"/*.{svg,caption}
	STAMP=$stamp
	# What runs in the background ends with the section.
	trap 'interrupted 129' HUP
	trap 'interrupted 130' INT
	trap 'interrupted 143' TERM
	write_host "$1"
}

# missing SENTENCE: what this host cannot do
missing() {
	say "missing: $*"
	printf '%s\n' "$*" >>"$DIR/missing.txt"
}

# nothing SENTENCE: nothing of the section can be measured
nothing() {
	missing "$*"
	exit "$EX_KERNEL"
}

# need_jq WHY
need_jq() {
	command -v jq >/dev/null || nothing "jq is not installed, which $1 (apt-get install jq)"
}

section_end() {
	cat "$DIR/table.txt"
	printf '%s\n' "$STAMP" >"$DIR/done"
}

# ---- tables and plots --------------------------------------------------------------------------

# columns: aligns lines of fields separated by tabs, an empty one as "-"
columns() {
	awk -F '\t' '
		{ for (i = 1; i <= NF; i++) { f = $i == "" ? "-" : $i; cell[NR, i] = f
			if (length(f) > w[i]) w[i] = length(f) } if (NF > n) n = NF }
		END { for (r = 1; r <= NR; r++) { line = ""
			for (i = 1; i <= n; i++) line = line sprintf(i == 1 ? "%-*s" : "  %*s", w[i], cell[r, i])
			sub(/ +$/, "", line); print line } }'
}

# gnuplot_string TEXT: between single quotes nothing but those is special
gnuplot_string() {
	printf "'%s'" "${1//\'/\'\'}"
}

# plot NAME STYLE TITLE XLABEL YLABEL <DATA: NAME.svg. For "lines" DATA are blocks, two empty lines
# between, each a quoted title and then lines of X and Y. For "bars" a line of quoted column titles,
# then lines of a quoted label and values.
plot() {
	local data=$DIR/$1.dat how

	cat >"$data"
	if ! command -v gnuplot >/dev/null; then
		grep -qs gnuplot "$DIR/missing.txt" ||
			missing "gnuplot is not installed: no plots (apt-get install gnuplot-nox)"
		return 0
	fi
	case $2 in
	lines) how='stats data nooutput; plot for [i = 0:STATS_blocks - 1] data index i using 1:2 with linespoints pt 7 title columnheader(1)' ;;
	bars)
		how='set style data histograms; set style fill solid 0.8; set boxwidth 0.9'
		# Labels of many bars would run into each other.
		(($(wc -l <"$data") < 8)) || how+='; set xtics rotate by -25'
		how+='
		plot for [c = 2:columns] data using c:xtic(1) title columnheader(c)'
		;;
	esac
	printf '%s\n' "$3" >"$DIR/$1.caption"
	gnuplot >"$DIR/$1.svg.part" 2>"$DIR/gnuplot.err" <<-END || { missing "gnuplot could not draw $1: $(tail -n 1 "$DIR/gnuplot.err")"; return 0; }
		set terminal svg size 760,380 dynamic noenhanced font "sans,12" background "#ffffff"
		set xlabel $(gnuplot_string "$4")
		set ylabel $(gnuplot_string "$5")
		set yrange [0:*]
		set grid ytics
		set key outside top center horizontal
		data = $(gnuplot_string "$data")
		columns = $(awk 'NR == 1 { n = gsub(/"[^"]*"/, "x"); print n; exit }' "$data")
		$how
	END
	mv "$DIR/$1.svg.part" "$DIR/$1.svg"
	rm -f "$DIR/gnuplot.err"
}
