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
"""Functions of Doris that DuckDB lacks or that mean something else there, as DuckDB macros."""

from __future__ import annotations

from typing import Any

_POWERS = ", ".join(f"'{1 << (16 * group)}'" for group in range(7, -1, -1))
_GROUPS = (
    f"list_transform([{_POWERS}], lambda p: "
    "format('{:x}', CAST((x // CAST(p AS UHUGEINT)) % 65536 AS BIGINT)))"
)
_OCTET = r"(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"

TEXT_MACROS = (
    """doris_float_text(x) AS CASE WHEN isnan(x) THEN 'NaN' WHEN isinf(x) THEN
       CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END
       ELSE regexp_replace(CAST(x AS VARCHAR), '[.]0$', '') END""",
    """doris_ipv4_text(x) AS CASE WHEN x IS NOT NULL THEN concat_ws('.', CAST(x AS BIGINT) >> 24,
       (CAST(x AS BIGINT) >> 16) & 255, (CAST(x AS BIGINT) >> 8) & 255, CAST(x AS BIGINT) & 255) END""",
    f"""doris_ipv4_parse(t) AS CASE WHEN regexp_full_match(t, '{_IPV4}') THEN CAST(
       CAST(split_part(t, '.', 1) AS BIGINT) * 16777216 + CAST(split_part(t, '.', 2) AS BIGINT) * 65536
       + CAST(split_part(t, '.', 3) AS BIGINT) * 256 + CAST(split_part(t, '.', 4) AS BIGINT)
       AS UINTEGER) END""",
    # the longest run of zero groups is written as '::' once
    """doris_ipv6_short(s) AS CASE
       WHEN s = '0:0:0:0:0:0:0:0' THEN '::'
       """
    + "\n".join(
        f"WHEN regexp_matches(s, '(^|:)0(:0){{{size - 1}}}(:|$)') "
        f"THEN regexp_replace(s, '(^|:)0(:0){{{size - 1}}}(:|$)', '::')"
        for size in range(7, 1, -1)
    )
    + " ELSE s END",
    # DuckDB puts the argument of a macro wherever it is named: an argument that is an expression
    # itself would be bound dozens of times, nested ones for minutes. A lambda binds it once.
    f"""doris_ipv6_text(address) AS list_transform([address], lambda x: CASE WHEN x IS NULL THEN NULL
       WHEN (x // 4294967296) = 65535 THEN '::ffff:' || doris_ipv4_text(CAST(x % 4294967296 AS BIGINT))
       ELSE doris_ipv6_short(array_to_string({_GROUPS}, ':')) END)[1]""",
    """doris_ipv6_groups(s) AS CASE WHEN s = '' THEN CAST([] AS VARCHAR[]) ELSE string_split(s, ':') END""",
    f"""doris_ipv6_plain(t) AS CASE WHEN contains(t, '.') AND regexp_matches(t, ':{_IPV4}$') THEN
       regexp_extract(t, '^(.*:)[^:]*$', 1)
       || format('{{:x}}', doris_ipv4_parse(regexp_extract(t, '([^:]*)$', 1)) >> 16) || ':'
       || format('{{:x}}', doris_ipv4_parse(regexp_extract(t, '([^:]*)$', 1)) & 65535)
       ELSE lower(t) END""",
    """doris_ipv6_expand(t) AS CASE WHEN contains(t, '::') THEN
       doris_ipv6_groups(split_part(t, '::', 1))
       || list_transform(range(8 - len(doris_ipv6_groups(split_part(t, '::', 1)))
          - len(doris_ipv6_groups(split_part(t, '::', 2)))), lambda i: '0')
       || doris_ipv6_groups(split_part(t, '::', 2))
       ELSE string_split(t, ':') END""",
    """doris_ipv6_number(g) AS CASE WHEN len(g) = 8
       AND len(list_filter(g, lambda e: regexp_full_match(e, '[0-9a-f]{1,4}'))) = 8 THEN
       list_reduce(list_transform(g, lambda e: CAST(CAST('0x' || e AS INTEGER) AS UHUGEINT)),
       lambda a, b: a * 65536 + b) END""",
    """doris_ipv6_parse(given) AS list_transform([given], lambda text: CASE
       WHEN len(string_split(text, '::')) <= 2 THEN doris_ipv6_number(
         list_transform([doris_ipv6_plain(text)], lambda t: doris_ipv6_expand(t))[1]) END)[1]""",
    # text of an array, map or struct literal that is a JSON document
    """doris_json(t) AS CASE WHEN json_valid(t) THEN CAST(json(t) AS VARCHAR) END""",
    """doris_variant(t) AS CASE WHEN json_valid(t) THEN CAST(json(t) AS VARCHAR)
       ELSE CAST(to_json(t) AS VARCHAR) END""",
)

