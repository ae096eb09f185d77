#!/bin/sh
# dvc gc --workspace keeps all records of the run cache and deletes their objects, of a metric even the present one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check dvc==3.67.1 || exit 2
export PATH="$folder/venv/bin:$PATH" DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR="$folder/site"
mkdir "$folder/project" && cd "$folder/project"
git init --quiet && dvc init --quiet
cat > dvc.yaml <<'YAML'
stages:
  train:
    cmd: sed s/^/model/ in.txt > model.txt && echo train >> ../ran
    deps: [in.txt]
    outs: [model.txt]
  score:
    cmd: sed s/^/table/ in.txt > table.txt && sed s/^/score/ in.txt > score.json && echo score >> ../ran
    deps: [in.txt]
    outs: [table.txt]
    metrics: [score.json: {cache: false}]
YAML
echo "DVC $(dvc --version), $(git --version)"
cat dvc.yaml
runs_for() {
    echo "$1" > in.txt && : > ../ran && dvc repro --quiet && ran=$(sort ../ran | tr '\n' ' ')
    echo "in.txt $1: ran $ran"
}
runs_for 1 && runs_for 2 && runs_for 1 && before=$ran
runs_for 2
dvc gc --workspace --force --quiet 2> /dev/null
echo "dvc gc --workspace: $(find .dvc/cache/runs -type f | wc -l) records of 4 results," \
     "$(find .dvc/cache/files -type f | wc -l) objects of their 6 files"
runs_for 1 && earlier=$ran
echo "dvc gc --workspace again, and score.json, which dvc.lock names, is lost:"
dvc gc --workspace --force --quiet 2> /dev/null
rm score.json && runs_for 1 && present=$ran
if [ "$before" = "" ] && [ "$earlier" = "score train " ] && [ "$present" = "score " ]; then
    echo "as described: what the run cache found before is computed again"
else
    echo "changed"
    exit 1
fi
