# Every part of the service but the database: `search` as an unprivileged user.
#
# Layers go from what changes seldom to what changes often: torch, the other dependencies, this package.
# TORCH_INDEX is where torch comes from beside PyPI: its CPU build (no CUDA libraries: gigabytes less) unless
# a build argument says otherwise; docker-compose.gpu.yml does.

FROM python:3.11-slim AS requirements
COPY pyproject.toml .
# Only these two files reach the layers below: another change of pyproject.toml installs nothing anew.
RUN python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
    print(*project["dependencies"], *project["optional-dependencies"]["s3"], sep="\n")' > requirements.txt \
 && grep '^torch' requirements.txt > torch.txt

FROM python:3.11-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY --from=requirements torch.txt /tmp/
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -r /tmp/torch.txt
COPY --from=requirements requirements.txt /tmp/
RUN pip install --no-cache-dir -r /tmp/requirements.txt

# A volume that is mounted for the first time takes owner and rights of the folder it covers.
RUN useradd --system --uid 10001 --create-home search \
 && install -d -o search -g search /runs /cache /data /run/secrets /work
RUN --mount=type=bind,target=/src,rw pip install --no-cache-dir --no-deps /src

ENV PYTHONUNBUFFERED=1 SEARCH_RUNS=/runs SEARCH_CACHE=/cache
USER search
WORKDIR /work
ENTRYPOINT ["search"]
CMD ["--help"]
