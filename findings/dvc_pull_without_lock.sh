#!/bin/sh
# dvc pull in a fresh clone brings all data and still exits with 1 where a stage has not been run yet.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check dvc==3.67.1 || exit 2
export PATH="$folder/venv/bin:$PATH" DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR="$folder/site"
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
cd "$folder"
mkdir remote first && cd first
git init --quiet && dvc init --quiet && dvc remote add --quiet --default store "$folder/remote"
mkdir data && echo 1 > data/a.txt && dvc add --quiet data
cat > dvc.yaml <<'YAML'
stages:
  train:
    cmd: cp -r data model
    deps: [data]
    outs: [model]
YAML
git add . && git commit --quiet -m "Data, and a stage that nobody has run" && dvc push --quiet
cd "$folder" && git clone --quiet first second && cd second
echo "DVC $(dvc --version), $(git --version)"
attempt() {
    code=0
    dvc "$@" > ../said.txt 2>&1 || code=$?
    echo "dvc $*: exit code $code, data is here: $(test -f data/a.txt && echo yes || echo no)"
    grep -E '^(WARNING|ERROR)' ../said.txt | sed "s|$folder/||; s|^|    |" || true
}
attempt pull
first=$code
attempt fetch && fetched=$code
rm -rf data && attempt pull data.dvc && named=$code
rm -rf data && attempt pull --allow-missing && allowed=$code
if [ "$first $fetched $named $allowed" = "1 0 0 0" ] && [ -f data/a.txt ]; then
    echo "as described: name the target, or --allow-missing"
else
    echo "changed"
    exit 1
fi
