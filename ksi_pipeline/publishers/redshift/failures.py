"""Which cause each error of Redshift's driver and of AWS's client has."""

import re
import struct
from collections.abc import Callable
from typing import Any, TypeVar

from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.publishers.refusals import answered, code_of_state, no_driver, refused

T = TypeVar("T")

# Redshift has one state, XX000, for what COPY and transactions run into.
_INTERNAL = (
    (r"assume IAM Role|credentials of role|IAM role|iam_role", "E_TARGET_RIGHTS", "IAM role"),
    (r"S3ServiceException.*(Access ?Denied|403)", "E_TARGET_RIGHTS", "COPY, S3 AccessDenied"),
    (r"S3ServiceException", "E_TARGET_UNREACHABLE", "COPY, S3"),
    (r"Serializable isolation|conflict with concurrent", "E_TARGET_TIMEOUT", "error 1023"),
    (r"Spectrum Scan Error|String length exceeds|Load into table", "E_TARGET_TYPE", "COPY"),
)
_AWS_AUTH = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "AuthorizationHeaderMalformed",
}
_AWS_RIGHTS = {"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "403"}
_AWS_PASSING = {"SlowDown", "RequestTimeout", "Throttling", "NoSuchUpload"}
_AWS_ENV = "the machine's chain of AWS credentials"


def driver(target: str) -> Any:
    """Import redshift_connector.

    Raises:
        ConfigError: E_TARGET_DRIVER, it is not installed.
    """
    try:
        import redshift_connector
    except ImportError as error:
        raise no_driver(target, "redshift") from error
    return redshift_connector


def aws(target: str) -> Any:
    """Import boto3.

    Raises:
        ConfigError: E_TARGET_DRIVER, it is not installed.
    """
    try:
        import boto3
    except ImportError as error:
        raise no_driver(target, "redshift") from error
    return boto3


def ask(target: str, env: str, call: Callable[[], T]) -> T:
    """Call the database's driver, and turn what it raises into an error of ours.

    See answered. Where a connection breaks off, that is an error of the socket, or half a message.

    Raises:
        KsiError: as refused.
    """
    known = (driver(target).Error, OSError, struct.error, ValueError)
    return answered(call, known, lambda error: _of_database(error, target, env))


def ask_aws(target: str, service: str, call: Callable[[], T]) -> T:
    """Call AWS's client, and turn what it raises into an error of ours, as `ask` does.

    Raises:
        KsiError: as refused.
    """
    aws(target)
    from botocore.exceptions import BotoCoreError, ClientError

    known = (ClientError, BotoCoreError)
    return answered(call, known, lambda error: _of_aws(error, target, service))


def _of_database(error: Exception, target: str, env: str) -> KsiError:
    answer = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    state, message = str(answer.get("C", "")), str(answer.get("M", ""))
    code, detail = code_of_state(state), f"SQLSTATE {state}"
    if not state:
        # nothing answered
        code, detail = "E_TARGET_UNREACHABLE", type(error).__name__
    elif code is None:
        for pattern, its_code, its_detail in _INTERNAL:
            if re.search(pattern, f"{message} {answer.get('D', '')}", re.DOTALL):
                code, detail = its_code, f"{its_detail}, {detail}"
                break
    if code is None:
        code, detail = "E_TARGET_FAILED", f"{type(error).__name__}, {detail}"
    return refused(target, code, what="the database", env=env, detail=detail)


def _of_aws(error: Any, target: str, service: str) -> KsiError:
    response = getattr(error, "response", None)
    if response is None:
        # what is configured on the machine is wrong, or nobody answered
        name = type(error).__name__
        is_auth = "Credential" in name or name in ("ProfileNotFound", "TokenRetrievalError")
        code, detail = "E_TARGET_AUTH" if is_auth else "E_TARGET_UNREACHABLE", name
    else:
        name = str(response.get("Error", {}).get("Code", ""))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = "E_TARGET_FAILED"
        if name in _AWS_AUTH:
            code = "E_TARGET_AUTH"
        elif name in _AWS_RIGHTS:
            code = "E_TARGET_RIGHTS"
        elif name in _AWS_PASSING or status >= 500:
            code = "E_TARGET_UNREACHABLE"
        detail = f"{service} {name}"
    return refused(target, code, what=service, env=_AWS_ENV, detail=detail)
