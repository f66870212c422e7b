# launch-action as an image, for GitLab, Jenkins, Kubernetes and `uses: docker://...`.
#
# The base is not pinned by digest here: whoever builds releases gives the digest of the day as
# --build-arg PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie@sha256:..., and the release
# workflow does. What is installed in it is pinned by hash. Debian 13 is the first with docker-cli
# and docker-buildx.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
# requirements-wandb.lock makes an image that registers jobs in W&B.
ARG REQUIREMENTS=requirements.lock
WORKDIR /src
RUN python3 -m venv /opt/venv
COPY ${REQUIREMENTS} requirements.lock
RUN /opt/venv/bin/python -m pip install --no-cache-dir --no-compile --disable-pip-version-check \
      --require-hashes --only-binary :all: -r requirements.lock \
 && /opt/venv/bin/python -m pip uninstall --yes --quiet pip setuptools wheel 2>/dev/null
COPY bootstrap.py ./
COPY src src
# The same layout as the action's own environment, by the same code.
RUN python3 -I bootstrap.py --install-into /opt/venv \
 # The other of two bindings, for PyPy, with all its symbols.
 && rm /opt/venv/lib/python3*/site-packages/zstandard/_cffi.*.so

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="launch-action" \
      org.opencontainers.image.description="Turn a commit into a job, without a daemon" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# What only people and servers use of these packages stays away, perl's modules the most: no command
# of git that the program runs is written in perl. dpkg is asked once, so that who builds on this
# image can install what they like.
# hadolint ignore=DL3008
RUN for path in 'share/man' 'share/doc' 'share/locale' 'share/perl' 'share/gitweb' 'lib/*/perl' \
      'lib/*/libperl.so*' 'lib/git-core/git-daemon' 'lib/git-core/git-http-backend' \
      'lib/git-core/git-http-push' 'lib/git-core/git-imap-send' 'lib/git-core/git-shell' 'bin/scalar'; do \
      printf 'path-exclude=/usr/%s\npath-exclude=/usr/%s/*\n' "$path" "$path"; \
    done >/etc/dpkg/dpkg.cfg.d/without \
 && echo 'path-include=/usr/share/doc/*/copyright' >>/etc/dpkg/dpkg.cfg.d/without \
 && apt-get update \
 && apt-get install --yes --no-install-recommends \
      ca-certificates docker-buildx docker-cli git git-lfs openssh-client \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/* /etc/dpkg/dpkg.cfg.d/without \
 # Whoever the program becomes may write here; mount logins as /home/launch/.docker.
 && install --directory --mode=0777 /home/launch
COPY --from=build /opt/venv /opt/venv
ENV PATH="/opt/venv/bin:${PATH}" LANG=C.UTF-8 HOME=/home/launch LAUNCH_ACTION_IMAGE=1
# Root, on purpose: a runner mounts a workspace that belongs to any user, and asks for it. The
# program becomes that user before it writes anything.
# No shell in between: it would drop variables such as INPUT_BUILD-CONTEXT.
ENTRYPOINT ["/opt/venv/bin/launch-action"]
