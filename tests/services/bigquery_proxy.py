"""In front of the stand-in for BigQuery: records requests, refuses ids that are known, and fails.

bqemulator gives uploads ids of its own. The service takes those of the client, answers 409 to one
that it knows, and finds the job by it; so does this. And bqemulator shows a table without the
columns that SQL added, which this adds there, and answers 200 to queries that failed.
"""

import http.client
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

_JSON = {"content-type": "application/json"}
_OWN = {"content-length", "transfer-encoding", "connection", "date", "server"}
_STATUS = {"notFound": 404, "accessDenied": 403}
_NOT_ON = {"accept-encoding", "content-length"}
_ADDED = re.compile(r"alter table `(.+?)\.(.+?)\.(.+?)` add column if not exists `(\w+)` (\w+)")
_JOB = re.compile(r"/bigquery/v2/projects/[^/]+/jobs/([^/?]+)")


@dataclass(frozen=True)
class Request:
    """What a publisher sent; json is empty where the body is none."""

    method: str
    path: str
    json: dict


@dataclass
class Fault:
    """What happens to one request in place of an answer.

    Attributes:
        matches: method and path.
        status: answered, with the reason; None: the connection is cut.
        reads: bytes of the body before it is cut; None: the request goes through, and its answer
            is lost.
    """

    matches: Callable[[str, str], bool]
    status: int | None = None
    reason: str = ""
    reads: int | None = None
    times: int = 1


def upload(method, path):
    """The bytes of a load job."""
    return method == "PUT" and path.startswith("/upload/")


def any_query(method, path):
    """A query that is sent."""
    return method == "POST" and path.split("?")[0].endswith("/queries")


class Proxy:
    """Forwards to a server on 127.0.0.1 while it is entered."""

    def __init__(self, port):
        self.server_port = port
        self.requests, self.faults, self.jobs, self.uploads = [], [], {}, {}
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def clear(self):
        """Forget requests and faults; jobs stay known, as they do at the service."""
        self.requests.clear()
        self.faults.clear()

    def sent(self, method, part):
        """Requests of a method whose path has a part."""
        return [r for r in self.requests if r.method == method and part in r.path]

    def loads(self):
        """The configurations of load jobs as they were sent."""
        return [r.json for r in self.sent("POST", "/upload/")]

    def queries(self):
        """Queries as they were sent."""
        return [r.json for r in self.requests if any_query(r.method, r.path)]

    def fault(self, method, path):
        """Take the fault of a request."""
        for fault in self.faults:
            if fault.times and fault.matches(method, path):
                fault.times -= 1
                return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # an answer goes out at once
    wbufsize = -1
    disable_nagle_algorithm = True
    owner: Proxy

    def log_message(self, *_):
        """Be silent."""

    def _serve(self):
        proxy, length = self.owner, int(self.headers.get("Content-Length") or 0)
        fault = proxy.fault(self.command, self.path)
        if fault and fault.reads is not None:
            self.rfile.read(min(fault.reads, length))
            self.close_connection = True
            return
        body = self.rfile.read(length)
        told = _json(body)
        proxy.requests.append(Request(self.command, self.path, told))
        if fault and fault.status:
            self._send(fault.status, _JSON, _error(fault.status, fault.reason))
            return
        status, headers, answer = self._answer(body, told)
        if fault:
            self.close_connection = True
            return
        self._send(status, headers, answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def _answer(self, body, told):
        proxy = self.owner
        if self.command == "GET" and (found := _JOB.match(self.path)) and found[1] in proxy.jobs:
            return 200, _JSON, proxy.jobs[found[1]]
        job = told.get("jobReference", {}).get("jobId")
        is_upload = self.path.startswith("/upload/")
        if is_upload and job in proxy.jobs:
            return 409, _JSON, _error(409, "duplicate")
        status, headers, answer = self._forward(body)
        if is_upload and self.command == "POST" and status == 200:
            query = parse_qs(urlparse(headers["location"]).query)
            proxy.uploads[query["upload_id"][0]] = told
        if is_upload and self.command == "PUT" and status == 200:
            sent = proxy.uploads[parse_qs(urlparse(self.path).query)["upload_id"][0]]
            done = json.loads(answer) | {"configuration": sent["configuration"]}
            answer = json.dumps(done | {"jobReference": sent["jobReference"]}).encode()
            proxy.jobs[sent["jobReference"]["jobId"]] = answer
        if self.path.split("?")[0].endswith("/queries") and (wrong := _json(answer).get("errors")):
            # the service says so by the status
            reason = wrong[0]["reason"]
            return _STATUS.get(reason, 400), _JSON, _error(_STATUS.get(reason, 400), reason)
        if added := _ADDED.match(told.get("query", "")):
            self._show_column(*added.groups())
        return status, headers, answer

    def _show_column(self, project, dataset, table, name, kind):
        path = f"/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}"
        shown = json.loads(self._forward(b"", "GET", path)[2])
        shown["schema"]["fields"].append({"name": name, "type": kind})
        self._forward(json.dumps({"schema": shown["schema"]}).encode(), "PATCH", path)

    def _forward(self, body, method=None, path=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.owner.server_port, timeout=60)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _NOT_ON}
            headers["Content-Length"] = str(len(body))
            connection.request(method or self.command, path or self.path, body, headers)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read()
        finally:
            connection.close()

    def _send(self, status, headers, answer):
        self.send_response(status)
        for name, value in headers.items():
            if name not in _OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()


def _error(status, reason):
    told = {"reason": reason, "message": reason, "domain": "global"}
    return json.dumps({"error": {"code": status, "message": reason, "errors": [told]}}).encode()


def _json(body):
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
