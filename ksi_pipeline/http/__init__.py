"""The one place that speaks HTTP outward; client.py says what a caller gets for each outcome."""

from ksi_pipeline.http.client import HttpClient, HttpLimits, HttpReply
from ksi_pipeline.http.hosts import Hosts

__all__ = ["Hosts", "HttpClient", "HttpLimits", "HttpReply"]
