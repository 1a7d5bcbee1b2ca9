"""The least policies of AWS that a target of kind `redshift` needs, as the documents IAM takes."""

from typing import Any

from ksi_pipeline.publishers.redshift.config import RedshiftConfig


def upload_policy(config: RedshiftConfig) -> dict[str, Any]:
    """Let the machine that publishes stage files below our prefix, and sweep there."""
    allowed = [
        _list(config, ["s3:ListBucket"], is_by_prefix=True),
        # the service knows no condition on the prefix here
        _list(config, ["s3:ListBucketMultipartUploads"], is_by_prefix=False),
        _objects(config, ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]),
    ]
    if config.cluster:
        # the account and the region are those of the cluster
        arns = [
            f"{_arn(config)}:redshift:*:*:dbuser:{config.cluster}/{config.publisher}",
            f"{_arn(config)}:redshift:*:*:dbname:{config.cluster}/*",
        ]
        allowed.append(_allow(["redshift:GetClusterCredentials"], arns))
    if config.workgroup:
        arns = [f"{_arn(config)}:redshift-serverless:*:*:workgroup/*"]
        allowed.append(_allow(["redshift-serverless:GetCredentials"], arns))
    return _policy(allowed)


def copy_policy(config: RedshiftConfig) -> dict[str, Any]:
    """Let the database read what was staged."""
    listed = _list(config, ["s3:ListBucket"], is_by_prefix=True)
    return _policy([listed, _objects(config, ["s3:GetObject"])])


def _policy(allowed: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": allowed}


def _list(config: RedshiftConfig, actions: list[str], *, is_by_prefix: bool) -> dict[str, Any]:
    allowed = _allow(actions, [f"{_arn(config)}:s3:::{config.bucket}"])
    if is_by_prefix:
        allowed["Condition"] = {"StringLike": {"s3:prefix": [f"{config.prefix}*"]}}
    return allowed


def _objects(config: RedshiftConfig, actions: list[str]) -> dict[str, Any]:
    return _allow(actions, [f"{_arn(config)}:s3:::{config.bucket}/{config.prefix}*"])


def _arn(config: RedshiftConfig) -> str:
    # China and the public sector have AWS of their own
    return ":".join(config.iam_role.split(":")[:2])


def _allow(actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}
