#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The manual pages and the documents name what the tools have, and nothing else: the options of --help,
# the fields of --list-fields, the members of the JSON, the exit statuses, the keys.
#
# Run by prove. OUT names the build directory (default: build).

set -u -o pipefail

BUILD=${OUT:-build}
# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"
cd -- "$TOP" || exit 1
BUILD=$(realpath -- "$BUILD")
export LC_ALL=C.UTF-8

for file in "$BUILD"/wbinvdtop "$BUILD"/wbinvdbench; do
	[[ -x $file ]] || {
		echo "Bail out! $file is not built"
		exit 1
	}
done

# shellcheck disable=SC2317 # called by ok
# page TOOL: the manual page as text, one output line per line, made anew
page() {
	"$(command -v rst2man || command -v rst2man.py)" --strict "tools/man/$1.8.rst" "$TMP/$1.8" || return
	mandoc -T utf8 -O width=120 "$TMP/$1.8" |
		col -bx | sed 's/\xc2\xa0/ /g' >"$TMP/$1.txt"
}

# section TOOL NAME: its lines
section() {
	awk -v name="$2" '/^[A-Z]/ { inside = $0 == name; next } inside' "$TMP/$1.txt"
}

# same_lists NAME GOT WANTED: files of words, one per line
same_lists() {
	local out

	out=$(diff <(sort -u -- "$2") <(sort -u -- "$3"))
	if [[ ! -s $3 ]]; then
		fail "$1" "nothing to compare with"
	elif [[ $out ]]; then
		fail "$1" "$out"
	else
		pass "$1 ($(sort -u -- "$3" | wc -l))"
	fi
}

# The words that look like options, of lines that begin with one.
options_of() {
	sed -nE 's/^ *(-.*)$/\1/p' |
		grep -oE -- '(^|[ ,;|])-(-[a-z][a-z-]*|[A-Za-z])\b' | tr -d ' ,;|'
}

for tool in wbinvdtop wbinvdbench; do
	ok "$tool: rst2man --strict" page "$tool"
	# What every page from rst2man has is no fault of the text.
	mandoc -T lint -W warning "$TMP/$tool.8" |
		grep -vE 'missing date|unknown font|skipping paragraph macro: sp after' >"$TMP/lint"
	is "$tool: mandoc -T lint" "$(<"$TMP/lint")" ''

	"$BUILD/$tool" --help >"$TMP/help"
	sed -n '/^Usage/,/^ [A-Z].*:$/!p' "$TMP/help" | sed -E 's/([^ ]) {2,}.*/\1/' | options_of >"$TMP/has"
	section "$tool" OPTIONS | options_of >"$TMP/says"
	same_lists "$tool: OPTIONS are those of --help" "$TMP/says" "$TMP/has"

	sed -n '/^Exit status:/,$p' "$TMP/help" | grep -oE '\b[0-9]\b' >"$TMP/has"
	section "$tool" 'EXIT STATUS' | grep -oE '^ {7}[0-9]\b' | tr -d ' ' >"$TMP/says"
	same_lists "$tool: EXIT STATUS" "$TMP/says" "$TMP/has"

	for name in NAME SYNOPSIS DESCRIPTION OPTIONS OUTPUT OVERHEAD 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
		ok "$tool: has $name" test -n "$(section "$tool" "$name")"
	done
done

"$BUILD/wbinvdtop" --list-fields | awk '{ print $1 }' >"$TMP/has"
section wbinvdtop FIELDS | grep -oE '^ {7}[a-z].*' | grep -E '^ {7}[a-z0-9_.]+(, [a-z0-9_.]+)*( {2}|$)|^ {7}(id|pid|name|start|ended|policy) ' |
	sed -E 's/^ {7}([a-z0-9_.]+(, [a-z0-9_.]+)*).*/\1/' | tr -d ' ' | tr , '\n' >"$TMP/says"
same_lists 'wbinvdtop: FIELDS are those of --list-fields' "$TMP/says" "$TMP/has"

