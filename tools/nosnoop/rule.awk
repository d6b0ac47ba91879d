# SPDX-License-Identifier: GPL-2.0
# The tables of docs/rule.md as C initialisers (mode=c) or as reStructuredText (mode=rst).

BEGIN {
	macro_of["Rows"] = "RULE_ROW"
	macro_of["Inputs"] = "RULE_INPUT"
	macro_of["Thresholds"] = "RULE_THRESHOLD"
	macro_of["Verdicts"] = "RULE_VERDICT"
	macro_of["Applied otherwise"] = "RULE_OTHERWISE"
}

function strip(s)
{
	gsub(/\]\(#[^)]*\)/, "", s) # links within the page
	gsub(/\[/, "", s)
	gsub(/`/, "", s)
	gsub(/^[ \t]+|[ \t]+$/, "", s)
	return s
}

function quote(s)
{
	gsub(/["\\]/, "\\\\&", s)
	return "\"" s "\""
}

/^## / {
	section = substr($0, 4)
	row = 0
	next
}

section == "Sources" && /^(- |  )/ {
	gsub(/`/, "``")
	sources = sources $0 "\n"
}

!/^\|/ || /^\|-/ { next }
!(section in macro_of) { next }
!row++ { next } # the headings

{
	n = split($0, cell, "|") - 2
	for (i = 1; i <= n; i++)
		cell[i] = strip(cell[i + 1])
	if (mode == "c") {
		line = macro_of[section] "("
		for (i = 1; i <= n; i++)
			line = line (i > 1 ? ", " : "") \
				((section == "Thresholds" && i == 3) || ((section == "Inputs" || section == "Thresholds") && i == 1) ? cell[i] : quote(cell[i]))
		out[section] = out[section] line ")\n"
	} else if (section == "Rows") {
		rst = rst cell[1] "\n    if " cell[2] ": **" cell[3] "**\n\n"
	} else if (section == "Verdicts") {
		verdicts = verdicts cell[1] "\n    " toupper(substr(cell[2], 1, 1)) substr(cell[2], 2) ".\n    Applied by: " cell[3] ".\n\n"
	} else if (section == "Applied otherwise") {
		verdicts = verdicts "**" cell[1] "**, where " cell[2] "\n    Applied by: " cell[3] ".\n\n"
	} else if (section == "Inputs") {
		inputs = inputs cell[1] " (" cell[2] ")\n    " toupper(substr(cell[3], 1, 1)) substr(cell[3], 2) ".\n\n"
	}
}

END {
	if (mode == "c") {
		print "/* Made from docs/rule.md. */"
		for (s in out) {
			printf "#ifdef %s\n%s#undef %s\n#endif\n", macro_of[s], out[s], macro_of[s]
		}
	} else {
		print ".. SPDX-License-Identifier: GPL-2.0"
		print ".. Made from docs/rule.md by tools/nosnoop/rule.awk.\n"
		printf "%sInputs:\n\n%sVerdicts:\n\n%sSources:\n\n%s", rst, inputs, verdicts, sources
	}
}
