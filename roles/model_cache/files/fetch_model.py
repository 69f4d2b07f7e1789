# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetches one model with huggingface_hub and checks every file: `python fetch_model.py < order.json`, the answer on standard output.

The order: `model`, `revision`, `cache_dir` (the folder that HF_HOME names), `endpoint` (null for the hub itself) and `token` (null
without one). The answer: `commit` and `files`, each with `name` and `size` in bytes. Runs wherever huggingface_hub is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as data:
        while chunk := data.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def main() -> None:
    order = json.load(sys.stdin)
    os.environ["HF_HOME"] = order["cache_dir"]
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import HfApi, snapshot_download  # noqa: PLC0415 - it reads HF_HOME when it is imported

    token = order["token"]
    api = HfApi(endpoint=order["endpoint"], token=token or False)
    info = api.model_info(order["model"], revision=order["revision"], files_metadata=True)
    wanted = {file.rfilename: file for file in info.siblings or []}
    options = {
        "endpoint": order["endpoint"],
        "token": token or False,
        "cache_dir": str(Path(order["cache_dir"], "hub")),
    }
    snapshot_download(order["model"], revision=order["revision"], **options)
    folder = Path(snapshot_download(order["model"], revision=info.sha, **options))
    wrong = []
    for name, file in wanted.items():
        path = folder / name
        if path.stat().st_size != file.size or (file.lfs and sha256_of(path) != file.lfs.sha256):
            wrong.append(name)
            path.resolve().unlink()
            path.unlink()
    if wrong:
        sys.exit(f"{', '.join(wrong)}: not what the hub says, removed; run again to fetch them")
    files = [{"name": name, "size": (folder / name).stat().st_size} for name in sorted(wanted)]
    print(json.dumps({"commit": info.sha, "files": files}))


if __name__ == "__main__":
    main()
