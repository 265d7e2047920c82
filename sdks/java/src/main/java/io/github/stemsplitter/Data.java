package io.github.stemsplitter;

import java.util.*;

/** An object of the API, such as a job. Fields that are absent or of another type are null. */
public final class Data {
    private final Map<?, ?> fields;

    Data(Object value) { fields = value instanceof Map<?, ?> map ? map : Map.of(); }

    public String id() { return text("id"); }

    /** Returns {@code queued}, {@code processing}, {@code succeeded} or {@code failed}. */
    public String status() { return text("status"); }

    /** Returns the progress in percent; null if the kind of job has none. */
    public Long progress() { return number("progress"); }

    public String text(String name) { return fields.get(name) instanceof String text ? text : null; }

    public Long number(String name) { return fields.get(name) instanceof Number n ? (Long) n.longValue() : null; }

    /** Returns an object, empty if it is absent. */
    public Data object(String name) { return new Data(fields.get(name)); }

    /** Returns the objects of a list, none if it is absent. */
    public List<Data> objects(String name) {
        return fields.get(name) instanceof List<?> list ? list.stream().map(Data::new).toList() : List.of();
    }

    public boolean isEmpty() { return fields.isEmpty(); }

    /** Returns all fields: maps, lists, strings, booleans, null, Long and Double. */
    @SuppressWarnings("unchecked")
    public Map<String, Object> asMap() { return (Map<String, Object>) fields; }

    @Override
    public String toString() { return Json.write(fields); }
}
