# The inspection station, without PyTorch: it serves packages of `trd export`, of either runtime (docs/station.md#in-a-container).
#   docker build -t trd-station .
FROM python:3.12-slim-bookworm

RUN useradd --create-home --uid 10001 trd && install -d -o trd -g trd /data

COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
RUN pip install --no-cache-dir '/source[serve,openvino,onnx,mqtt,opcua,postgres]' && rm -r /source

USER trd
WORKDIR /data
VOLUME /data
EXPOSE 8765
# from inside, past any http_proxy: the station answers to loopback names always, to others only where --name-of-host
# gives them
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "from urllib.request import *; build_opener(ProxyHandler({})).open('http://127.0.0.1:8765/healthz', timeout=4)"]
ENTRYPOINT ["trd"]
CMD ["serve", "--help"]
