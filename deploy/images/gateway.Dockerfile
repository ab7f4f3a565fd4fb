# The gateway. From the repository's root:
#   docker build -f deploy/images/gateway.Dockerfile -t registry.example.com/tidegate-gateway:0.1.0 .
# The base is pinned by its digest: Python 3.13.15 on Debian 13.6, as of September 2026 (README.md).
ARG PYTHON=python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${PYTHON} AS build
WORKDIR /build
ENV TARGET=/opt/tidegate \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
# What it needs, in the versions and with the hashes of the lock. Nothing is compiled.
COPY deploy/images/gateway.txt deploy/images/build.txt ./
RUN python -m venv --without-pip "$TARGET" \
    && python -m pip --python "$TARGET" install --no-deps --require-hashes --only-binary :all: -r gateway.txt \
    && python -m venv backend \
    && backend/bin/python -m pip install --no-deps --require-hashes --only-binary :all: -r build.txt
# The product itself; the dev workspace and the agent stay out.
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN backend/bin/python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
    && python -m pip --python "$TARGET" install --no-deps --no-index wheels/*.whl \
    && rm -r "$TARGET"/lib/python3.*/site-packages/tidegate_dev "$TARGET"/lib/python3.*/site-packages/tidegate_agent

FROM ${PYTHON}
RUN groupadd --gid 10001 tidegate \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin tidegate \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/tidegate
COPY --from=build /opt/tidegate /opt/tidegate
# Nothing is written beside /var/lib/tidegate and /tmp: the root file system can be read-only.
ENV PATH=/opt/tidegate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/tidegate
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
ENTRYPOINT ["tidegate"]
CMD ["serve", "--config", "/etc/tidegate/config/tidegate.yaml"]
