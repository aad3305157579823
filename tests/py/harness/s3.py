"""A plain S3 client for the tests: signs with Signature Version 4 and sends one request at a time.

Of the tests' own, so that what the server writes into a bucket is not only seen through the library
that wrote it.
"""

import contextlib
import datetime
import hashlib
import hmac
import http.client
import urllib.parse
import xml.etree.ElementTree as xml

REGION = "us-east-1"


class S3:
    """One endpoint ("http://127.0.0.1:9000") and one key pair."""

    def __init__(self, endpoint, key, secret):
        self.address = urllib.parse.urlsplit(endpoint).netloc
        self.key, self.secret = key, secret

    def request(self, method, path, query=(), headers=(), body=b""):
        """(status, headers, body); the path starts with the bucket and is given unquoted."""
        path = "/" + urllib.parse.quote(path.lstrip("/"), safe="/-_.~")
        query = "&".join(f"{_quote(k)}={_quote(v)}" for k, v in sorted(dict(query).items()))
        headers = self._signed(method, path, query, dict(headers), body)
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=60)) as connection:
            connection.request(method, f"{path}?{query}" if query else path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def create(self, path, body):
        """A conditional create: True when it is ours, False when there was one."""
        status, _, answer = self.request("PUT", path, headers={"If-None-Match": "*"}, body=body)
        if status not in (200, 412):
            raise RuntimeError(f"create {path}: {status} {answer[:300]!r}")
        return status == 200

    def get(self, path, headers=()):
        status, _, body = self.request("GET", path, headers=headers)
        if status not in (200, 206):
            raise RuntimeError(f"get {path}: {status} {body[:300]!r}")
        return body

    def keys(self, bucket, prefix=""):
        """Every key below a prefix."""
        found, after = [], ""
        while True:
            query = {"list-type": "2", "prefix": prefix, "start-after": after}
            status, _, body = self.request("GET", bucket, query)
            if status != 200:
                raise RuntimeError(f"list {bucket}/{prefix}: {status} {body[:300]!r}")
            tree = xml.fromstring(body)
            space = tree.tag[: tree.tag.index("}") + 1]
            page = [key.text for key in tree.iter(f"{space}Key")]
            found += page
            if tree.findtext(f"{space}IsTruncated") != "true":
                return found
            after = page[-1]

    def make_bucket(self, bucket):
        status, _, body = self.request("PUT", bucket)
        if status != 200:
            raise RuntimeError(f"make bucket {bucket}: {status} {body[:300]!r}")

    def _signed(self, method, path, query, headers, body):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        headers |= {"Host": self.address, "X-Amz-Date": now, "X-Amz-Content-Sha256": digest}
        lower = sorted((name.lower(), value) for name, value in headers.items())
        names = ";".join(name for name, _ in lower)
        lines = "".join(f"{name}:{value}\n" for name, value in lower)
        canonical = "\n".join([method, path, query, lines, names, digest])
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = b"AWS4" + self.secret.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, "
                                    f"SignedHeaders={names}, Signature={signature}")
        return headers


def _quote(text):
    return urllib.parse.quote(text, safe="-_.~")
