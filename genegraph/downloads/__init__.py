"""Fetches interaction files from their publishers into the user's cache folder."""

from genegraph.downloads.biogrid import fetch_biogrid
from genegraph.downloads.remote_file import DownloadError
from genegraph.downloads.stringdb import StringFiles, fetch_string

__all__ = ["DownloadError", "StringFiles", "fetch_biogrid", "fetch_string"]