"$BUILD/wbinvdbench" --list-fields | awk '{ print $1 }' >"$TMP/has"
while read -r field; do
	ok "wbinvdbench: the manual says $field" grep -qw -- "${field##*.}" <(section wbinvdbench OUTPUT)
done <"$TMP/has"

# ---- the documents ------------------------------------------------------------------------------

# shellcheck disable=SC2016 # the quotes of Markdown
# Members of the tables of docs/json.md: `name`, or `a`, `b`, or `a.b`, in the first column.
table_of() {
	awk -v title="## $1" '/^## / { inside = $0 == title } inside && /^\| `/' docs/json.md |
		cut -d '|' -f 2 | grep -oE '`[^`]+`' | tr -d '`'
}

REC=tests/data/three-vms.jsonl
"$BUILD/wbinvdtop" --replay "$REC" --json --vcpus >"$TMP/frames"
jq -r 'del(.lost) + {"lost.total": 0, "lost.delta": 0} | keys[]' "$TMP/frames" >"$TMP/has"
table_of Frame >"$TMP/says"
same_lists 'docs/json.md: members of a frame' "$TMP/says" "$TMP/has"
jq -r '.vms[] | keys[]' "$TMP/frames" >"$TMP/has"
table_of VM >"$TMP/says"
same_lists 'docs/json.md: members of a VM' "$TMP/says" "$TMP/has"
jq -r '.sum.total | keys[]' "$TMP/frames" >"$TMP/has"
table_of Counters >"$TMP/says"
same_lists 'docs/json.md: counters' "$TMP/says" "$TMP/has"
jq -r '.victims[] | keys[]' "$TMP/frames" >"$TMP/has"
table_of Victim >"$TMP/says"
same_lists 'docs/json.md: members of a victim' "$TMP/says" "$TMP/has"
jq -r '.vms[].devices[] | keys[]' "$TMP/frames" >"$TMP/has"
table_of Device >"$TMP/says"
same_lists 'docs/json.md: members of a device' "$TMP/says" "$TMP/has"

section wbinvdtop OUTPUT >"$TMP/output"
while read -r member; do
	ok "wbinvdtop: OUTPUT or FIELDS say $member" grep -qw -- "$member" "$TMP/output" <(section wbinvdtop FIELDS)
done < <(jq -r '[paths | map(select(type == "string")) | .[]] | unique[]' "$TMP/frames" | sort -u)

# Each source has its row in the manual and in docs/json.md.
for source in tracepoint fentry kprobe exit insn; do
	ok "wbinvdtop: SOURCES has $source" grep -qE "^ *[^a-z]*$source\b" <(section wbinvdtop SOURCES)
	ok "docs/json.md: Sources has $source" grep -qE "^\| .*\`$source\`" docs/json.md
done

# ---- the README ---------------------------------------------------------------------------------

while read -r path; do
	ok "README.md: $path exists" test -e "$path"
done < <(grep -oE '\]\([^)#:]+\)' README.md docs/*.md | sed -E 's/^(docs)?.*\]\(([^)]*)\)$/\1 \2/' |
	while read -r dir link; do
		[[ $link ]] || { link=$dir && dir=.; }
		printf '%s/%s\n' "$dir" "$link"
	done | sort -u)
"$BUILD/wbinvdtop" --replay "$REC" -b -n 1 | sed -n 2p | tr -s ' ' '\n' | grep . >"$TMP/titles"
while read -r title; do
	ok "README.md explains the column $title" grep -qF -- "\`$title\`" README.md
done <"$TMP/titles"
is "wbinvdtop: the sample of a screen has the columns of one" \
	"$(section wbinvdtop 'READING THE SCREEN' | grep -w 'pid name' | tr -s ' ' '\n' | grep .)" "$(<"$TMP/titles")"
for target in demo check check-long bench lint install; do
	ok "Makefile has $target" grep -qE "^$target:" Makefile
	ok "README.md names make $target" grep -qE "make $target\b" README.md
done

done_testing
