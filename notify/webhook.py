"""A signed webhook, by Standard Webhooks (https://www.standardwebhooks.com): a POST of JSON with three headers.

`webhook-id` is the id of the message: a repeated delivery has the same. `webhook-timestamp` is when it was sent [s].
`webhook-signature` is `v1,` and the HMAC-SHA256, in base64, of id, timestamp and body with dots between them.

    webhooks://HOST[:PORT]/PATH?secret=…     with TLS
    webhook://HOST[:PORT]/PATH?secret=…      without, for a receiver on the same machine or network

The secret is any text, or base64 after `whsec_`. An answer other than 2xx is a failure; redirects are not followed.
"""

import base64
import binascii
import hashlib
import hmac
import json
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import requests

from metrics import clock
from notify.channels import Channel, Message, in_time, proof_of
from notify.errors import NotDelivered
from notify.failures import answered, reason_of

SCHEMES = {"webhook": "http", "webhooks": "https"}
SHORTEST_SECRET = 16
"""Characters; a shorter secret can be guessed."""
CONNECTS_WITHIN_S, ANSWERS_WITHIN_S = 5.0, 10.0


def webhook_channel(name: str, service: str, address: str) -> Channel | None:
    """Return the channel of a webhook; None if the address has no host, or no secret of SHORTEST_SECRET characters."""
    try:
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    (secret,) = query.pop("secret", [""])[:1]
    key = key_of(secret)
    if not has_host or key is None:
        return None
    url = urlunsplit((SCHEMES[service], parts.netloc, parts.path or "/", urlencode(query, doseq=True), ""))

    def deliver(message: Message) -> None:
        payload = json.dumps(
            {"id": message.message_id, "title": message.title, "text": message.body, **message.facts},
            ensure_ascii=False,
        ).encode()
        headers = {"content-type": "application/json", "user-agent": "Vigie"}
        headers |= signed(key, message.message_id, int(clock.now_s()), payload)
        try:
            with requests.post(
                url,
                data=payload,
                headers=headers,
                timeout=(CONNECTS_WITHIN_S, ANSWERS_WITHIN_S),
                allow_redirects=False,
                stream=True,
            ) as answer:
                status = answer.status_code
        except Exception as error:  # requests lets through what the layers below it raise
            raise NotDelivered(reason_of(error)) from None
        if not 200 <= status < 300:
            raise NotDelivered(answered(status))

    return Channel(name, service, proof_of(address), in_time(deliver))


def key_of(secret: str) -> bytes | None:
    """Return the key of a secret: its bytes, or what the base64 after `whsec_` holds; None if it is too short."""
    if not secret.startswith("whsec_"):
        return secret.encode() if len(secret) >= SHORTEST_SECRET else None
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) >= SHORTEST_SECRET else None


def signed(key: bytes, message_id: str, at_s: int, payload: bytes) -> dict[str, str]:
    """Return the headers by which the receiver knows sender, age and repetition of a payload."""
    content = f"{message_id}.{at_s}.".encode() + payload
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,{signature}"}
