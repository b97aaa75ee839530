"""Serves an exported run over HTTP, with onnxruntime and the standard library alone: neither nextitem nor torch.

    nextitem export runs/RUN --out model.onnx
    python examples/serve_onnx.py model.onnx --port 8000
    curl -d '{"history": ["i0021", "i1333"], "k": 3}' http://127.0.0.1:8000/recommend

The answer is {"items": [{"item": …, "score": …, "title": …}, …], "source": "model"}. Unknown items are left out; where
none is left the most popular items are the answer ("source": "popularity"). One request is one pass of the model: put
many histories into one `session.run` to answer more of them a second.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import onnxruntime

MOST_BYTES = 1 << 20


class Model:
    def __init__(self, file: str) -> None:
        self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self.about: dict[str, Any] = json.loads(self.session.get_modelmeta().custom_metadata_map["nextitem"])
        self.index = {item: place for place, item in enumerate(self.about["items"])}

    def recommend(self, history: list[Any], k: int) -> dict[str, Any]:
        known = [self.index[item] for item in history if item in self.index]
        if not known:
            return {"items": [self.listed(place, None) for place in self.about["popular"][:k]], "source": "popularity"}
        hidden = known if self.about["hide"] == "history" else [-1]
        (items,), (scores,) = self.session.run(
            ["items", "scores"], {"history": [known[-self.about["maximum_length"] :]], "hidden": [hidden]}
        )
        best = [self.listed(int(item), float(score)) for item, score in zip(items, scores, strict=True) if item >= 0]
        return {"items": best[:k], "source": "model"}

    def listed(self, place: int, score: float | None) -> dict[str, Any]:
        titles = self.about["titles"]
        return {"item": self.about["items"][place], "score": score, "title": titles[place] if titles else None}


def handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                length = int(self.headers.get("Content-Length", 0))
                if not 0 < length <= MOST_BYTES:
                    raise ValueError(f"a body of 1 to {MOST_BYTES:,} bytes is needed")
                asked = json.loads(self.rfile.read(length))
                history, k = asked["history"], asked.get("k", 10)
                if not isinstance(history, list) or not all(isinstance(item, str | int) for item in history):
                    raise ValueError("history is a list of item ids")
                if not isinstance(k, int) or not 1 <= k <= model.about["k"]:
                    raise ValueError(f"k is a number from 1 to {model.about['k']}")
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                self.reply(400, {"error": f"{error}"})
                return
            self.reply(200, model.recommend(history, k))

        def reply(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Histories are nobody's business."""

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="file of `nextitem export`")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free")
    asked = parser.parse_args()
    server = ThreadingHTTPServer((asked.host, asked.port), handler(Model(asked.model)))
    print(f"http://{asked.host}:{server.server_port}/recommend", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
