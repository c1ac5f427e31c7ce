# Licensed to the Apache Software Foundation (ASF) under one
# or more contributor license agreements.  See the NOTICE file
# distributed with this work for additional information
# regarding copyright ownership.  The ASF licenses this file
# to you under the Apache License, Version 2.0 (the
# "License"); you may not use this file except in compliance
# with the License.  You may obtain a copy of the License at
#
#   http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing,
# software distributed under the License is distributed on an
# "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
# KIND, either express or implied.  See the License for the
# specific language governing permissions and limitations
# under the License.
"""Secrets never show."""

from __future__ import annotations

import logging
import pickle
import traceback
from pathlib import Path

import pytest

from beam_doris.errors import ConfigError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.secrets import Secret, redact

PLAIN = "hunter2-plain"


def _provide() -> str:
    return "from a callable"


def _not_text() -> str:
    return 5  # type: ignore[return-value]


def test_no_way_of_printing_shows_a_plain_secret(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret.of(PLAIN)
    logging.getLogger("x").error("%s %r", secret, secret)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", f"{secret:>10}"]
    assert not any("hunter2" in text for text in [*shown, caplog.text, repr([secret])])


def test_a_connection_never_shows_its_password() -> None:
    connection = DorisConnection(fenodes="h:1", username="u", password=PLAIN)
    assert PLAIN not in repr(connection) + str(connection)
    assert connection.credentials() == ("u", PLAIN)


def test_a_failed_construction_does_not_show_the_password() -> None:
    with pytest.raises(ConfigError) as caught:
        DorisConnection(fenodes="nowhere", username="", password=PLAIN)
    shown = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    # the traceback quotes this file's line, but not the value
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    "address", [f"root:{PLAIN}@h:1", f"http://root:{PLAIN}@h:1", f"jdbc:mysql://root:{PLAIN}@h:1"]
)
def test_a_password_inside_an_address_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DorisConnection(fenodes=address, username="u", password="", jdbc_url=address)
    assert PLAIN not in str(caught.value)


def test_a_secret_from_the_environment_is_read_late(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret.env("BEAM_DORIS_TEST_SECRET")
    with pytest.raises(ConfigError, match="BEAM_DORIS_TEST_SECRET is not set"):
        secret.reveal()
    monkeypatch.setenv("BEAM_DORIS_TEST_SECRET", "later")
    assert secret.reveal() == "later"
    assert b"later" not in pickle.dumps(secret)


def test_a_secret_from_a_file_is_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    secret = Secret.file(path)
    with pytest.raises(ConfigError, match="cannot be read: FileNotFoundError"):
        secret.reveal()
    path.write_text("in a file\r\nsecond\n", encoding="utf-8")
    assert secret.reveal() == "in a file"
    assert b"in a file" not in pickle.dumps(secret)


def test_a_secret_from_a_callable_travels_as_the_callable() -> None:
    secret = pickle.loads(pickle.dumps(Secret.call(_provide)))
    assert secret.reveal() == "from a callable"
    assert "_provide" in repr(secret)
    with pytest.raises(ConfigError, match="returned int, not str"):
        Secret.call(_not_text).reveal()


def test_a_plain_secret_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(Secret.of(PLAIN))) == Secret.of(PLAIN)
    assert Secret.of("a") != Secret.of("b")


def test_a_secret_is_made_of_text_only() -> None:
    with pytest.raises(ConfigError, match="not int"):
        Secret.of(5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        Secret.env("")
    with pytest.raises(ConfigError):
        Secret.call("x")  # type: ignore[arg-type]


def test_foreign_text_is_redacted() -> None:
    assert redact(f"http://u:{PLAIN}@h and s3", Secret.of(PLAIN), "s3", None, "") == (
        "http://u:***@h and ***"
    )
