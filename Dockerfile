# Both executables of Millrace: `coordinator` and `worker`. Runs as a user without rights, with a read-only root, and needs no shell.
# Built by `./run image`, or by `docker build --build-arg REVISION=$(git rev-parse HEAD) .`
ARG DEBIAN=debian:bookworm-slim

FROM ${DEBIAN} AS build
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      g++ cmake ninja-build ccache lld pkg-config \
      libabsl-dev libboost-dev libboost-program-options-dev libcurl4-openssl-dev libdeflate-dev libgmock-dev libgtest-dev \
      libluajit-5.1-dev libnats-dev librocksdb-dev libsimdjson-dev libspdlog-dev libssl-dev libyaml-cpp-dev cppzmq-dev libzmq3-dev \
      nlohmann-json3-dev prometheus-cpp-dev zlib1g-dev >/dev/null
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/root/.cache/ccache \
    cmake --preset release >/dev/null && ninja -C build/release coordinator worker
RUN sh image/install.sh build/bin /out

FROM ${DEBIAN}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Millrace" \
      org.opencontainers.image.description="Ordered, stateful work on a cluster of C++ workers over NATS JetStream" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim" \
      io.millrace.sbom="/usr/share/doc/millrace/sbom.cdx.json"
COPY --from=build /out/ /
# Debian's su, passwd and mount would run as root for whoever starts them: nobody here does.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y -qq --no-install-recommends </usr/share/doc/millrace/packages >/dev/null \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/* \
 && sh /usr/share/doc/millrace/sbom.sh "${VERSION}" >/usr/share/doc/millrace/sbom.cdx.json \
 && rm /usr/share/doc/millrace/sbom.sh \
 && find / -xdev -type f -perm /6000 -exec chmod ug-s {} + \
 && coordinator --version && worker --version
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /var/lib/millrace
CMD ["coordinator", "--help"]
