package io.github.stemsplitter;

import java.net.http.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.time.*;
import java.util.concurrent.*;

import java.io.*;
import java.util.*;
import java.util.function.*;


/** Client of a Stem Splitter server. It can be shared by threads; an interrupt ends a call. */
public class StemSplitter {
    static final String VERSION = "0.1.0";

    /** Waits; tests replace it. */
    public interface Sleeper { void sleep(long milliseconds) throws InterruptedException; }

    final Http http;
    private final String apiKey, baseUrl;
    private final int chunkBytes;

    /** Creates a client of the server in STEMSPLITTER_URL with the key in STEMSPLITTER_KEY. */
    public StemSplitter() { this(builder()); }

    protected StemSplitter(Builder options) {
        apiKey = present(options.apiKey, "STEMSPLITTER_KEY", "Missing API key: pass apiKey or set STEMSPLITTER_KEY.");
        String url = present(options.baseUrl, "STEMSPLITTER_URL",
            "Missing address of the server: pass baseUrl or set STEMSPLITTER_URL.").replaceAll("/+$", "");
        baseUrl = url.endsWith("/v1") ? url : url + "/v1";
        chunkBytes = options.chunkBytes;
        HttpClient client = options.client != null ? options.client
            : HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(options.timeout).build();
        http = new Http(client, options.timeout, options.maxRetries, options.sleeper);
    }

    private static String present(String value, String variable, String message) {
        String found = value == null || value.isBlank() ? System.getenv(variable) : value;
        if (found == null || found.isBlank()) throw new StemSplitterException("CONFIG_ERROR", message, null);
        return found.strip();
    }

    public static Builder builder() { return new Builder(); }

    /** Options of a client. */
    public static final class Builder {
        private String apiKey, baseUrl;
        private Duration timeout = Duration.ofSeconds(60);
        private int maxRetries = 4, chunkBytes = Transfers.CHUNK_BYTES;
        private HttpClient client;
        private Sleeper sleeper = Thread::sleep;

        public Builder apiKey(String value) { apiKey = value; return this; }

        /** Sets the address of the server, with or without {@code /v1}. */
        public Builder baseUrl(String value) { baseUrl = value; return this; }

        /** Sets the time that a connection may be silent; 60 seconds by default. */
        public Builder timeout(Duration value) { timeout = value; return this; }

        /** Sets the repetitions of a request after a lost connection or a temporary error; 4 by default. */
        public Builder maxRetries(int value) { maxRetries = value; return this; }

        /** Sets the size of the chunks of uploads, at least 65536; 8 MiB by default. */
        public Builder chunkBytes(int value) { chunkBytes = value; return this; }

        /** Sets the HTTP client, for example one with a proxy. It must not follow redirects. */
        public Builder httpClient(HttpClient value) { client = value; return this; }

        public Builder sleeper(Sleeper value) { sleeper = value; return this; }

        public StemSplitter build() { return new StemSplitter(this); }
    }

