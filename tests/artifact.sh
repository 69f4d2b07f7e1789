#!/bin/sh
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Builds the collection of the current folder into folder $1, installs the artifact there beside its dependencies alone, reads the
# documentation of every plugin in it, and plays it as a user would.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)
installed=$out/installed/ansible_collections/llmfleet/serving
ansible-galaxy collection build --output-path "$out" >/dev/null
cd "$out" # away from the checkout, so that only the artifact is found
# What is found: the artifact, and what galaxy.yml says that it needs. The `ansible` package has 80 more, which a user need not have.
export ANSIBLE_COLLECTIONS_PATH="$out/installed" ANSIBLE_COLLECTIONS_SCAN_SYS_PATH=False
python "$here/artifact/dependencies.py" "$out"/llmfleet-serving-*.tar.gz "$out/installed"
ansible-galaxy collection install --offline -p "$out/installed" "$out"/llmfleet-serving-*.tar.gz >/dev/null
ansible-galaxy collection verify --offline llmfleet.serving >/dev/null

for kind in module filter inventory; do
  names=$(ansible-doc -t "$kind" -l llmfleet.serving --json | python -c 'import json, sys; print(*json.load(sys.stdin))')
  [ -n "$names" ] || { echo "the artifact has no $kind" >&2; exit 1; }
  # shellcheck disable=SC2086 - the names are words
  ansible-doc -t "$kind" --json $names >/dev/null
  echo "$kind: $(echo "$names" | wc -w | tr -d ' ') documented"
done

# The check of Ansible's own sanity tests that needs no download: documentation against argument_spec, module by module, and the
# documentation of inventory plugins. Ansible's tests do not look at filters.
checker=$(python -c 'import ansible_test, pathlib; print(pathlib.Path(ansible_test.__file__).parent)')/_util/controller/sanity/validate-modules
cd "$installed"
validate() { PYTHONPATH="$out/installed" python "$checker/validate.py" --collection ansible_collections/llmfleet/serving --format plain "$@"; }
validate plugins/modules
validate --plugin-type inventory plugins/inventory
echo "validate-modules: clean"

# One link is meant to be there: it makes Ansible load the GPU profiles beside the playbooks.
links=$(find . -type l)
[ "$links $(readlink playbooks/group_vars)" = "./playbooks/group_vars ../group_vars" ] || {
  echo "the artifact holds other links than playbooks/group_vars: $links" >&2
  exit 1
}
for kept_out in ansible.cfg tests/unit tests/support inventory molecule playbooks/collections run .venv; do
  [ ! -e "$kept_out" ] || { echo "the artifact holds $kept_out" >&2; exit 1; }
done

cd "$here/.."
LLMFLEET_COLLECTIONS=$out/installed python -m pytest -q -p no:cacheprovider tests/artifact
ls "$out"/llmfleet-serving-*.tar.gz
