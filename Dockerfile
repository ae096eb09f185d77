# The command, the flow and the stages; a project is mounted at /project. CPU and GPU: torch's wheel carries CUDA.
FROM python:3.12-slim

RUN apt-get update \
 && apt-get install --yes --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/naslora
# What changes rarely comes first, so that a change in the code does not install torch again.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir naslora_core stages pipelines \
 && touch naslora_core/__init__.py stages/__init__.py pipelines/__init__.py \
 && pip install --no-cache-dir -c constraints.txt -e '.[serve,dask,hf]' 'dvc[s3]'
COPY naslora_core naslora_core
COPY stages stages
COPY pipelines pipelines

ENV DO_NOT_TRACK=1 DVC_NO_ANALYTICS=1 PREFECT_SERVER_ANALYTICS_ENABLED=false PYTHONUNBUFFERED=1
# A project belongs to whoever mounts it, and git would refuse to read one of another owner.
RUN git config --system --add safe.directory /project
WORKDIR /project
ENTRYPOINT ["naslora"]
CMD ["--help"]