    /**
     * Runs calls in another thread, such as {@code client.async(c -> c.splits().await(id))}. Canceling the future
     * interrupts them.
     */
    public <T> CompletableFuture<T> async(Function<StemSplitter, T> calls) {
        CompletableFuture<T> future = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                future.complete(calls.apply(this));
            } catch (Throwable error) {
                future.completeExceptionally(error);
            }
        }, "stemsplitter");
        thread.setDaemon(true);
        future.whenComplete((value, error) -> { if (future.isCancelled()) thread.interrupt(); });
        thread.start();
        return future;
    }

    public Jobs splits() { return new Jobs(this, "/audio/splits", true); }

    public Jobs analyses() { return new Jobs(this, "/audio/analyses", true); }

    public Jobs effects() { return new Jobs(this, "/audio/effects", true); }

    public Jobs speech() { return new Jobs(this, "/audio/speech", true); }

    /** Returns the mixes of a split. {@code {"gains": {"vocals": -6, "drums": null}}} is a request to create one. */
    public Jobs mixes(String splitId) { return new Jobs(this, splits().at(splitId) + "/mixes", false); }

    public WebhookEndpoints webhookEndpoints() { return new WebhookEndpoints(this); }

    /** Returns the deliveries of webhooks. */
    public Collection deliveries() { return new Collection(this, "/webhooks/deliveries"); }

    /** Returns {@code balance}, in seconds of audio. */
    public Data credits() { return get("/credits"); }

    /** Returns the models of the server, the preferred one first. */
    public List<Data> models() { return items("/models"); }

    /** Returns the voices of speech. */
    public List<Data> voices() { return items("/voices"); }

    public Upload upload(Path file) { return upload(file, file.getFileName().toString(), null); }

    /**
     * Uploads a file in chunks; continues after a lost connection.
     *
     * @param onProgress called with the bytes sent and the size after each chunk; may be null.
     */
    public Upload upload(Path file, String filename, BiConsumer<Long, Long> onProgress) {
        try (FileChannel channel = FileChannel.open(file)) {
            Transfers.Source song = (at, size) -> Transfers.read(channel, at, size);
            return upload(song, channel.size(), filename, Transfers.contentTypeOf(filename), onProgress);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** Uploads a song in memory. */
    public Upload upload(byte[] song, String filename, String contentType) {
        Transfers.Source source = (at, size) -> Arrays.copyOfRange(song, (int) at, (int) at + size);
        return upload(source, song.length, filename, contentType, null);
    }

    private Upload upload(Transfers.Source song, long size, String name, String type, BiConsumer<Long, Long> call) {
        Data made = reserve(name, type, size);
        Data sent = Transfers.send(http, made, song, size, chunkBytes, call);
        return new Upload(made.text("uploadId"), sent.text("url"), sent.text("key"), made.text("expiresAt"));
    }

    Data reserve(String filename, String contentType, long contentLength) {
        var body = Map.of("filename", filename, "contentType", contentType, "contentLength", contentLength);
        return call("POST", "/audio/uploads", body, UUID.randomUUID().toString(), true);
    }

    /** Downloads a stem, or {@code no_} and its name for the song without it; waits until the server has made it. */
    public Path downloadStem(String splitId, String name, Path file, Form form, Duration timeout) {
        return download(splitId, "/stems/" + Collection.encoded(name), file, form, timeout);
    }

    /** Downloads all stems in a ZIP archive, or with the format {@code stem.mp4} in one Native Instruments file. */
    public Path downloadArchive(String splitId, Path file, Form form, Duration timeout) {
        return download(splitId, "/archive", file, form, timeout);
    }

    /** Downloads the cover of the song, a small JPEG. Throws {@code NotFound} if it has none. */
    public Path downloadCover(String id, Path file) { return download(id, "/cover", file, Form.OF_SPLIT, Duration.ZERO); }

    /** Returns the peaks of the stems, to draw waveforms: {@code overview} or {@code full}. */
    public Data peaks(String splitId, String resolution) {
        return get(splits().at(splitId) + "/peaks" + query("resolution", resolution));
    }

    /**
     * Returns links to small files of the stems for a player, in {@code opus} or {@code aac}. There is {@code status}
     * instead of {@code stems} while the server makes them.
     */
    public Data previews(String splitId, String codec) {
        return get(splits().at(splitId) + "/previews" + query("codec", codec));
    }

    private Path download(String splitId, String what, Path file, Form form, Duration timeout) {
        String query = query("format", form.format(), "bitDepth", form.bitDepth(), "bitrate", form.bitrate());
        return Transfers.file(http, url(splits().at(splitId) + what + query), headers("*/*"), file, timeout);
    }

    /** A format of files; null for that of the split. */
    public record Form(String format, String bitDepth, Integer bitrate) {
        public static final Form OF_SPLIT = new Form(null, null, null);
    }

    /** Creates a signing secret for URLs that are part of requests. The previous one stays active for 24 hours. */
    public String rotateWebhookSecret() { return post("/webhooks/secrets/rotate", null).text("secret"); }

    /** Returns the active signing secrets, without their values. */
    public List<Data> webhookSecrets() { return items("/webhooks/secrets"); }

    /** Sends a test event. Returns its delivery. */
    public Data sendTestWebhook(String url) { return post("/webhooks/test", Map.of("url", url)); }

    /** Delivers an event again. Returns the new delivery. */
    public Data replayDelivery(String deliveryId) { return post(deliveries().at(deliveryId) + "/replay", null); }

    Data get(String path) { return call("GET", path, null, null, true); }

    List<Data> items(String path) { return get(path).objects("items"); }

    /** Sends a request that must not be repeated. */
    Data post(String path, Map<String, ?> body) { return call("POST", path, body, null, false); }

    /** An uploaded song; {@link #input()} is the input of a job. */
    public record Upload(String uploadId, String fileUrl, String storageKey, String expiresAt) {
        public Map<String, String> input() {
            return Map.of("type", "uploaded_file", "uploadId", uploadId, "fileUrl", fileUrl, "storageKey", storageKey);
        }
    }

    /** Sends a request to a path of the API. Returns {@code data} of the response. */
    Data call(String method, String path, Map<String, ?> body, String idempotencyKey, boolean isRepeatable) {
        Map<String, String> headers = headers("application/json");
        if (body != null) headers.put("Content-Type", "application/json");
        if (idempotencyKey != null) headers.put("Idempotency-Key", idempotencyKey);
        String content = body == null ? null : Json.write(body);
        Data answer = http.request(method, url(path), headers, content, isRepeatable, Http.Answer::json);
        if (answer.asMap().containsKey("data")) return answer.object("data");
        throw new StemSplitterException("HTTP_ERROR", "The response is not of the API: check baseUrl.", null);
    }

    String url(String path) { return baseUrl + path; }

    Map<String, String> headers(String accept) {
        return new HashMap<>(Map.of("Accept", accept, "Authorization", "Bearer " + apiKey));
    }

    /** Returns the part of a URL with names and values, without those that are null. */
    static String query(Object... pairs) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < pairs.length; i += 2)
            if (pairs[i + 1] != null) text.append(text.isEmpty() ? '?' : '&').append(pairs[i]).append('=')
                .append(Collection.encoded(pairs[i + 1].toString()));
        return text.toString();
    }
}
