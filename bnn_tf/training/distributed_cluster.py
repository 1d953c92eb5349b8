"""Which processes train together: what the environment variable TF_CONFIG says, checked before TensorFlow reads it.

TensorFlow itself waits for ever for a worker that isn't there, and takes an address that is none.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bnn_tf.errors import ArgumentError

VARIABLE = "TF_CONFIG"
CHIEF, WORKER = "chief", "worker"
_EXAMPLE = (
    'For two machines, on the first: TF_CONFIG=\'{"cluster": {"worker": ["10.0.0.1:12345", "10.0.0.2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}\'; on the second the same with "index": 1'
)


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
        addresses: "host:port" of each, the chief first.
        rank: which of them this one is; 0 is the chief.
    """

    addresses: tuple[str, ...]
    rank: int


def cluster(environment: Mapping[str, str] = os.environ) -> Cluster:
    """The cluster that TF_CONFIG describes.

    Args:
        environment: the environment variables.

    Raises:
        ArgumentError: a ValueError that says what is wrong, and shows an example.

    Example:

    >>> cluster({"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'})
    Cluster(addresses=('a:1', 'b:1'), rank=1)
    """
    text = environment.get(VARIABLE)
    if not text:
        raise _error("isn't set: it says which processes train together, and which of them this one is")
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _error(f"is no JSON ({error}): {text}") from None
    jobs, task = _mapping(config, "cluster"), _mapping(config, "task")
    foreign = [job for job in jobs if job not in (CHIEF, WORKER)]
    if foreign:
        raise _error(f'has the job "{foreign[0]}" in its cluster: synchronous training knows "worker" and "chief"')
    if len(jobs.get(CHIEF, [])) > 1:
        raise _error(f"has {len(jobs[CHIEF])} chiefs: there can be one")
    addresses = [address for job in (CHIEF, WORKER) for address in _addresses(jobs, job)]
    twice = [address for address in addresses if addresses.count(address) > 1]
    if not addresses or twice:
        raise _error(f"has {twice[0]} twice in its cluster" if twice else "has no worker in its cluster")
    return Cluster(tuple(addresses), _rank(jobs, task))


def _rank(jobs: Mapping[str, Any], task: Mapping[str, Any]) -> int:
    """Where the own task stands among all."""
    kind, index = task.get("type"), task.get("index")
    if not isinstance(kind, str) or kind not in jobs:
        raise _error(f"has the task type {json.dumps(kind)}: its cluster has {' and '.join(map(json.dumps, jobs))}")
    count = len(jobs[kind])
    if type(index) is not int or not 0 <= index < count:
        raise _error(f"has the task index {json.dumps(index)}: expected 0..{count - 1}, for the {count} of its cluster")
    return index + (len(jobs.get(CHIEF, [])) if kind == WORKER else 0)


def _mapping(config: Any, key: str) -> Mapping[str, Any]:
    value = config.get(key) if isinstance(config, dict) else None
    if not isinstance(value, dict):
        raise _error(f'has no object "{key}"')
    return value


def _addresses(jobs: Mapping[str, Any], job: str) -> list[str]:
    addresses = jobs.get(job, [])
    if not isinstance(addresses, list):
        raise _error(f'must have a list of addresses for "{job}"')
    for address in addresses:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        if not (host and port.isdecimal() and 0 < int(port) < 65536):
            raise _error(f'has the address {json.dumps(address)}: expected "host:port"')
    return addresses


def _error(what: str) -> ArgumentError:
    return ArgumentError(f"{VARIABLE} {what}. {_EXAMPLE}.")
