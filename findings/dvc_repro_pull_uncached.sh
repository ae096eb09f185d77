#!/bin/sh
# dvc repro --pull with missing outputs of cache: false says that it pulls, brings nothing, and fails at the next stage.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check dvc==3.67.1 || exit 2
export PATH="$folder/venv/bin:$PATH" DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR="$folder/site"
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
mkdir "$folder/first" && cd "$folder/first"
git init --quiet && dvc init --quiet && dvc remote add --quiet --default store "$folder/remote"
mkdir data && echo 1 > data/a.txt && dvc add --quiet data && echo 1 > factor.txt
cat > dvc.yaml <<'YAML'
stages:
  train:
    cmd: cat data/a.txt > model.txt
    deps: [data]
    outs: [model.txt: {cache: false}]
  score:
    cmd: cat model.txt factor.txt > score.txt
    deps: [model.txt, factor.txt]
    outs: [score.txt: {cache: false}]
YAML
dvc repro --quiet && echo model.txt > .gitignore && echo score.txt >> .gitignore && echo /data >> .gitignore
git add . && git commit --quiet -m "All stages have run" && dvc push --quiet
git clone --quiet "$folder/first" "$folder/clone" && cd "$folder/clone"
echo "DVC $(dvc --version), $(git --version)"
cat dvc.yaml
echo 2 > factor.txt
code=0
dvc repro --pull > ../said.txt 2>&1 || code=$?
echo "in a clone in which factor.txt has changed: dvc repro --pull, exit code $code"
sed "s|$folder/||; s|^|    |" ../said.txt
found="$(ls model.txt 2> /dev/null || echo none)"
if [ "$code" != 0 ] && [ "$found" = none ] && grep -q "Pulling data for stage: 'train'" ../said.txt; then
    echo "as described: it said that it pulls, and no output was there"
else
    echo "changed"
    exit 1
fi
