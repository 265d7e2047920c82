package io.github.stemsplitter;

import java.util.*;

/** Saved URLs, which get the webhooks of all jobs. The server disables those that fail for days. */
public final class WebhookEndpoints {
    private final Collection saved;

    WebhookEndpoints(StemSplitter client) { saved = new Collection(client, "/webhook_endpoints"); }

    /**
     * Saves an endpoint, such as {@code Map.of("url", "https://example.com/hook", "events",
     * List.of("audio.split.completed"))}; the event {@code *} means all. Its signing secret, {@code secret}, is in this
     * response only.
     */
    public Data create(Map<String, ?> request) { return saved.client.post(saved.path, request); }

    public Data get(String id) { return saved.get(id); }

    /** Returns all endpoints, newest first. */
    public List<Data> list() { return saved.client.items(saved.path); }

    /** Changes {@code url}, {@code events}, {@code description} or {@code status}: enabled or disabled. */
    public Data update(String id, Map<String, ?> changes) {
        return saved.client.call("POST", saved.at(id), changes, null, true);
    }

    /** Deletes an endpoint. Its pending deliveries end as failed. */
    public Data delete(String id) { return saved.remove(id); }

    /** Creates a signing secret of the endpoint. The previous one stays active for 24 hours. */
    public String rotateSecret(String id) { return saved.client.post(saved.at(id) + "/rotate", null).text("secret"); }

    /** Sends a test event to the endpoint. Returns its delivery. */
    public Data sendTest(String id) { return saved.client.post(saved.at(id) + "/test", null); }
}
