"""Hubble Observer over gRPC. The only package that imports grpc and protobuf.

gRPC reads its settings from the environment when it is first used, so they are set before any module here loads it:
no lines of its own on our stderr, and no fork handlers (we start many processes and use gRPC in none of them).
"""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
