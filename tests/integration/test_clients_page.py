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
"""The program on the page about the clients is run as it stands there, in a Python of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"


def test_the_program_on_the_page_does_what_it_says_and_needs_no_beam(tmp_path: Path) -> None:
    program = PAGE.read_text("utf-8").split("```python\n")[1].split("```")[0]
    script = tmp_path / "program.py"
    script.write_text(program + "import sys\nassert 'apache_beam' not in sys.modules\n", "utf-8")
    ran = subprocess.run(
        [sys.executable, str(script)],
        cwd=PAGE.parents[1],
        env={"PYTHONPATH": str(PAGE.parents[1]), "PATH": "", "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.splitlines()[-1] == "2 2 3"
