"""Elasticsearch and OpenSearch: one document of the Elastic Common Schema for each alert, by the bulk API.

A document's ``_id`` is the alert's id and its external version the revision, so that sending twice, or an old revision
late, changes nothing (https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Literal

import orjson
from pydantic import Field, SecretStr, model_validator

from detector.encodings import ecs
from detector.encodings.jsontext import dumps
from detector.finding import Alert
from detector.sinks.address import Url
from detector.sinks.base import Clock, Failure, Mode, RetryError, Sink
from detector.sinks.client import HttpClient, Reply
from detector.sinks.login import LoginSettings
from detector.sinks.requests import Places, in_groups

LARGEST = 5 << 20
"""Bytes in one request; more go into several."""
_BULK = "_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
_OK, _CREATED, _REFUSED, _UNKNOWN, _OUTDATED = 200, 201, 400, 404, 409
_FORBIDDEN = frozenset({401, 403})

log = logging.getLogger(__name__)


class ElasticsearchSettings(LoginSettings):
    """Alerts as documents of the Elastic Common Schema in Elasticsearch (8 or newer) or OpenSearch (2 or newer).

    Each alert is one document, which later revisions replace; so `index` is an index or an alias, not a data stream.
    The index template that comes with redshank makes its mapping.
    """

    mode: ClassVar[Mode] = "upsert"
    type: Literal["elasticsearch"] = Field(
        default="elasticsearch", description="Elasticsearch or OpenSearch.", examples=["elasticsearch"]
    )
    url: Url = Field(description="The address of the server.", examples=["https://elasticsearch.example.com:9200"])
    index: str = Field(
        default="redshank-alerts",
        pattern=r"^[a-z0-9][a-z0-9._-]{0,200}$",
        description="The index or alias that the documents go to.",
        examples=["alerts-kubernetes"],
    )
    template: bool = Field(
        default=True,
        description="Install the index template where there is none or an older one; a server that forbids it is "
        "used as it is.",
        examples=[False],
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="An API key, encoded (Base64) as the server gave it.",
        examples=["VnVhQ2ZHY0JDZGJr"],
    )
    api_key_file: Path | None = Field(
        default=None, description="A file with the API key.", examples=["/run/secrets/elastic-api-key"]
    )
    batch_size: int = Field(default=500, ge=1, le=5000, description="Most alerts in one request.", examples=[1000])

    @model_validator(mode="after")
    def _one_of_them(self) -> ElasticsearchSettings:
        if self.username is not None and (self.api_key is not None or self.api_key_file is not None):
            raise ValueError("give username and password, or an API key")
        return self

    def open(self, clock: Clock) -> Sink:
        """Make the sink."""
        return Elasticsearch(self, clock)

    def authorization(self) -> dict[str, str]:
        """Give the header that says who we are. Raises ConfigError where a file cannot be read."""
        key = self.secret("api_key")
        return super().authorization() if key is None else {"Authorization": f"ApiKey {key}"}


class Elasticsearch(Sink):
    """Writes documents by the bulk API."""

    def __init__(self, settings: ElasticsearchSettings, clock: Clock) -> None:
        self._settings = settings
        self._client = HttpClient(settings, clock)
        self._prepared = not settings.template

    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        """Index the alerts; those the server refuses one by one are found among the others by its answer."""
        if not self._prepared:
            await self._install()
            self._prepared = True
        documents = [self._document(alert) for alert in alerts]
        return await in_groups(_chunks(documents), lambda places: self._bulk(places, documents))

    def _document(self, alert: Alert) -> bytes:
        action = {"_index": self._settings.index, "_id": alert.id, "version": alert.revision}
        head = orjson.dumps({"index": {**action, "version_type": "external"}})
        return b"%s\n%s\n" % (head, dumps(ecs.encode(alert)))

    async def _bulk(self, places: Places, documents: Sequence[bytes]) -> list[Failure]:
        body = b"".join(documents[place] for place in places)
        reply = await self._request("POST", _BULK, body, "application/x-ndjson")
        reply.check()
        failures = list(_failures(places, _items(reply, len(places))))
        if len(failures) == len(places) and not any(failure.permanent for failure in failures):
            raise RetryError(failures[0].reason)
        return failures

    async def _install(self) -> None:
        """Install the index template. Raises RetryError where the server cannot be asked."""
        template = orjson.loads((files("detector.sinks") / "data/elasticsearch-template.json").read_bytes())
        template["index_patterns"] = [self._settings.index]
        path = f"_index_template/{self._settings.index}"
        reply = await self._request("GET", path)
        if reply.status == _OK and _version(reply) >= template["version"]:
            return
        if reply.status in {_OK, _UNKNOWN}:
            reply = await self._request("PUT", path, dumps(template))
        if reply.status in _FORBIDDEN or reply.status == _REFUSED:
            log.warning("sink %s: no index template: %s", self._settings.name, self._settings.scrub(reply.said()))
        else:
            reply.check()

    async def _request(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Reply:
        url = f"{self._settings.url.rstrip('/')}/{path}"
        return await self._client.request(method, url, body, {"Content-Type": kind, **self._settings.authorization()})

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _chunks(documents: Sequence[bytes]) -> Iterator[Places]:
    """Put places together as long as their documents are not too large for one request."""
    start = size = 0
    for place, document in enumerate(documents):
        if size and size + len(document) > LARGEST:
            yield range(start, place)
            start, size = place, 0
        size += len(document)
    yield range(start, len(documents))


def _items(reply: Reply, count: int) -> list[dict[str, Any]]:
    """Read the answer for each document. Raises RetryError where that is not what came."""
    answer = reply.json()
    items = answer.get("items") if isinstance(answer, dict) else None
    items = items if isinstance(items, list) else []
    results = [item["index"] for item in items if isinstance(item, dict) and isinstance(item.get("index"), dict)]
    if len(results) != count or not all(isinstance(result.get("status"), int) for result in results):
        raise RetryError(f"not the answer of such a server: {reply.said()}")
    return results


def _failures(places: Places, items: Sequence[dict[str, Any]]) -> Iterator[Failure]:
    for place, item in zip(places, items, strict=True):
        status = item["status"]
        if status in {_OK, _CREATED, _OUTDATED}:  # outdated: what is there is this revision or a newer one
            continue
        error = item.get("error")
        said = f"{error.get('type')}: {error.get('reason')}" if isinstance(error, dict) else str(error)
        yield Failure(place, f"answered {status} for this document: {said}", permanent=status == _REFUSED)


def _version(reply: Reply) -> int:
    """Give the version of the template that is there; 0 where it has none."""
    answer = reply.json()
    try:
        version = answer["index_templates"][0]["index_template"]["version"]
    except (KeyError, IndexError, TypeError):
        return 0
    return version if isinstance(version, int) else 0


SETTINGS = ElasticsearchSettings
