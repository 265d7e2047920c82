package io.github.stemsplitter;

import java.util.stream.*;

import java.net.*;
import java.nio.charset.*;
import java.util.*;

/** Objects of one kind. */
public class Collection {
    final StemSplitter client;
    final String path;

    Collection(StemSplitter client, String path) {
        this.client = client;
        this.path = path;
    }

    public Data get(String id) { return client.get(at(id)); }

    /** Returns a page, newest first: {@code items} and {@code nextCursor}; null cursor for the first. */
    public Data list(int limit, String cursor, Map<String, String> filters) {
        List<Object> query = new ArrayList<>(Arrays.asList("limit", limit, "cursor", cursor));
        filters.forEach((name, value) -> query.addAll(Arrays.asList(name, value)));
        return client.get(path + StemSplitter.query(query.toArray()));
    }

    /**
     * Returns all objects, newest first; pages are requested as needed. Filters are {@code status}, and of deliveries
     * {@code splitId} and {@code endpointId}.
     */
    public Stream<Data> all(Map<String, String> filters) {
        return Stream.iterate(list(100, null, filters), Objects::nonNull, page -> page.text("nextCursor") == null
            ? null : list(100, page.text("nextCursor"), filters)).flatMap(page -> page.objects("items").stream());
    }

    public Stream<Data> all() { return all(Map.of()); }

    String at(String id) { return path + "/" + encoded(id); }

    Data remove(String id) {
        try {
            return client.call("DELETE", at(id), null, null, true);
        } catch (StemSplitterException.NotFound error) {
            if (error.attempts > 1) return new Data(Map.of("id", id, "deleted", true)); // the first response was lost
            throw error;
        }
    }

    static String encoded(String text) { return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20"); }
}