PARSE_MACROS = (
    """doris_bool(t) AS CASE lower(trim(t)) WHEN 'true' THEN TRUE WHEN '1' THEN TRUE
       WHEN 'false' THEN FALSE WHEN '0' THEN FALSE END""",
    r"""doris_integer_text(t) AS CASE WHEN regexp_full_match(t, '\s*[+-]?\d+(\.\d*)?\s*')
       THEN split_part(trim(t), '.', 1) END""",
    r"""doris_decimal_text(t) AS CASE WHEN regexp_full_match(t,
       '\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*') THEN trim(t) END""",
    r"""doris_date_text(t) AS CASE
       WHEN regexp_full_match(t, '\s*\d{8}\s*') THEN
         left(trim(t), 4) || '-' || substr(trim(t), 5, 2) || '-' || substr(trim(t), 7, 2)
       WHEN regexp_full_match(t, '\s*\d{14}\s*') THEN
         left(trim(t), 4) || '-' || substr(trim(t), 5, 2) || '-' || substr(trim(t), 7, 2)
       WHEN regexp_full_match(t, '\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T].*)?') THEN
         replace(regexp_extract(t, '\d{4}[-/]\d{1,2}[-/]\d{1,2}'), '/', '-') END""",
    r"""doris_time_text(t) AS CASE
       WHEN regexp_full_match(t, '\s*\d{14}\s*') THEN
         substr(trim(t), 9, 2) || ':' || substr(trim(t), 11, 2) || ':' || substr(trim(t), 13, 2)
       WHEN regexp_full_match(t, '[^ T:]+') THEN '00:00:00'
       WHEN regexp_full_match(trim(t), '[^ T:]+[ T]+\d{1,2}:\d{1,2}(:\d{1,2}(\.\d*)?)?') THEN
         regexp_extract(trim(t), '(\d{1,2}:\d{1,2}:\d{1,2})', 1)
         || CASE WHEN regexp_full_match(trim(t), '[^ T:]+[ T]+\d{1,2}:\d{1,2}')
            THEN regexp_extract(trim(t), '(\d{1,2}:\d{1,2})$', 1) || ':00' ELSE '' END END""",
    # a fraction longer than the scale is rounded, and may carry into the second
    r"""doris_fraction(t, scale) AS CAST(round(coalesce(TRY_CAST(
       '0.' || nullif(regexp_extract(t, ':\d+\.(\d+)', 1), '') AS DECIMAL(18, 12)), 0), scale)
       * 1000000 AS BIGINT)""",
    """doris_date(t) AS TRY_CAST(doris_date_text(t) AS DATE)""",
    """doris_datetime(t, scale) AS TRY_CAST(doris_date_text(t) || ' ' || doris_time_text(t)
       AS TIMESTAMP) + to_microseconds(doris_fraction(t, scale))""",
    """doris_round_datetime(x, scale) AS CAST(x AS TIMESTAMP)
       + to_microseconds(CAST(round((epoch_us(CAST(x AS TIMESTAMP)) % 1000000) / 1000000.0, scale)
         * 1000000 AS BIGINT) - epoch_us(CAST(x AS TIMESTAMP)) % 1000000)""",
)

