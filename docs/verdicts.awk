# SPDX-License-Identifier: GPL-2.0
# The cases that follow from the first two tables of docs/verdicts.md: with mode=page the page again, with
# its third table made anew; with mode=cases a line "IOMMU|IOAS|DEVICE|VM|RESULT|BOX|STATE|WBINVD" each,
# for the tests.

function strip(s)
{
	gsub(/^ +| +$/, "", s)
	return s
}

# A device that is not attached is in box 0, and its VM in that of one that has none.
function one(iommu, ioas, device, box, vm,    result, cell, non, state, flushed)
{
	result = box ~ /^[1-4]$/ ? 0 : box
	box = result == 0 ? box : 0
	cell = box ? of[box, vm] : "skipped"
	non = box == 3
	flushed = cell ~ /^flushed/
	state = "1 " non " 0x" sprintf("%x", non + 2 * flushed + 4 + 8 * (vm != "automatic"))
	if (mode == "cases")
		print iommu "|" ioas "|" device "|" vm "|" result "|" box "|" state "|" (flushed ? "flushed" : "skipped")
	else
		printf "| %s | %s | %s | %s | %s | %s | `%s` | %s | %s | honoured | %s |\n", iommu, ioas, device, vm,
			result == 0 ? "ok" : result, box ? box : "-", state, flushed ? "flushed" : "skipped",
			flushed ? "all it ran on" : "none", cell ~ /PAT/ ? "honoured" : "ignored"
}

mode == "page" && !made { print }
/^<!-- made by/ { made = 1 }

/^## / {
	section = substr($0, 4)
	rows = 0
}

!/^\|/ || /^\|-/ || section == "Every case" { next }

{
	n = split($0, cell, "|") - 2
	for (i = 1; i <= n; i++)
		cell[i] = strip(cell[i + 1])
}

!rows++ {
	for (i = 1; i <= n; i++)
		head[section, i] = cell[i]
	columns[section] = n
	next
}

section == "The box" {
	lines++
	for (i = 1; i <= n; i++)
		line[lines, i] = cell[i]
}

section == "The virtual machine" {
	for (i = 2; i <= n; i++)
		of[cell[1], head[section, i]] = cell[i]
}

END {
	if (mode == "page") {
		print "| IOMMU | IOAS | device | VM | attach | box | state | WBINVD | CPUs | guest PAT, SVM | guest PAT, VMX (not run here) |"
		print "|---|---|---|---|---|---|---|---|---|---|---|"
	}
	for (l = 1; l <= lines; l++)
		for (d = 3; d <= columns["The box"]; d++)
			for (v = 2; v <= columns["The virtual machine"]; v++)
				one(line[l, 1], line[l, 2], head["The box", d], line[l, d], head["The virtual machine", v])
	if (mode == "page")
		print "<!-- end -->"
}
