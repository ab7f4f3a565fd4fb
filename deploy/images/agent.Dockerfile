# The agent. From the repository's root:
#   docker build -f deploy/images/agent.Dockerfile -t registry.example.com/tidegate-agent:0.1.0 .
# The base is pinned by its digest: Python 3.13.15 on Debian 13.6, as of September 2026 (README.md).
ARG PYTHON=python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${PYTHON} AS build
WORKDIR /build
ENV TARGET=/opt/tidegate \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
# What it needs, in the versions and with the hashes of the lock. Nothing is compiled.
COPY deploy/images/agent.txt deploy/images/build.txt ./
RUN python -m venv --without-pip "$TARGET" \
    && python -m pip --python "$TARGET" install --no-deps --require-hashes --only-binary :all: -r agent.txt \
    && python -m venv backend \
    && backend/bin/python -m pip install --no-deps --require-hashes --only-binary :all: -r build.txt
# The product itself; the dev workspace stays out.
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN backend/bin/python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
    && python -m pip --python "$TARGET" install --no-deps --no-index wheels/*.whl \
    && rm -r "$TARGET"/lib/python3.*/site-packages/tidegate_dev

FROM ${PYTHON}
RUN groupadd --gid 10001 tidegate \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin tidegate
COPY --from=build /opt/tidegate /opt/tidegate
# Nothing is written beside /tmp: the root file system can be read-only.
ENV PATH=/opt/tidegate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001
EXPOSE 8443 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["tidegate", "agent"]
CMD ["--config", "/etc/tidegate/config/agent.yaml"]