# DECIMAL with more digits than DuckDB has: a text of sign, digits, point and exactly s digits
WIDE_DECIMAL_MACROS = (
    """doris_wide_next(d) AS CASE WHEN rtrim(d, '9') = '' THEN '1' || repeat('0', length(d)) ELSE
       left(rtrim(d, '9'), length(rtrim(d, '9')) - 1)
       || CAST(CAST(right(rtrim(d, '9'), 1) AS INTEGER) + 1 AS VARCHAR)
       || repeat('0', length(d) - length(rtrim(d, '9'))) END""",
    """doris_wide_shown(minus, d, p, s) AS CASE
       WHEN length(ltrim(left(d, length(d) - s), '0')) > p - s THEN NULL
       ELSE CASE WHEN minus AND ltrim(d, '0') <> '' THEN '-' ELSE '' END
         || coalesce(nullif(ltrim(left(d, length(d) - s), '0'), ''), '0')
         || CASE WHEN s > 0 THEN '.' || right(d, s) ELSE '' END END""",
    """doris_wide_parts(minus, whole, fraction, p, s) AS doris_wide_shown(minus,
       CASE WHEN substr(fraction, s + 1, 1) >= '5' THEN doris_wide_next('0' || whole || left(fraction, s))
       ELSE '0' || whole || left(fraction, s) END, p, s)""",
    r"""doris_wide_decimal(t, p, s) AS CASE
       WHEN regexp_full_match(trim(t), '[+-]?(\d+(\.\d*)?|\.\d+)') THEN
         doris_wide_parts(starts_with(trim(t), '-'), split_part(ltrim(trim(t), '+-'), '.', 1),
           rpad(split_part(trim(t), '.', 2), CAST(greatest(length(split_part(trim(t), '.', 2)), s + 1) AS INTEGER), '0'),
           p, s) END""",
)

BITMAP_MACROS = (
    "to_bitmap(x) AS CASE WHEN TRY_CAST(x AS UBIGINT) IS NULL THEN CAST([] AS UBIGINT[]) "
    "ELSE [CAST(x AS UBIGINT)] END",
    "to_bitmap_with_check(x) AS [CAST(x AS UBIGINT)]",
    "bitmap_empty() AS CAST([] AS UBIGINT[])",
    "bitmap_hash(x) AS [CAST(hash(CAST(x AS VARCHAR)) & 4294967295 AS UBIGINT)]",
    "bitmap_hash64(x) AS [hash(CAST(x AS VARCHAR))]",
    "bitmap_count(b) AS CAST(coalesce(len(b), 0) AS BIGINT)",
    "bitmap_from_array(a) AS list_sort(list_distinct(CAST(a AS UBIGINT[])))",
    r"bitmap_from_string(s) AS CASE WHEN s = '' THEN CAST([] AS UBIGINT[]) "
    r"WHEN regexp_full_match(s, '\s*\d+\s*(,\s*\d+\s*)*') "
    r"THEN list_sort(list_distinct(CAST(list_transform(string_split(s, ','), lambda e: trim(e)) AS UBIGINT[]))) END",
    "bitmap_to_array(b) AS CAST(b AS BIGINT[])",
    "bitmap_to_string(b) AS CASE WHEN b IS NOT NULL THEN coalesce(array_to_string(b, ','), '') END",
    "bitmap_contains(b, x) AS list_contains(b, CAST(x AS UBIGINT))",
    "bitmap_or(a, b) AS list_sort(list_distinct(list_concat(a, b)))",
    "bitmap_and(a, b) AS list_sort(list_intersect(a, b))",
    "bitmap_and_count(a, b) AS CAST(len(list_intersect(a, b)) AS BIGINT)",
    "bitmap_or_count(a, b) AS CAST(len(list_distinct(list_concat(a, b))) AS BIGINT)",
    "bitmap_not(a, b) AS list_filter(a, lambda e: NOT list_contains(b, e))",
    "bitmap_and_not(a, b) AS list_filter(a, lambda e: NOT list_contains(b, e))",
    "bitmap_has_any(a, b) AS list_has_any(a, b)",
    "bitmap_has_all(a, b) AS list_has_all(a, b)",
    "bitmap_min(b) AS CAST(list_min(b) AS BIGINT)",
    "bitmap_max(b) AS CAST(list_max(b) AS BIGINT)",
    "bitmap_union(b) AS list_sort(list_distinct(flatten(coalesce(list(b) FILTER (WHERE b IS NOT NULL), []))))",
    "bitmap_union_count(b) AS CAST(len(list_distinct(flatten(coalesce(list(b) FILTER (WHERE b IS NOT NULL), [])))) AS BIGINT)",
    "bitmap_union_int(x) AS count(DISTINCT x)",
    "bitmap_agg(x) AS list_sort(list_distinct(CAST(coalesce(list(x) FILTER (WHERE x IS NOT NULL), []) AS UBIGINT[])))",
    "hll_empty() AS {'hll': CAST([] AS UBIGINT[])}",
    "hll_hash(x) AS {'hll': CASE WHEN x IS NULL THEN CAST([] AS UBIGINT[]) ELSE [hash(CAST(x AS VARCHAR))] END}",
    "hll_cardinality(h) AS CAST(coalesce(len(h.hll), 0) AS BIGINT)",
    "hll_raw_agg(h) AS {'hll': list_sort(list_distinct(flatten(coalesce(list(h.hll) FILTER (WHERE h IS NOT NULL), []))))}",
    "hll_union(h) AS {'hll': list_sort(list_distinct(flatten(coalesce(list(h.hll) FILTER (WHERE h IS NOT NULL), []))))}",
    "hll_union_agg(h) AS CAST(len(list_distinct(flatten(coalesce(list(h.hll) FILTER (WHERE h IS NOT NULL), [])))) AS BIGINT)",
    "ndv(x) AS approx_count_distinct(x)",
)


