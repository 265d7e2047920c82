# Image of the server. Build: docker build -t stemsplitter .   Run: see compose.yaml
# With torch, for NVIDIA GPUs: --build-arg EXTRAS='[torch]'
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md CHANGELOG.md LICENSE ./
COPY docs ./docs
COPY src ./src
ARG EXTRAS=
# torch is not in constraints.txt, because it differs by machine
RUN echo torch==2.13.0 >> constraints.txt \
    && python -m venv /opt/stemsplitter \
    && /opt/stemsplitter/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt ".$EXTRAS"
# only the CPU runs OpenVINO's networks, in its own format; of AWS only the services that give credentials are asked
RUN cd /opt/stemsplitter/lib/python3*/site-packages \
    && find openvino/libs -name '*_plugin.so' ! -name '*_intel_cpu_plugin.so' -delete \
    && find openvino/libs -name '*_frontend.so*' ! -name '*_ir_frontend.so*' -delete \
    && rm -rf openvino/libs/cache.json openvino/include openvino/cmake \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name 'sso*' ! -name sts ! -name signin -exec rm -r {} +

FROM python:3.11-slim-bookworm
RUN useradd --create-home --uid 10001 stemsplitter \
    # a volume mounted here inherits the owner
    && install --directory --owner stemsplitter /data /data/cache
COPY --from=build /opt/stemsplitter /opt/stemsplitter
USER 10001
ENV PATH=/opt/stemsplitter/bin:$PATH \
    STEMSPLITTER_HOST=0.0.0.0 \
    STEMSPLITTER_DATA_DIR=/data \
    STEMSPLITTER_CACHE_DIR=/data/cache
VOLUME /data
EXPOSE 8000
# running splits finish or are requeued
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["stemsplitter"]
CMD ["serve"]
