#!/bin/sh
# Builds the collection into folder $1, installs the artifact there and reads the documentation of every plugin in it.
set -eu
out=$1
rm -rf "$out"
mkdir -p "$out"
ansible-galaxy collection build --output-path "$out" >/dev/null
ansible-galaxy collection install --offline --no-deps -p "$out/installed" "$out"/llmfleet-serving-*.tar.gz >/dev/null
cd "$out" # away from the checkout, so that only the artifact is found
export ANSIBLE_COLLECTIONS_PATH="$out/installed"
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
cd "$out/installed/ansible_collections/llmfleet/serving"
validate() { PYTHONPATH="$out/installed" python "$checker/validate.py" --collection ansible_collections/llmfleet/serving --format plain "$@"; }
validate plugins/modules
validate --plugin-type inventory plugins/inventory
echo "validate-modules: clean"
find "$out/installed/ansible_collections/llmfleet/serving" -type l | grep . && { echo "the artifact holds links" >&2; exit 1; }
for kept_out in tests inventory group_vars molecule .venv; do
  [ ! -e "$out/installed/ansible_collections/llmfleet/serving/$kept_out" ] || { echo "the artifact holds $kept_out" >&2; exit 1; }
done
ls "$out"/llmfleet-serving-*.tar.gz
