"""Ingestion: from a folder, an archive or a URL to a data set whose every file is accounted for."""
