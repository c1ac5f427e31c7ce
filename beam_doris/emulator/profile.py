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
"""Server generations: what differs between them on the wire.

Code asks a named property of the profile and never compares version numbers itself.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class LargeintForm(enum.Enum):
    """Arrow form of LARGEINT (P 5.5)."""

    TEXT = "text"
    BINARY16 = "binary16"


class Ipv4Form(enum.Enum):
    """Arrow form of IPV4 (P 5.5)."""

    INT32 = "int32"
    UINT32 = "uint32"
    TEXT = "text"


class Ipv6Form(enum.Enum):
    """Arrow form of IPV6 (P 5.5)."""

    TEXT = "text"
    DECIMAL_TEXT = "decimal_text"


class DateForm(enum.Enum):
    """Arrow form of DATE (P 5.5)."""

    DATE32 = "date32"
    TEXT = "text"


class DatetimeForm(enum.Enum):
    """Arrow form of DATETIME (P 5.5): naive or zoned by scale, always micro, or text."""

    NAIVE = "naive"
    ZONED = "zoned"
    ZONED_MICRO = "zoned_micro"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrowForms:
    """Which Arrow forms the backends send, over Thrift and Flight alike (P 5.5)."""

    largeint: LargeintForm = LargeintForm.TEXT
    ipv4: Ipv4Form = Ipv4Form.INT32
    ipv6: Ipv6Form = Ipv6Form.TEXT
    date: DateForm = DateForm.DATE32
    datetime: DatetimeForm = DatetimeForm.NAIVE
    zone: str = "UTC"
    sends_objects: bool = True
    sends_decimal256: bool = True
    scan_columns_shuffled: bool = False  #: no generation does; to try clients that go by name


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpForms:
    """What differs in HTTP answers (P 13)."""

    redirect_ends_with_question_mark: bool = False
    schema_has_type_details: bool = True
    two_phase_prefix: str = "[ANALYSIS_ERROR]TStatus: errCode = 2, detailMessage = "
    load_error_prefix: str = "[ANALYSIS_ERROR]TStatus: errCode = 2, detailMessage = "
    first_error_message: bool = True
    arrow_columns_by_order: bool = True
    overlong_text_is_cut: bool = False
    default_compress_on_arrow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the frontend (P 3.4)."""

    max_running_transactions: int = 1000
    stream_load_timeout_seconds: float = 259_200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One server generation."""

    name: str
    version: str
    arrow: ArrowForms = field(default_factory=ArrowForms)
    http: HttpForms = field(default_factory=HttpForms)
    limits: Limits = field(default_factory=Limits)
    show_backends_new_columns: bool = True
    json_type_name: str = "JSON"

    @classmethod
    def named(cls, name: str) -> Profile:
        """A known profile.

        Raises:
            ValueError: there is none of that name.
        """
        try:
            return PROFILES[name]
        except KeyError:
            known = ", ".join(sorted(PROFILES))
            raise ValueError(f"unknown profile {name!r}; known: {known}") from None


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="2.0",
            version="doris-2.0.15",
            arrow=ArrowForms(
                largeint=LargeintForm.BINARY16,
                ipv4=Ipv4Form.UINT32,
                ipv6=Ipv6Form.DECIMAL_TEXT,
                date=DateForm.TEXT,
                datetime=DatetimeForm.TEXT,
                sends_objects=False,
                sends_decimal256=False,
            ),
            http=HttpForms(
                redirect_ends_with_question_mark=True,
                schema_has_type_details=False,
                two_phase_prefix="errCode = 2, detailMessage = ",
                load_error_prefix="errCode = 2, detailMessage = ",
                first_error_message=False,
                arrow_columns_by_order=False,
            ),
            limits=Limits(max_running_transactions=100, stream_load_timeout_seconds=600.0),
            show_backends_new_columns=False,
            json_type_name="JSONB",
        ),
        Profile(
            name="2.1",
            version="doris-2.1.11",
            arrow=ArrowForms(ipv4=Ipv4Form.INT32, datetime=DatetimeForm.ZONED_MICRO),
            http=HttpForms(
                redirect_ends_with_question_mark=True,
                schema_has_type_details=False,
                two_phase_prefix="(127.0.0.1)[ANALYSIS_ERROR]TStatus: errCode = 2, "
                "detailMessage = ",
                first_error_message=False,
                arrow_columns_by_order=False,
            ),
        ),
        Profile(
            name="3.0",
            version="doris-3.0.8",
            arrow=ArrowForms(datetime=DatetimeForm.ZONED),
            http=HttpForms(redirect_ends_with_question_mark=True, schema_has_type_details=False),
        ),
        Profile(
            name="4.0",
            version="doris-4.0.2",
            limits=Limits(max_running_transactions=10_000),
        ),
    )
}

DEFAULT_PROFILE = PROFILES["4.0"]
