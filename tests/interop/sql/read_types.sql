-- Licensed to the Apache Software Foundation (ASF) under one
-- or more contributor license agreements.  See the NOTICE file
-- distributed with this work for additional information
-- regarding copyright ownership.  The ASF licenses this file
-- to you under the Apache License, Version 2.0 (the
-- "License"); you may not use this file except in compliance
-- with the License.  You may obtain a copy of the License at
--
--   http://www.apache.org/licenses/LICENSE-2.0
--
-- Unless required by applicable law or agreed to in writing,
-- software distributed under the License is distributed on an
-- "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
-- KIND, either express or implied.  See the License for the
-- specific language governing permissions and limitations
-- under the License.

-- every row of the manual's table of types
CREATE TABLE types (
    id INT,
    t_boolean BOOLEAN,
    t_tinyint TINYINT,
    t_smallint SMALLINT,
    t_bigint BIGINT,
    t_float FLOAT,
    t_double DOUBLE,
    t_date DATE,
    t_datetime TIMESTAMP,
    t_decimal DECIMAL(18, 4),
    t_char STRING,
    t_largeint STRING,
    t_varchar STRING,
    t_string STRING,
    t_array ARRAY<INT>,
    t_map STRING,
    t_json STRING,
    t_variant STRING,
    t_ipv4 STRING,
    t_ipv6 STRING
    )
    WITH (
      'connector' = 'doris',
      'fenodes' = '${fenodes}',
      'table.identifier' = 'test.types',
      'source.use-flight-sql' = '${flight}',
      'source.flight-sql-port' = '${flight_port}',
      'username' = 'root',
      'password' = ''
);

SELECT ${columns} FROM types;
