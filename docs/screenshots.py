"""`make screenshots`: takes the screenshots for the README and the docs from a running demo in a real browser."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "screenshots"
BROWSER = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDE, LAPTOP, PHONE = (1920, 1080), (1366, 768), (390, 844)
SHOTS = (
    ("wallboard", "/?lang=fr", WIDE, "light"),
    ("wallboard-dark", "/?lang=es", WIDE, "dark"),
    ("wallboard-phone", "/?lang=en", PHONE, "light"),
    ("television", "/wallboard?tv=1&lang=fr", WIDE, "dark"),
    ("campaign", "/campaign?campaign=vianova-mobile&lang=fr", LAPTOP, "light"),
    ("agents", "/agents?lang=en", LAPTOP, "light"),
    ("contract", "/sla?campaign=vianova-mobile&lang=fr", LAPTOP, "light"),
    ("data", "/analyst?lang=es", LAPTOP, "light"),
    ("feed", "/feed?lang=en", LAPTOP, "light"),
)


def main() -> int:
    browser = next((program for name in BROWSER if (program := shutil.which(name))), None)
    if browser is None:
        sys.stderr.write("Chromium is not installed (Debian: apt-get install chromium).\n")
        return 1
    port, broker_port = _free_port(), _free_port()
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "ingest", "demo", "--data-dir", data]
        command += ["--port", str(port), "--broker-port", str(broker_port)]
        demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert demo.stdout is not None
            password = ""
            for line in demo.stdout:  # it prints the accounts once it is live, then how much of the past is there
                if account := re.fullmatch(r"  manager +(\S+) .*\n", line):
                    password = account[1]
                if line.startswith("The past is complete."):
                    break
            _take(browser, f"http://127.0.0.1:{port}", password)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(60)
    return 0


def _take(browser: str, url: str, password: str) -> None:
    OUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        for name, path, (width, height), scheme in SHOTS:
            page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(url + path)  # redirects to the sign-in page, and back after signing in
            page.fill("#name", "manager")
            page.fill("#password", password)
            page.keyboard.press("Enter")
            page.wait_for_selector('[data-testid="stAppViewContainer"]')
            page.wait_for_timeout(8_000)  # for a few ticks, and until charts are drawn
            page.screenshot(path=OUT / f"{name}.png")
            page.close()
        chromium.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
