"""Start chromium without a window, for the tests that look at pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    # Containers give /dev/shm too little room.
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
)


@pytest.fixture(scope="module")
def _chrome() -> Iterator[Chrome]:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs Debian's packages chromium and chromium-driver")
    options = ChromeOptions()
    options.binary_location = chromium
    for flag in _FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


@pytest.fixture
def browser(_chrome: Chrome) -> Chrome:
    """Return a browser that records console and requests, as if it had just been opened."""
    _chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    _chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    _chrome.get("about:blank")
    for log in ("browser", "performance"):
        _chrome.get_log(log)
    return _chrome
