# syntax=docker/dockerfile:1
# An image that holds the program, the C library and the certificates of public authorities: no
# shell, no package manager, no root. It writes nothing and may run on a read-only file system.

FROM rust:1.95-slim-trixie AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# Cargo wants every target that the manifest names to exist, built or not.
COPY benches benches
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin brownout && \
    # A fifth of the size; backtraces keep the names of functions.
    strip --strip-debug -o /brownout target/release/brownout

# The same Debian release as above, or the C library may be too old for the program.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /brownout /usr/local/bin/brownout
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 10529
# Fails where the daemon does not answer; orchestrators that ask over HTTP use /-/healthy.
HEALTHCHECK --interval=15s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/brownout", "status"]
ENTRYPOINT ["/usr/local/bin/brownout"]
