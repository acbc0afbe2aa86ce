"""Work in threads that a request waits for, even if its client disconnects: no thread can be stopped."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

__all__ = ["to_end"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


async def to_end(
    executor: Executor | None,
    function: Callable[Parameters, Result],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> Result:
    """Runs a function in a thread of an executor, by default of those that answer, and returns its result.

    What the request holds, an engine or a file, is let go only when the thread no longer uses it.
    """
    context = copy_context()
    loop = asyncio.get_running_loop()
    work = loop.run_in_executor(executor, lambda: context.run(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise
