package io.github.stemsplitter;

import java.util.stream.*;

import java.net.*;
import java.nio.charset.*;
import java.util.*;

/** Objects of one kind. */
public class Collection {
    final StemSplitter client;
    private final String path;

    Collection(StemSplitter client, String path) {
        this.client = client;
        this.path = path;
    }

    public Data get(String id) { return client.call("GET", at(id), null, null, true); }

    /** Returns a page, newest first: {@code items} and {@code nextCursor}; null cursor for the first. */
    public Data list(int limit, String cursor, Map<String, String> filters) {
        Map<String, Object> query = new LinkedHashMap<>();
        query.put("limit", limit);
        query.put("cursor", cursor);
        query.putAll(filters);
        return client.call("GET", path + StemSplitter.query(query), null, null, true);
    }

    /** Returns all objects, newest first, for example with {@code status}; pages are requested as needed. */
    public Stream<Data> all(Map<String, String> filters) {
        return Stream.iterate(list(100, null, filters), Objects::nonNull, page -> page.text("nextCursor") == null
            ? null : list(100, page.text("nextCursor"), filters)).flatMap(page -> page.objects("items").stream());
    }

    public Stream<Data> all() { return all(Map.of()); }

    String path() { return path; }

    String at(String id) { return path + "/" + encoded(id); }

    static String encoded(String text) { return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20"); }

}
