#!/bin/sh
# dvc push --run-cache sends the records of all results, but only the objects of the present lock, and no metric's at all.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check dvc==3.67.1 || exit 2
export PATH="$folder/venv/bin:$PATH" DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR="$folder/site"
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
mkdir "$folder/remote" "$folder/first" && cd "$folder/first"
git init --quiet && dvc init --quiet && dvc remote add --quiet --default store "$folder/remote"
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
for value in 1 2; do
    echo "$value" > in.txt && dvc repro --quiet
    git add . && git commit --quiet -m "Result $value"
done
echo "DVC $(dvc --version), $(git --version)"
cat dvc.yaml
push_and_look() {  # options of dvc push: what does a clone run that asks for the first result?
    dvc push --quiet "$@"
    echo "dvc push $*: $(find "$folder/remote/runs" -type f | wc -l) records of 4 results," \
         "$(find "$folder/remote/files" -type f | wc -l) objects of their 6 files"
    rm -rf "$folder/clone" && git clone --quiet "$folder/first" "$folder/clone"
    (cd "$folder/clone" && dvc fetch --quiet --run-cache && echo 1 > in.txt && : > ../ran && dvc repro --quiet --pull)
    ran=$(sort ../ran | tr '\n' ' ')
    echo "    in a clone at the first result, dvc fetch --run-cache && dvc repro --pull runs: $ran"
}
push_and_look --run-cache && present=$ran
push_and_look --run-cache --all-commits && all=$ran
if [ "$present" = "score train " ] && [ "$all" = "score " ]; then
    echo "as described: every record is there, and without the objects it is of no use"
else
    echo "changed"
    exit 1
fi
