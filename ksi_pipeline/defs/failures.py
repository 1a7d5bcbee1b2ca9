"""Failures: what can be retried, and what must not be.

`Failure(allow_retries=False)` binds only the step's own RetryPolicy. A deployment that retries
whole runs looks at the run tag `dagster/retry_on_asset_or_op_failure`; without it, a refused token
would be tried again for as long as run retries last. So a permanent error sets both.

A RetryPolicy also takes an interrupt (Ctrl-C, SIGTERM, "terminate" in the UI) for something that
passes: Dagster turns it into a retry, and the run goes on half a minute later. `Interrupted` is
what Dagster lets through and then takes for the interrupt that it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from ksi_pipeline.core.errors import PermanentError
from video_ingest.contract import VideoError

RETRIES = dg.RetryPolicy(max_retries=3, delay=30, backoff=dg.Backoff.EXPONENTIAL)


class Interrupted(dg.DagsterError, dg.DagsterExecutionInterruptedError):
    """Somebody stopped the run."""


@contextmanager
def no_retry_on_permanent_errors(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Turn a permanent error into a failure that nothing retries; let others through.

    An interrupt is not retried either.
    """
    try:
        yield
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt) as stop:
        raise Interrupted from stop
    except (PermanentError, VideoError) as error:
        context.instance.add_run_tags(
            context.run_id, {"dagster/retry_on_asset_or_op_failure": "false"}
        )
        raise dg.Failure(
            description=f"{error.code}: {error}",
            metadata={"code": error.code},
            allow_retries=False,
        ) from error
