# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator as a program."""

from __future__ import annotations

import ast
import datetime
import ipaddress
import json
import signal
import socket
import ssl
import subprocess
import sys
import time

import llmfleet_simulator as simulator
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from simulated_server import FILES, QUICK, Server

PROGRAM = FILES / "llmfleet_simulator.py"


def call(*arguments):
    return subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, timeout=30, check=False
    )


def test_an_empty_key_opens_no_door(tmp_path):
    (tmp_path / "key").write_text(" \n")
    done = call("--port", "0", "--api-key-file", str(tmp_path / "key"))
    assert done.returncode == 1
    assert "holds no key" in done.stderr


def test_it_is_python_3_8():
    ast.parse(PROGRAM.read_text(), feature_version=(3, 8))


def test_help_names_every_option_and_fault():
    text = call("--help").stdout
    assert all("--" + field.name.replace("_", "-") in text for field in simulator.fields(simulator.Settings))
    assert all(fault in text for fault in simulator.FAULTS)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"prot": 1}, "prot"),
        ({"port": "x"}, "port"),
        ({"port": -1}, "port"),
        ({"port": 70000}, "port"),
        ({"engine": "other"}, "engine"),
        ({"time_scale": 0}, "time_scale"),
        ({"timing": {"decode_ms": 1}}, "timing"),
        ({"timing": {"decode_base_ms": -1}}, "timing"),
        ({"prefix_caching": "maybe"}, "prefix_caching"),
        ({"faults": [{"kind": "x"}]}, "faults"),
        ({"faults": [{"kind": "reset", "evry": 5}]}, "faults"),
        ({"faults": [{"kind": "reset", "every": 0}]}, "faults"),
        ({"faults": {}}, "faults"),
    ],
)
def test_a_wrong_option_is_named(options, named):
    with pytest.raises(ValueError, match=named):
        simulator.make_settings(options)


def test_the_command_line_wins_over_the_file(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"port": 1, "max-num-seqs": 7, "timing": {"step_tokens": 5}}))
    settings = simulator.parse_arguments(
        ["--config", str(tmp_path / "c.json"), "--port", "2", "--prefix-caching", "off"]
    )
    assert (settings.port, settings.max_num_seqs, settings.prefix_caching) == (2, 7, False)
    assert settings.timing == simulator.Timing(step_tokens=5)


@pytest.mark.parametrize("config", ["{", "[]", '{"colour": 1}'])
def test_a_wrong_file_ends_the_program(tmp_path, config):
    (tmp_path / "c.json").write_text(config)
    done = call("--config", str(tmp_path / "c.json"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--api-key-file", "--certfile", "--send-log"])
def test_a_file_that_cannot_be_opened_ends_the_program(option):
    done = call("--port", "0", option, "/nowhere/file")
    assert done.returncode == 1
    assert "/nowhere/file" in done.stderr or option == "--certfile"
    assert "Traceback" not in done.stderr


def test_a_port_in_use_ends_the_program():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = call("--port", port)
    assert done.returncode == 1
    assert port in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_in_the_middle_of_a_stream(start_server, tmp_path, number):
    server = start_server(send_log=str(tmp_path / "log"))
    body = {"prompt": "x", "max_tokens": 30000, "ignore_eos": True, "stream": True}
    with server.connect() as sock:
        data = json.dumps(body).encode()
        sock.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        while b"data: " not in sock.recv(65536):
            pass
        server.process.send_signal(number)
        output, _ = server.process.communicate(timeout=20)
    assert (server.process.returncode, output) == (0, "")
    assert json.loads((tmp_path / "log").read_text())["kind"].startswith("t")


def test_connections_are_refused_until_it_is_ready(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, str(PROGRAM), "--port", str(port), "--startup-delay-s", "1.5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        refused = 0
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                refused += 1
                time.sleep(0.05)
        assert refused >= 10
        assert process.stdout.readline().startswith("SIMULATED")
        process.terminate()


def test_a_signal_ends_the_start_up_delay():
    command = [sys.executable, str(PROGRAM), "--port", "0", "--startup-delay-s", "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        time.sleep(1)
        process.terminate()
        assert process.wait(timeout=20) in (0, -signal.SIGTERM)  # the latter where it was not yet listening to signals


def test_time_scale(start_server):
    timing = {**QUICK, "decode_base_ms": 1000}
    server = start_server(timing=timing, time_scale=1000)
    start = time.monotonic()
    body = {"prompt": "x", "max_tokens": 100, "ignore_eos": True}
    assert server.ask("/v1/completions", body).status == 200
    assert 0.099 <= time.monotonic() - start < 20  # the first token comes with the prefill, 99 steps of a second follow
    assert server.ask("/version").json()["time_scale"] == 1000


@pytest.fixture
def certificate(tmp_path):
    """The path of a certificate for localhost, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = tmp_path / "cert.pem"
    path.write_bytes(
        signed.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_it_speaks_tls(start_server, certificate):
    context = ssl.create_default_context(cafile=str(certificate))
    server: Server = start_server(certfile=str(certificate), context=context)
    body = {"prompt": "x", "max_tokens": 9, "ignore_eos": True, "stream": True}
    assert len(server.ask("/v1/completions", body).events()) == 9