def _moves(name: str, unit: str, *, keeps_date: bool, sign: str = "+") -> str:
    """``days_add`` and its kin; a DATE moved by whole days stays a DATE."""
    moved = f"x {sign} n * INTERVAL 1 {unit}"
    on_date = f"CAST({moved} AS DATE)" if keeps_date else f"CAST({moved} AS TIMESTAMP_S)"
    on_text = f"doris_datetime(x, 6) {sign} n * INTERVAL 1 {unit}"
    return (
        f"{name}(x DATE, n) AS {on_date}, (x TIMESTAMP, n) AS {moved}, "
        f"(x TIMESTAMP_S, n) AS CAST({moved} AS TIMESTAMP_S), (x VARCHAR, n) AS {on_text}"
    )


_UNITS = (("year", True), ("quarter", True), ("month", True), ("week", True), ("day", True),
          ("hour", False), ("minute", False), ("second", False))  # fmt: skip

DATE_MACROS = tuple(
    _moves(f"{unit}s_{verb}", unit.upper(), keeps_date=keeps, sign=sign)
    for unit, keeps in _UNITS
    for verb, sign in (("add", "+"), ("sub", "-"))
) + tuple(
    f"{unit}s_diff(a, b) AS CAST(date_sub('{unit}', CAST(b AS TIMESTAMP), CAST(a AS TIMESTAMP)) AS BIGINT)"
    for unit, _ in _UNITS
)

