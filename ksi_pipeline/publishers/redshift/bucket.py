"""The folder of a bucket that batches are loaded from: files, the manifest, and what is swept."""

import json
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ksi_pipeline.core.publishing import Batch
from ksi_pipeline.durable import sha256
from ksi_pipeline.publishers.redshift.config import RedshiftConfig
from ksi_pipeline.publishers.redshift.copy_files import copy_files
from ksi_pipeline.publishers.redshift.failures import ask_aws, aws

T = TypeVar("T")

# Files larger than this go up in parts of it.
PART_BYTES = 16 * 2**20
_ATTEMPTS = 3


class Bucket:
    """What lies below our prefix; AWS's client is made when it is first needed."""

    def __init__(self, config: RedshiftConfig) -> None:
        """Take the settings; credentials are those of the machine."""
        self._config = config
        self._made: Any = None

    def upload(self, batch: Batch, manifest_key: str) -> list[str]:
        """Upload the rows of a batch, and at last the manifest that names every file.

        Returns:
            The keys of all of them.

        Raises:
            ContractError: E_TARGET_TYPE.
            KsiError: E_TARGET_*.
        """
        config, folder = self._config, manifest_key.rpartition("/")[0]
        keys, entries = [manifest_key], []
        with tempfile.TemporaryDirectory(prefix="ksi-redshift-") as temporary:
            for path in copy_files(config.id, batch, Path(temporary), config.text_bytes):
                key = f"{folder}/{path.name}"
                self._put(key, path)
                keys.append(key)
                entries.append(_entry(f"s3://{config.bucket}/{key}", path.stat().st_size))
                path.unlink()
        body = json.dumps({"entries": entries}, indent=1).encode()
        self._ask(lambda s3: s3.put_object(Bucket=config.bucket, Key=manifest_key, Body=body))
        return keys

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files; one that is not there is no failure.

        Raises:
            KsiError: E_TARGET_*.
        """
        for key in keys:
            self._ask(partial(_remove, bucket=self._config.bucket, key=key))

    def sweep(self) -> None:
        """Remove all files below our prefix, and uploads that were never finished.

        Raises:
            KsiError: E_TARGET_*.
        """
        where = {"Bucket": self._config.bucket, "Prefix": self._config.prefix}
        self.remove(self._ask(lambda s3: _keys(s3, where)))
        self._ask(lambda s3: _abort_uploads(s3, where))

    def _put(self, key: str, path: Path) -> None:
        from boto3.s3.transfer import TransferConfig

        parts = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES)
        told = {"Metadata": {"sha256": sha256(path)}}
        bucket = self._config.bucket
        with path.open("rb") as file:
            # upload_file would put what AWS said into an error of its own
            self._ask(lambda s3: s3.upload_fileobj(file, bucket, key, ExtraArgs=told, Config=parts))

    def _ask(self, call: Callable[[Any], T]) -> T:
        return ask_aws(self._config.id, "S3", lambda: call(self._client()))

    def _client(self) -> Any:
        if self._made is None:
            self._made = client(self._config, "s3")
        return self._made


def client(config: RedshiftConfig, service: str) -> Any:
    """Make a client of AWS with the machine's credentials, whichever way it has them."""
    made = aws(config.id)
    from botocore.config import Config

    settings = Config(
        connect_timeout=config.connect_timeout_s,
        read_timeout=config.s3_timeout_s,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    return made.session.Session().client(service, region_name=config.region, config=settings)


def _entry(url: str, size: int) -> dict[str, Any]:
    # COPY of Parquet demands the length
    return {"url": url, "mandatory": True, "meta": {"content_length": size}}


def _keys(s3: Any, where: dict[str, str]) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(**where)
    return [str(found["Key"]) for page in pages for found in page.get("Contents", ())]


def _remove(s3: Any, *, bucket: str, key: str) -> None:
    s3.delete_object(Bucket=bucket, Key=key)


def _abort_uploads(s3: Any, where: dict[str, str]) -> None:
    for page in s3.get_paginator("list_multipart_uploads").paginate(**where):
        for one in page.get("Uploads", ()):
            s3.abort_multipart_upload(
                Bucket=where["Bucket"], Key=one["Key"], UploadId=one["UploadId"]
            )
