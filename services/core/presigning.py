"""Links to objects in a bucket that are good for a while, by AWS Signature Version 4.

obstore signs links too, but cannot say in them how the answer is to be called and kept.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import quote, urlencode, urlsplit

from services.core import clock

ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Signer:
    """`base`: the bucket's address as browsers reach it, the name of the bucket at its end."""

    base: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)

    def sign(self, key: str, *, expires_in: timedelta, answer: Mapping[str, str]) -> str:
        """A link to GET `key`. `answer`: headers the answer shall have, such as `response-content-type`."""
        at = clock.now().strftime("%Y%m%dT%H%M%SZ")
        scope = f"{at[:8]}/{self.region}/s3/aws4_request"
        parts = urlsplit(f"{self.base}/{quote(key)}")
        query = {
            **answer,
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.access_key}/{scope}",
            "X-Amz-Date": at,
            "X-Amz-Expires": str(int(min(expires_in, LONGEST).total_seconds())),
            "X-Amz-SignedHeaders": "host",
            **({"X-Amz-Security-Token": self.session_token} if self.session_token else {}),
        }
        asked = urlencode(sorted(query.items()), quote_via=quote, safe="")
        request = "\n".join(["GET", parts.path, asked, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"])
        text = "\n".join([ALGORITHM, at, scope, hashlib.sha256(request.encode()).hexdigest()])
        signature = hmac.new(self._key(at[:8]), text.encode(), hashlib.sha256).hexdigest()
        return f"{parts.scheme}://{parts.netloc}{parts.path}?{asked}&X-Amz-Signature={signature}"

    def _key(self, day: str) -> bytes:
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, self.region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key
