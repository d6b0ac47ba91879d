# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The kernel series as files and as commits: what scripts/kernel and scripts/series share. lib.sh comes
# first.
#
# A repository "of the series" has a base commit, whose subject is the source package and its version,
# and one commit for each patch on top of it. Neither its hashes nor what format-patch writes of it
# depend on who made it, or on anybody's configuration of git.

# shellcheck disable=SC2034 # for the scripts that read this file
SERIES=$(realpath -m -- "${SERIES:-$REPO/patches/7.2}")
BASE_EPOCH=1767225600 # 2026-01-01T00:00:00Z

# clean_git DIR ARG...: git in DIR, with nobody's settings where they could change what it writes
clean_git() {
	local dir=$1

	shift
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_COUNT=0 \
		GIT_COMMITTER_NAME=series GIT_COMMITTER_EMAIL=series@localhost \
		git -C "$dir" -c gc.auto=0 -c init.defaultBranch=base -c advice.detachedHead=false \
		-c core.autocrlf=false -c core.fsyncMethod=batch -c commit.gpgSign=false \
		-c diff.algorithm=myers -c diff.renames=true -c diff.noprefix=false \
		-c diff.mnemonicPrefix=false -c diff.context=3 -c diff.interHunkContext=0 \
		-c diff.suppressBlankEmpty=false -c diff.indentHeuristic=true -c diff.relative=false \
		-c format.pretty=medium -c i18n.logOutputEncoding=UTF-8 "$@"
}

# kernel_cflags: what kernels are compiled with besides their own options. Where variables are meanwhile takes the
# compiler a sixth of its time, and of it BTF has nothing; but pahole leaves out functions whose parameters
# it cannot place, from 1.25 on.
kernel_cflags() {
	local version

	version=$(pahole --version 2>/dev/null)
	[[ $(printf '%s\n' "${version#v}" 1.25 | sort -V | head -n 1) == 1.25 ]] || echo -fno-var-tracking
}

# find_patches: sets PATCHES to the files of the series, in order
find_patches() {
	local file

	PATCHES=()
	for file in "$SERIES"/[0-9][0-9][0-9][0-9]-*.patch; do
		[[ ! -e $file || ${file##*/} == 0000-* ]] || PATCHES+=("$file")
	done
}

# patched_files PATCH...: the paths that the patches touch
patched_files() {
	sed -nE -e 's,^(--- a|\+\+\+ b)/([^\t]*).*,\2,p' -e 's,^rename (from|to) ,,p' \
		-e 's,^copy (from|to) ,,p' "$@" </dev/null | sort -u
}

# content PATCH...: what the patches change, without what their changelogs say
content() {
	local file

	for file; do
		sed -n '/^diff --git /,$p' "$file"
	done
}

# commit_base REPO SUBJECT: commits what is in the index as the base
commit_base() {
	GIT_AUTHOR_NAME=series GIT_AUTHOR_EMAIL=series@localhost GIT_AUTHOR_DATE="$BASE_EPOCH +0000" \
		GIT_COMMITTER_DATE="$BASE_EPOCH +0000" clean_git "$1" commit -q --allow-empty -m "$2"
}

# partial_repo REPO SOURCE SUBJECT PATCH...: a new repository with a base commit of only those files of
# SOURCE that the patches touch, in seconds. Whether they apply, and what format-patch makes of them,
# is the same as with all files.
partial_repo() {
	local repo=$1 source=$2 subject=$3 file

	shift 3
	rm -rf -- "$repo"
	mkdir -p "$repo"
	clean_git "$repo" init -q
	while read -r file; do
		[[ -e $source/$file ]] || continue
		mkdir -p "$repo/$(dirname -- "$file")"
		cp -p -- "$source/$file" "$repo/$file"
	done < <(echo .gitattributes && patched_files "$@")
	clean_git "$repo" add -f .
	commit_base "$repo" "$subject"
}

# apply REPO PATCH...: as commits; without fuzz, without merging
apply() {
	local repo=$1

	shift
	(($#)) || return 0
	clean_git "$repo" am -q --no-3way --committer-date-is-author-date -- "$@" >&2 && return
	clean_git "$repo" am --abort 2>/dev/null || true
	return 1
}

# base_of REPO: the commit that the series stands on, and its subject
base_of() {
	clean_git "$1" log --first-parent --format='%H %ct %s' HEAD |
		awk -v date=$BASE_EPOCH '$2 == date && $3 ~ /^linux-source-/ { print $1, $3, $4; exit }'
}

# cover_text FILE: the subject of a cover letter in the first line, then what people wrote in it
cover_text() {
	awk '
		header && /^Subject: / { subject = $0; sub(/^Subject: (\[[^]]*\] )?/, "", subject); fold = 1; next }
		header && fold && /^ / { subject = subject $0; next }
		header && /^$/ { header = 0; print subject; next }
		NR == 1 { header = 1 }
		header { fold = 0; next }
		/^Base: linux-source-/ { exit }
		{ print }
		' "$1"
}

# write_cover REPO PACKAGE VERSION NEW OLD: puts into the cover letter NEW, as git wrote it, what people
# wrote in OLD, the base, and the author and the date of the last patch
write_cover() {
	local repo=$1 package=$2 version=$3 new=$4 old=$5 text=$4.text

	if [[ -e $old ]]; then
		cover_text "$old" >"$text"
	else
		printf '%s\n' '*** SUBJECT HERE ***' '*** BLURB HERE ***' '' >"$text"
	fi
	awk -v text="$text" -v base="Base: $package $version" \
		-v from="$(clean_git "$repo" log -1 --format='From: %an <%ae>')" \
		-v date="$(clean_git "$repo" log -1 --format='Date: %aD')" '
		!body && /^From: / { print from; next }
		!body && /^Date: / { print date; next }
		!body && /^Subject: / {
			getline subject < text
			sub(/\*\*\* SUBJECT HERE \*\*\*/, "")
			print $0 subject
			next
		}
		/^$/ { body = 1 }
		/^\*\*\* BLURB HERE \*\*\*$/ {
			while ((getline line < text) > 0)
				print line
			print base
			next
		}
		{ print }
		' "$new" >"$new.done"
	rm -f -- "$text"
	mv -f -- "$new.done" "$new"
}

# format REPO OUT OLD: writes the commits of REPO as files into the new directory OUT, and the cover
# letter with the text of the one in OLD
format() {
	local repo=$1 out=$2 old=$3 base package version

	read -r base package version < <(base_of "$repo") || return 1
	mkdir -p "$out"
	clean_git "$repo" format-patch -q --zero-commit --no-signature --abbrev=12 --numbered --no-base --no-ext-diff \
		--no-thread --no-attach --no-notes --subject-prefix=PATCH --cover-letter \
		--cover-from-description=none --stat=72 -o "$(realpath -- "$out")" "$base..HEAD"
	write_cover "$repo" "$package" "$version" "$out/0000-cover-letter.patch" "$old/0000-cover-letter.patch"
}

# same_files DIR DIR: whether both hold the same patches, byte for byte; says what differs
same_files() {
	local dir name status=0

	for name in $(for dir; do (cd "$dir" && ls -- [0-9]*.patch 2>/dev/null); done | sort -u); do
		cmp -s -- "$1/$name" "$2/$name" && continue
		say "$name is not what comes back"
		diff -u -- "$1/$name" "$2/$name" 2>&1 | head -n 20 >&2 || true
		status=1
	done
	return "$status"
}
