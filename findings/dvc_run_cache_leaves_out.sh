#!/bin/sh
# One output with persist: true, or with cache: false, keeps a whole stage out of DVC's run cache; a metric does not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check dvc==3.67.1 || exit 2
export PATH="$folder/venv/bin:$PATH" DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR="$folder/site"
mkdir "$folder/project" && cd "$folder/project"
git init --quiet && dvc init --quiet
stage() {  # name, option of its second output, section of that output
    printf '  %s:\n    cmd: cp in.txt %s.txt && cp in.txt %s.json && echo %s >> ../ran\n' "$1" "$1" "$1" "$1"
    printf '    deps: [in.txt]\n    outs:\n      - %s.txt\n' "$1"
    [ "${3:-outs}" = outs ] || printf '    %s:\n' "$3"
    printf '      - %s.json%s\n' "$1" "${2:+: {$2\}}"
}
write() {  # how the stage "uncached" treats its output
    { echo stages:; stage plain; stage persistent "persist: true"; stage uncached "$1"; stage metric "cache: false" metrics; } > dvc.yaml
}
runs_for() {
    echo "$1" > in.txt && : > ../ran && dvc repro --quiet && echo "in.txt $1: ran $(sort ../ran | tr '\n' ' ')"
}
echo "DVC $(dvc --version), $(git --version)"
write "cache: false"
sed -n '/persistent/,$p' dvc.yaml
runs_for 1 && runs_for 2 && runs_for 1
again=$(sort ../ran | tr '\n' ' ')
echo "the same, once there is an entry of a time at which the output was cached:"
write "cache: true"
runs_for 3
write "cache: false"
runs_for 4 && runs_for 3
found=$(sort ../ran | tr '\n' ' ')
if [ "$again" = "persistent uncached " ] && [ "$found" = "persistent " ]; then
    echo "as described: neither is stored, though an entry that is there is used for cache: false"
else
    echo "changed"
    exit 1
fi
