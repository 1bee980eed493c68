# Larder as one small image: built with its tools, run without them, as nobody in particular and on a read-only root.
# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/larder
RUN python -m venv .venv
ENV PATH=/srv/larder/.venv/bin:$PATH
COPY requirements.lock requirements-node.lock ./
RUN pip install --require-hashes -r requirements.lock
# Node.js builds the assets and stays behind: it goes into an environment of its own.
RUN python -m venv /opt/node && /opt/node/bin/pip install --require-hashes -r requirements-node.lock
COPY package.json package-lock.json ./
COPY . .
RUN PATH=/opt/node/bin:$PATH python oppman.py collectstatic \
    && python oppman.py compilemessages \
    && rm -rf node_modules static/build static/src tests bench docs .ci \
    && python -m compileall -q .


FROM python:3.11-slim-bookworm

RUN groupadd --gid 10001 larder && useradd --uid 10001 --gid larder --no-create-home --home-dir /nonexistent larder \
    && install -d -o larder -g larder /srv/larder/var
WORKDIR /srv/larder
COPY --from=build /srv/larder /srv/larder
ENV PATH=/srv/larder/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    LARDER_ENVIRONMENT=production
USER 10001:10001
# The database and the files people send, where neither is elsewhere.
VOLUME /srv/larder/var
EXPOSE 8000
# Alive is enough here: whether it may get requests, /readyz says to the proxy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "oppman.py"]
CMD ["runserver", "0.0.0.0:8000"]