MORE_MACROS = (
    "unix_timestamp(x VARCHAR) AS CAST(epoch(doris_datetime(x, 0)) AS BIGINT), "
    "(x DATE) AS CAST(epoch(x) AS BIGINT), (x TIMESTAMP) AS CAST(epoch(x) AS BIGINT), "
    "(x VARCHAR, f) AS CAST(epoch(strptime(x, f)) AS BIGINT)",
    "doris_from_unixtime(x) AS strftime(make_timestamp(CAST(x AS BIGINT) * 1000000), '%Y-%m-%d %H:%M:%S')",
    "from_second(x) AS CAST(make_timestamp(CAST(x AS BIGINT) * 1000000) AS TIMESTAMP_S)",
    "from_millisecond(x) AS CAST(make_timestamp(CAST(x AS BIGINT) * 1000) AS TIMESTAMP_MS)",
    "from_microsecond(x) AS make_timestamp(CAST(x AS BIGINT))",
    "doris_to_days(x) AS CAST(CAST(x AS DATE) - DATE '0001-01-01' + 366 AS INTEGER)",
    "get_json_string(j, p) AS json_extract_string(j, p)",
    "get_json_int(j, p) AS TRY_CAST(json_extract_string(j, p) AS INTEGER)",
    "get_json_bigint(j, p) AS TRY_CAST(json_extract_string(j, p) AS BIGINT)",
    "get_json_double(j, p) AS TRY_CAST(json_extract_string(j, p) AS DOUBLE)",
    "json_extract_int(j, p) AS TRY_CAST(json_extract_string(j, p) AS INTEGER)",
    "json_extract_bigint(j, p) AS TRY_CAST(json_extract_string(j, p) AS BIGINT)",
    "json_extract_double(j, p) AS TRY_CAST(json_extract_string(j, p) AS DOUBLE)",
    "json_extract_bool(j, p) AS TRY_CAST(json_extract_string(j, p) AS BOOLEAN)",
    "jsonb_extract_string(j, p) AS json_extract_string(j, p)",
    "jsonb_extract_int(j, p) AS TRY_CAST(json_extract_string(j, p) AS INTEGER)",
    "array_size(a) AS CAST(len(a) AS BIGINT)",
    "map_contains_key(m, k) AS map_contains(m, k)",
    "array_join(a, s) AS array_to_string(a, s)",
    "split_by_string(t, s) AS string_split(t, s)",
    "null_or_empty(t) AS (t IS NULL OR t = '')",
    "not_null_or_empty(t) AS (t IS NOT NULL AND t <> '')",
    "ipv4_num_to_string(x) AS doris_ipv4_text(x)",
    "ipv4_string_to_num(x) AS CAST(doris_ipv4_parse(x) AS BIGINT)",
    "to_ipv4(x) AS doris_ipv4_parse(x)",
    "to_ipv6(x) AS doris_ipv6_parse(x)",
    "truncate(x, n) AS trunc(x * power(10, n)) / power(10, n)",
    "space(n) AS repeat(' ', n)",
    "strcmp(a, b) AS CAST(CASE WHEN a < b THEN -1 WHEN a > b THEN 1 WHEN a = b THEN 0 END AS TINYINT)",
    "makedate(y, n) AS CAST(make_date(CAST(y AS BIGINT), 1, 1) + CAST(n - 1 AS INTEGER) AS DATE)",
    "substring_index(t, s, n) AS CASE WHEN n >= 0 THEN array_to_string(string_split(t, s)[1:n], s) "
    "ELSE array_to_string(string_split(t, s)[n:], s) END",
    "strleft(t, n) AS left(t, n)",
    "strright(t, n) AS right(t, n)",
    "money_format(x) AS format('{:,.2f}', CAST(x AS DOUBLE))",
    "murmur_hash3_32(x) AS CAST(hash(x) & 2147483647 AS INTEGER)",
    "find_in_set(x, s) AS CAST(coalesce(list_position(string_split(s, ','), x), 0) AS INTEGER)",
    "field(x, a, b := NULL, c := NULL, d := NULL) AS coalesce(list_position([a, b, c, d], x), 0)",
)

MACROS = (
    TEXT_MACROS + PARSE_MACROS + WIDE_DECIMAL_MACROS + BITMAP_MACROS + DATE_MACROS + MORE_MACROS
)


def install(cursor: Any) -> None:
    """Define every macro in the database of this cursor."""
    for macro in MACROS:
        cursor.execute(f"CREATE OR REPLACE MACRO {macro}")
