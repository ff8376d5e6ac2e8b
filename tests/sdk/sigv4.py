"""Signs a request as AWS's own library does: reads one as it came over the wire from stdin,
prints the authorization header that botocore gives it."""

import datetime
import os
import sys

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

region = sys.argv[1]
head, body = sys.stdin.buffer.read().split(b"\r\n\r\n", 1)
start, *lines = head.decode().split("\r\n")
method, path, _ = start.split(" ")
sent = dict(line.split(": ", 1) for line in lines)
sent = {name.lower(): value for name, value in sent.items()}

at = datetime.datetime.strptime(sent["x-amz-date"], "%Y%m%dT%H%M%SZ")
keys = Credentials(
    os.environ["AWS_ACCESS_KEY_ID"],
    os.environ["AWS_SECRET_ACCESS_KEY"],
    os.environ.get("AWS_SESSION_TOKEN"),
)
request = AWSRequest(
    method=method,
    url=f"http://{sent['host']}{path}",
    data=body,
    headers={"Content-Type": sent["content-type"]},
)

# At the time of the request, whatever the clock says.
auth.get_current_datetime = lambda: at
auth.SigV4Auth(keys, "bedrock", region).add_auth(request)
print(request.headers["Authorization"])
