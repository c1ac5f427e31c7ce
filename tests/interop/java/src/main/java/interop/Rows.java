/*
 * Licensed to the Apache Software Foundation (ASF) under one
 * or more contributor license agreements.  See the NOTICE file
 * distributed with this work for additional information
 * regarding copyright ownership.  The ASF licenses this file
 * to you under the Apache License, Version 2.0 (the
 * "License"); you may not use this file except in compliance
 * with the License.  You may obtain a copy of the License at
 *
 *   http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing,
 * software distributed under the License is distributed on an
 * "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
 * KIND, either express or implied.  See the License for the
 * specific language governing permissions and limitations
 * under the License.
 */
package interop;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Prints rows so that the driver can tell them from everything else on the output. */
final class Rows {
    private Rows() {}

    static void print(Object... cells) {
        print(Arrays.asList(cells));
    }

    static void print(List<?> cells) {
        List<String> parts = new ArrayList<>();
        for (Object cell : cells) {
            parts.add(cell == null ? "null" : quote(text(cell)));
        }
        String line = "ROW [" + String.join(",", parts) + "]";
        synchronized (System.out) {
            System.out.println(line);
            System.out.flush();
        }
    }

    /** One JSON object with measured numbers. */
    static void measured(String json) {
        System.out.println("MEASURED " + json);
        System.out.flush();
    }

    private static String text(Object cell) {
        return cell instanceof Object[] array ? Arrays.deepToString(array) : String.valueOf(cell);
    }

    private static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }
}
