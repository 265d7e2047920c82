package io.github.stemsplitter;

import java.util.stream.*;

import java.util.*;

/** JSON as maps, lists, strings, booleans, null, and Long or Double. */
final class Json {
    private static final int DEEPEST = 500;
    private static final String ESCAPES = "\"\\/bfnrt", ESCAPED = "\"\\/\b\f\n\r\t";

    private final String text;
    private int at, depth;

    private Json(String text) { this.text = text; }

    /** Parses a document. Throws IllegalArgumentException if it is not JSON. */
    static Object parse(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.space();
        if (json.at < text.length()) throw json.wrong();
        return value;
    }

    static String write(Object value) {
        if (value instanceof Map<?, ?> map) {
            return map.entrySet().stream().map(each -> quoted(each.getKey().toString()) + ":" + write(each.getValue()))
                .collect(Collectors.joining(",", "{", "}"));
        }
        if (value instanceof List<?> l) return l.stream().map(Json::write).collect(Collectors.joining(",", "[", "]"));
        boolean isPlain = value == null || value instanceof Boolean || value instanceof Number;
        return isPlain ? String.valueOf(value) : quoted(value.toString());
    }

    private static String quoted(String value) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : value.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }

    private Object value() {
        if (++depth > DEEPEST) throw wrong();
        Object found = switch (peek()) {
            case '{' -> object();
            case '[' -> array();
            case '"' -> string();
            default -> word();
        };
        depth--;
        return found;
    }

    private Map<String, Object> object() {
        Map<String, Object> found = new LinkedHashMap<>();
        for (boolean more = hasFirst('}'); more; more = hasNext('}')) {
            if (peek() != '"') throw wrong();
            String name = string();
            if (peek() != ':') throw wrong();
            at++;
            found.put(name, value());
        }
        return found;
    }

    private List<Object> array() {
        List<Object> found = new ArrayList<>();
        for (boolean more = hasFirst(']'); more; more = hasNext(']')) found.add(value());
        return found;
    }

    private boolean hasFirst(char end) {
        at++;
        if (peek() == end) at++;
        return text.charAt(at - 1) != end;
    }

    private boolean hasNext(char end) {
        if (peek() != ',' && peek() != end) throw wrong();
        return text.charAt(at++) == ',';
    }

    private String string() {
        at++;
        StringBuilder found = new StringBuilder();
        for (char c = next(); c != '"'; c = next()) {
            if (c < ' ') throw wrong();
            found.append(c == '\\' ? escaped() : c);
        }
        return found.toString();
    }

    private char escaped() {
        char c = next();
        if (ESCAPES.indexOf(c) >= 0) return ESCAPED.charAt(ESCAPES.indexOf(c));
        if (c != 'u' || at + 4 > text.length()) throw wrong();
        at += 4;
        return (char) Integer.parseInt(text, at - 4, at, 16);
    }

    private Object word() {
        int start = at;
        while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) at++;
        String word = text.substring(start, at);
        if (word.equals("null")) return null;
        if (word.equals("true") || word.equals("false")) return Boolean.valueOf(word);
        if (!word.matches("-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?")) throw wrong();
        return word.matches("-?\\d{1,18}") ? (Number) Long.valueOf(word) : (Number) Double.valueOf(word);
    }

    private void space() { while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++; }

    /** Returns the next character that is not white space, without consuming it. */
    private char peek() {
        space();
        if (at >= text.length()) throw wrong();
        return text.charAt(at);
    }

    private char next() {
        if (at >= text.length()) throw wrong();
        return text.charAt(at++);
    }

    private IllegalArgumentException wrong() { return new IllegalArgumentException("not JSON at character " + at); }
}
