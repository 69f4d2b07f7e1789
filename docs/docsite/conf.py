# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Sphinx makes the documentation's pages with (`./run docs`), without a network."""

import tempfile
import zlib
from pathlib import Path

project = "llmfleet.serving"
copyright = "2026, the llmfleet authors"
title = html_title = html_short_title = "llmfleet.serving"

extensions = ["sphinx.ext.intersphinx", "sphinx_antsibull_ext"]
default_role = "any"
nitpicky = True
pygments_style = "ansible"
highlight_language = "YAML+Jinja"
html_theme = "sphinx_ansible_theme"
html_show_sphinx = False
html_use_modindex = False
html_use_index = False
html_copy_source = False

# Pages of Ansible's own documentation that the pages here lead to. Sphinx would download the list of all of them.
ANSIBLE = "https://docs.ansible.com/ansible/latest/"
CONFIG = "reference_appendices/config.html"
LABELS = {
    "action_plugins": "plugins/action.html#action-plugins",
    "ansible_configuration_settings": f"{CONFIG}#ansible-configuration-settings",
    "common_return_values": "reference_appendices/common_return_values.html#common-return-values",
    **{
        f"ansible_collections.ansible.builtin.{name}_module": f"collections/ansible/builtin/{name}_module.html"
        for name in ("apt", "deb822_repository", "debug", "setup")
    },
    "ansible_collections.community.docker.docker_host_info_module": "collections/community/docker/docker_host_info_module.html",
    "ansible_collections.ansible.builtin.setup_module__parameter-fact_path": (
        "collections/ansible/builtin/setup_module.html#parameter-fact_path"
    ),
}
VARIABLES = [f"ANSIBLE_CACHE_PLUGIN{name}" for name in ("", "_CONNECTION", "_PREFIX", "_TIMEOUT")]


def inventory() -> str:
    """The path of a new file with these pages, in the form that Sphinx reads."""
    lines = [f"{name} std:label -1 {page} {name}\n" for name, page in LABELS.items()]
    lines += [f"{name} std:envvar 1 {CONFIG}#envvar-$ -\n" for name in VARIABLES]
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: \n# The rest is compressed with zlib.\n"
    path = Path(tempfile.mkdtemp()) / "objects.inv"
    path.write_bytes(head.encode() + zlib.compress("".join(lines).encode()))
    return str(path)


intersphinx_mapping = {"ansible": (ANSIBLE, inventory())}
