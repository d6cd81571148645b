# One image for every part of the service except the database. It runs `search` as an unprivileged user.
#
# The layers go from what changes rarely to what changes often: torch, the other dependencies, this package.
# TORCH_INDEX is an extra package index for torch, in addition to PyPI. The default has the CPU build, which
# is gigabytes smaller because it has no CUDA libraries. docker-compose.gpu.yml sets another index.

FROM python:3.11-slim AS requirements
COPY pyproject.toml .
# Only these two files reach the layers below, so other changes of pyproject.toml reinstall nothing.
RUN python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
    print(*project["dependencies"], *project["optional-dependencies"]["s3"], sep="\n")' > requirements.txt \
 && grep '^torch' requirements.txt > torch.txt

FROM python:3.11-slim
# `trainer.compile` needs a C compiler. Only the image for GPUs has one.
ARG SYSTEM_PACKAGES=
RUN if [ -n "$SYSTEM_PACKAGES" ]; then apt-get update \
 && apt-get install -y --no-install-recommends $SYSTEM_PACKAGES && rm -rf /var/lib/apt/lists/*; fi
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY --from=requirements torch.txt /tmp/
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -r /tmp/torch.txt
COPY --from=requirements requirements.txt /tmp/
RUN pip install --no-cache-dir -r /tmp/requirements.txt

# A new volume takes the owner and the permissions of the folder it is mounted on.
RUN useradd --system --uid 10001 --create-home search \
 && install -d -o search -g search /runs /cache /data /run/owner /run/secrets /work
RUN --mount=type=bind,target=/src,rw pip install --no-cache-dir --no-deps /src

ENV PYTHONUNBUFFERED=1 SEARCH_RUNS=/runs SEARCH_CACHE=/cache
USER search
WORKDIR /work
ENTRYPOINT ["search"]
CMD ["--help"]
