# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from tests.support.pip_settings import docker_arguments, parse_config

LISTING = """:env:.find-links='/srv/env-wheels'
:env:.disable-pip-version-check='1'
global.cert='/etc/ssl/bundle.crt'
global.extra-index-url='\\nfile:///srv/a/simple\\nhttps://index.example.org/simple'
global.find-links='/srv/wheels'
install.find-links='/srv/install-wheels'
freeze.timeout='10'
"""


def test_the_environment_wins_over_the_file_and_unrelated_settings_stay_out():
    assert parse_config(LISTING) == {
        "cert": "/etc/ssl/bundle.crt",
        "extra-index-url": "\nfile:///srv/a/simple\nhttps://index.example.org/simple",
        "find-links": "/srv/env-wheels",
    }


def test_a_machine_without_settings_gives_none():
    assert docker_arguments(parse_config(""), {}) == ["--network", "host"]


def test_the_container_gets_the_settings_and_the_folders_they_name():
    arguments = docker_arguments(parse_config(LISTING), {"https_proxy": "http://proxy.example.org", "HOME": "/root"})
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    assert ("--env", "PIP_FIND_LINKS=/srv/env-wheels") in pairs
    assert ("--env", "PIP_EXTRA_INDEX_URL=file:///srv/a/simple https://index.example.org/simple") in pairs
    assert ("--env", "https_proxy") in pairs
    volumes = [value for name, value in pairs if name == "--volume"]
    assert sorted(volumes) == [
        "/etc/ssl/bundle.crt:/etc/ssl/bundle.crt:ro",
        "/srv/a:/srv/a:ro",  # the index, and the files that lie beside it
        "/srv/env-wheels:/srv/env-wheels:ro",
    ]
