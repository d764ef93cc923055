"""Signs each request with a secret that only the gateway and the upstream know.

The upstream recomputes HMAC-SHA256(secret, method \\n path \\n seconds) and compares; what did not come through the gateway
carries no valid signature. What a client sends under this name never reaches the upstream.
"""

import hashlib
import hmac
import json
import time

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import BodyMode_Skip, Decision_Next

MIN_SECRET_BYTES = 16
MEMBERS = ("secret", "header")
NEXT = Decision_Next(BodyMode_Skip())


class Signer:
    """What one configuration makes."""

    def __init__(self, config):
        for member in config:
            if member not in MEMBERS:
                raise refusal(member, "is unknown")
        secret = text(config, "secret").encode()
        if len(secret) < MIN_SECRET_BYTES:
            raise refusal("secret", f"must have at least {MIN_SECRET_BYTES} bytes")
        self.header = text(config, "header", "x-gateway-signature")
        if not self.header:
            raise refusal("header", "must not be empty")
        # Holds the secret already: per request only the message is hashed.
        self.keyed = hmac.new(secret, digestmod=hashlib.sha256)

    def sign(self, method, path, seconds):
        mac = self.keyed.copy()
        mac.update(f"{method}\n{path}\n{seconds}".encode())
        return f"t={seconds},v1={mac.hexdigest()}"


def refusal(member, reason):
    return Err(f"`{member}`: {reason}")


def text(config, member, missing=None):
    value = config.get(member, missing)
    if value is None:
        raise refusal(member, "is required")
    if not isinstance(value, str):
        raise refusal(member, "must be a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        # Half of a pair can be escaped in JSON, and stands for no character.
        raise refusal(member, "must be text")
    return value


# While the filter is built: what the library imports when it is first used is then part of it.
Signer({"secret": "-" * MIN_SECRET_BYTES}).sign("GET", "/", 0)

signer = None


class Lifecycle(exports.Lifecycle):
    def configure(self, config: str) -> None:
        global signer
        try:
            parsed = json.loads(config)
        except ValueError as error:
            raise Err(str(error))
        if not isinstance(parsed, dict):
            raise Err("must be an object")
        signer = Signer(parsed)


class RequestFilter(exports.RequestFilter):
    def on_request(self, context, request):
        signature = signer.sign(request.method(), request.path(), int(time.time()))
        request.set(signer.header, signature)
        return NEXT
