# One image for all programs: `ingest run`, the dashboard and `notify run`. Two stages, so that pip and its caches stay behind.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements.txt constraints.txt ./
# without the packages of the tests: they are listed below that line of requirements.txt
RUN sed '/^# what proves it/,$d' requirements.txt > run.txt \
    && python -m venv /opt/vigie \
    && /opt/vigie/bin/pip install --no-cache-dir --disable-pip-version-check -r run.txt

FROM python:3.11-slim-bookworm
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
