package dev.flinkjob.bench;

import java.util.HashMap;
import java.util.Map;

/** {@code --name value} pairs. */
final class Arguments {
    private final Map<String, String> values = new HashMap<>();

    Arguments(String[] words) {
        if (words.length % 2 != 0) {
            throw new IllegalArgumentException("arguments are pairs: --name value");
        }
        for (int index = 0; index < words.length; index += 2) {
            if (!words[index].startsWith("--")) {
                throw new IllegalArgumentException("not an argument's name: " + words[index]);
            }
            values.put(words[index].substring(2), words[index + 1]);
        }
    }

    String get(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException("--" + name + " is missing");
        }
        return value;
    }
}
