// Licensed to the Apache Software Foundation (ASF) under one
// or more contributor license agreements.  See the NOTICE file
// distributed with this work for additional information
// regarding copyright ownership.  The ASF licenses this file
// to you under the Apache License, Version 2.0 (the
// "License"); you may not use this file except in compliance
// with the License.  You may obtain a copy of the License at
//
//   http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing,
// software distributed under the License is distributed on an
// "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
// KIND, either express or implied.  See the License for the
// specific language governing permissions and limitations
// under the License.

// The three scan methods of a Doris backend (port be_port, binary protocol,
// unframed). Enumerations travel as i32, so that codes newer than this file
// arrive as the numbers they are: their known names are in the code.

struct TStatus {
  1: required i32 status_code
  2: optional list<string> error_msgs
}

struct TScanColumnDesc {
  1: optional string name
  2: optional i32 type
}

struct TScanOpenParams {
  1: required string cluster
  2: required string database
  3: required string table
  4: required list<i64> tablet_ids
  5: required string opaqued_query_plan
  6: optional i32 batch_size
  7: optional map<string, string> properties
  8: optional i64 limit
  9: optional string user
  10: optional string passwd
  11: optional i16 keep_alive_min
  12: optional i32 query_timeout
  13: optional i64 mem_limit
}

struct TScanOpenResult {
  1: required TStatus status
  2: optional string context_id
  3: optional list<TScanColumnDesc> selected_columns
}

struct TScanNextBatchParams {
  1: optional string context_id
  2: optional i64 offset
}

struct TScanBatchResult {
  1: required TStatus status
  2: optional bool eos
  3: optional binary rows
}

struct TScanCloseParams {
  1: optional string context_id
}

struct TScanCloseResult {
  1: required TStatus status
}

service TDorisExternalService {
  TScanOpenResult open_scanner(1: TScanOpenParams params)
  TScanBatchResult get_next(1: TScanNextBatchParams params)
  TScanCloseResult close_scanner(1: TScanCloseParams params)
}
