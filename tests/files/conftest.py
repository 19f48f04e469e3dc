"""A server to download from."""

import pytest

from support.downloads import ScriptedServer
from support.servers import serving


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving(ScriptedServer()) as server:
        yield server
