# One image for all programs: `ingest run`, the dashboard and `notify run`. Two stages, so that pip and its caches stay behind.
# The digest decides, the tag tells people what it is. docs/operate.md says how to renew both.
ARG BASE=python:3.11.16-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b

FROM ${BASE} AS build
WORKDIR /build
COPY production.lock ./
# without the broker of the demo and the packages of the tests; only files with a hash of the lock, and none that runs code
# of its own to be installed
RUN python -m venv /opt/vigie \
    && /opt/vigie/bin/pip install --no-cache-dir --disable-pip-version-check \
       --require-hashes --only-binary :all: -r production.lock

FROM ${BASE}
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin vigie \
    && install -d -o vigie -g vigie /var/lib/vigie /var/lib/vigie-keys /var/lib/vigie-access /var/lib/vigie-desk
COPY --from=build /opt/vigie /opt/vigie
WORKDIR /srv/vigie
COPY dashboard.py campaigns.toml ./
COPY .streamlit .streamlit
COPY metrics metrics
COPY ingest ingest
COPY notify notify
COPY pages pages
# PYTHONTZPATH: the pinned zone rules, never the image's
ENV PATH=/opt/vigie/bin:$PATH \
    PYTHONTZPATH="" \
    PYTHONUNBUFFERED=1 \
    STREAMLIT_BROWSER_GATHER_USAGE_STATS=false \
    STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE=true \
    VIGIE_DATA_DIR=/var/lib/vigie \
    VIGIE_DESK_DIR=/var/lib/vigie-desk \
    VIGIE_LOG_FORMAT=json
USER vigie
VOLUME ["/var/lib/vigie", "/var/lib/vigie-keys", "/var/lib/vigie-access", "/var/lib/vigie-desk"]
CMD ["python", "-m", "ingest", "run"]
