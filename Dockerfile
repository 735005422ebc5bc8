# The image of both programs. What it does is in scripts/, where CI runs the same steps without a container engine.
#
#   docker build -t smartlinks .
#   docker run smartlinks smartlinks --version         the service: serve, migrate, check, call
#   docker run smartlinks smartlinks-gateway           the door for browsers
#
# There is no entrypoint, because there are two programs; without a word, the service serves.

FROM node:22-bookworm-slim AS country
WORKDIR /build
COPY scripts/setup scripts/
RUN scripts/setup country

FROM rust:1-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY proto proto
COPY migrations migrations
COPY src src
COPY scripts/setup scripts/image scripts/
COPY --from=country /build/.smartlinks/geo .smartlinks/geo
RUN scripts/image build /image

FROM scratch
COPY --from=build /image /
# A volume that an engine makes here belongs to the user.
COPY --from=build --chown=65532:65532 /image/var/lib/smartlinks /var/lib/smartlinks
USER 65532:65532
WORKDIR /
ENV PATH=/usr/bin
# gRPC, metrics, HTTP.
EXPOSE 50051 9090 8080
STOPSIGNAL SIGTERM
LABEL org.opencontainers.image.title="Smart Links" \
    org.opencontainers.image.description="Referral links that send each click to the page that suits the visitor, and can say why" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0"
CMD ["smartlinks", "serve"]
