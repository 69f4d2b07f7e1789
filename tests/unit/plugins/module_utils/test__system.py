from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._system import System, redact_command


def test_absence_is_no_error(tmp_path):
    system = System(root=str(tmp_path), folders=[str(tmp_path)])
    assert system.read("/etc/none") is None
    assert system.listing("/none") == []
    assert system.link("/none") is None
    assert system.program("none") is None
    assert system.run(["none"]) is None


def test_a_program_is_run_without_a_shell_and_in_the_c_locale(fake_host):
    output = fake_host.run(["sh", "-c", 'echo "$LC_ALL $1"; echo no >&2; exit 3', "sh", "$(id)"])
    assert output == (3, "C $(id)\n", "no\n")
    assert output.text == "C $(id)\nno"


def test_a_program_that_hangs_is_given_up(fake_host):
    output = fake_host.run(["sleep", "60"], timeout_s=0.1)
    assert output.rc is None
    assert "sleep" in output.text


def test_a_file_that_is_no_program(fake_host):
    broken = fake_host.bin / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    assert fake_host.run(["broken"]).rc == 126


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["vllm", "serve", "--port", "8000"], "vllm serve --port 8000"),
        (["vllm", "--api-key", "sk-1", "--port", "1"], "vllm --api-key ******** --port 1"),
        (["vllm", "--api-key=sk-1"], "vllm --api-key=********"),
        (["env", "HF_TOKEN=hf_1", "run"], "env HF_TOKEN=******** run"),
        (["vllm", "--max-tokens", "8", "--tokenizer", "x"], "vllm --max-tokens 8 --tokenizer x"),
        (["serve", "--ssl-keyfile", "/k.pem", "--key", "sk-1"], "serve --ssl-keyfile /k.pem --key ********"),
        ([], ""),
    ],
)
def test_secrets_in_a_command_line_are_masked(argv, shown):
    assert redact_command(argv) == shown
